"""A message with columns is parsed as an independent reading of its rules has it, and rendering never fails."""

from __future__ import annotations

import re

from attrs import frozen

from tests.fuzz.laws.sentences import check_sentence
from tests.fuzz.target import Target, words
from vavasms.campaigns.planning.contacts.columns import NO_VALUES, find_named_column
from vavasms.campaigns.planning.template import BoundTemplate, Template, parse_template
from vavasms.errors import InvalidMessageError
from vavasms.text.folding import fold_to_gsm7

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
#: What a cell must not bring into a text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@frozen
class _Slot:
    """A column in a message, as the reading here has it."""

    name: str
    #: None where there is no bar.
    fallback: str | None


def check_message(data: bytes) -> None:
    """Take the message, the columns' names and the cells, each ended by a zero byte."""
    texts = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")]
    message, names, cells = texts[0], texts[1:5], texts[5:]
    _check_escapes(message)
    wanted = _read(message)
    template = _parse(message)
    assert (template is None) is (wanted is None)
    if template is None or wanted is None:
        return
    assert [_plain(piece) for piece in template.pieces] == wanted
    assert template.is_plain is not any(isinstance(piece, _Slot) for piece in wanted)
    _check_bound(template, wanted, names, cells)


def _check_escapes(text: str) -> None:
    """Hold that a text with its braces doubled is rendered as itself, again and again."""
    escaped = text.replace("{", "{{").replace("}", "}}")
    template = _parse(escaped)
    assert (template is None) is (not text.strip() or _REFUSED.search(text) is not None)
    if template is not None:
        assert template.is_plain
        assert template.bind(()).render(()) == text


def _parse(message: str) -> Template | None:
    try:
        return parse_template(message)
    except InvalidMessageError as error:
        check_sentence(error)
        return None


def _read(message: str) -> list[str | _Slot] | None:
    """Read a message a character at a time; None where it has to be refused."""
    if not message.strip() or _REFUSED.search(message):
        return None
    pieces: list[str | _Slot] = []
    at = 0
    while at < len(message):
        character = message[at]
        if character not in "{}":
            piece, at = character, at + 1
        elif message[at + 1 : at + 2] == character:
            piece, at = character, at + 2
        else:
            slot = re.match(r"\{([^{}]*)\}", message[at:])
            if slot is None or not slot[1].split("|")[0].strip():
                return None
            name, *rest = slot[1].split("|", 1)
            pieces.append(_Slot(name.strip(), rest[0].strip() if rest else None))
            at += len(slot[0])
            continue
        if pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def _plain(piece: object) -> object:
    return piece if isinstance(piece, str) else _Slot(piece.name, piece.fallback)  # type: ignore[attr-defined]


def _check_bound(template: Template, wanted: list[str | _Slot], names: list[str], cells: list[str]) -> None:
    is_known = all(find_named_column(names, name) is not None for name in template.columns)
    try:
        bound, folding = template.bind(names), template.bind(names, fold=True)
    except InvalidMessageError as error:
        check_sentence(error)
        assert not is_known
        return
    assert is_known
    text = bound.render(cells)
    assert text == _render(wanted, names, cells)
    literal = "".join(piece if isinstance(piece, str) else piece.fallback or "" for piece in wanted)
    assert set(_CONTROL.findall(text)) <= set(_CONTROL.findall(literal))
    folded = folding.render(cells)
    assert fold_to_gsm7(folded) == folded
    _check_counts(bound, cells)


def _render(wanted: list[str | _Slot], names: list[str], cells: list[str]) -> str:
    parts = []
    for piece in wanted:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        position = find_named_column(names, piece.name)
        assert position is not None
        cell = cells[position] if position < len(cells) else ""
        parts.append(_show(cell) or piece.fallback or "")
    return "".join(parts)


def _show(cell: str) -> str:
    if cell.strip() in NO_VALUES:
        return ""
    shown = _CONTROL.sub("\0", cell.strip())
    shown = re.sub("\0+", " ", shown).strip()
    return "" if not shown.strip("\u00ad\u200b\u2060\ufeff \t\u00a0") else shown


def _check_counts(bound: BoundTemplate, cells: list[str]) -> None:
    filled, missing = bound.filled(cells), bound.missing(cells)
    assert not filled & set(missing)
    assert filled | set(missing) <= set(bound.names)
    assert 0 <= bound.count_no_values(cells) <= len(bound.used(cells)) <= len(bound.names)


TARGET = Target(
    check=check_message,
    seeds=(
        "Bonjour {prenom|cher client}, solde: {montant} F\0Prénom\0Montant\0\0\0Awa\x0025 000\0".encode(),
        b"{{prenom}} { nom } {{{nom}}}\0nom\0nom\0ville\0\0Koff\xc3\xad\0#N/A\0",
        "À {a|} {b|x|y}\0a\0b\0\0\0\u200b\0{a}\0".encode(),
    ),
    tokens=words(
        r"""
        { } {{ }} | {nom} {nom|} \0 \xc3\xa9 \xe2\x80\x8b \xe2\x80\xa8 \xed\xa0\x80 \xc2\xad \xef\xbb\xbf
        \xc2\xa0 \x1b \r\n NULL #N/A Err:502 \xe2\x82\xac \xf0\x9f\x98\x80 #VALEUR\xc2\xa0! \xc4\xb0
        \xef\xac\x81
        """
    ),
    longest=1024,
    smoke=200,
)
