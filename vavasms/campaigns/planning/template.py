"""A message with columns in it: `Bonjour {prenom|cher client}, votre solde: {montant} F`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Protocol

from attrs import field, frozen

from vavasms.campaigns.planning.contacts.columns import NO_VALUES, find_named_column, show_name
from vavasms.campaigns.planning.optout_link import LINK_NAME, make_link, names_link
from vavasms.errors import InvalidMessageError
from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _
from vavasms.text.folding import fold_to_gsm7
from vavasms.text.visible import has_control

#: A doubled brace, a column in braces, or a brace that is neither.
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<inside>[^{}]*)\}|[{}]")
#: What no phone shows as a character of its own; half characters (surrogates) cannot even be sent.
_match_word = re.compile(r"\s*\w{1,40}").match
#: Of old lists, which no byte gives away.
_OTHER_ENCODINGS = ("cp850", "mac_roman")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
#: Looks empty: blanks, and the invisible characters that spreadsheets leave behind.
_BLANK = re.compile(r"[\s\u00ad\u200b\u2060\ufeff]*")

#: A column in doubled braces, as other programs write it.
_DOUBLED = re.compile(r"\{\{\s*([^{}|]+?)\s*(?:\|[^{}]*)?\}\}")

_SHOWN_COLUMNS = 10


@frozen(kw_only=True)
class Slot:
    """A place in the message that a column fills."""

    #: As the template spells it, trimmed.
    name: str
    #: What stands there where the cell is empty; None where the template gives nothing.
    fallback: str | None
    #: What stands there in place of a cell that is not empty; None: the cell itself.
    shown: str | None = None

    def make_link(self, columns: Sequence[str], url: str | None) -> str | None:
        """Return the opt-out link that it stands for; None for a column. See the function of this name."""
        is_bare = self.fallback is None and self.shown is None
        return make_link(columns, url, is_bare=is_bare) if names_link(self.name) else None


#: Place among the parts, position among the cells, fallback, name, what is shown in place of the cell.
_Slot = tuple[int, int, str | None, str, str | None]


@frozen(kw_only=True)
class Template:
    """A message that was parsed; `parse_template` makes it."""

    #: As it was written.
    text: str
    #: Literal texts (braces already single) and slots, in order.
    pieces: tuple[str | Slot, ...] = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names used, each once, in order."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Slot)))

    @property
    def is_plain(self) -> bool:
        """True where everybody gets the same text."""
        return not self.columns

    def bind(
        self, names: Sequence[str], *, fold: bool = False, opt_out_url: str | None = None
    ) -> BoundTemplate:
        """Find the columns in a list's header.

        `fold` makes each rendered text GSM-7 where that keeps its sense, cells included. Literal texts are
        folded here, once. `{desinscription}` becomes a link behind `opt_out_url`; where none is given it is a
        column like any other.

        Raises `InvalidMessageError` for a column that the list does not have, and a link without a page.
        """
        spell = fold_to_gsm7 if fold else str
        parts: list[str] = []
        slots: list[_Slot] = []
        has_link = False
        for place, piece in enumerate(self.pieces):
            link = piece.make_link(names, opt_out_url) if isinstance(piece, Slot) else None
            if link is not None:
                has_link = True
                parts.append(link)
            elif isinstance(piece, Slot):
                fallback = None if piece.fallback is None else spell(piece.fallback)
                shown = None if piece.shown is None else spell(piece.shown)
                slots.append((place, _find(names, piece.name), fallback, piece.name, shown))
                parts.append("")
            else:
                parts.append(spell(piece))
        plain = None if slots else "".join(parts)
        return BoundTemplate(
            parts=tuple(parts), slots=tuple(slots), plain=plain, fold=fold, has_link=has_link
        )


class Texts(Protocol):
    """What a planner asks of a message, with the cells of a row: see `BoundTemplate`."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def has_link(self) -> bool: ...
    def render(self, cells: Sequence[str], /) -> str: ...
    def used(self, cells: Sequence[str], /) -> tuple[str, ...]: ...
    def filled(self, cells: Sequence[str], /) -> frozenset[str]: ...
    def count_no_values(self, cells: Sequence[str], /) -> int: ...
    def missing(self, cells: Sequence[str], /) -> tuple[str, ...]: ...


@frozen(kw_only=True)
class BoundTemplate:
    """A message whose columns are found in one list: ready for its rows. `Template.bind` makes it."""

    #: Literal texts, and empty ones where cells go.
    _parts: tuple[str, ...] = field(repr=False)
    _slots: tuple[_Slot, ...] = field(repr=False)
    #: The text of everybody; None where columns are used.
    _plain: str | None = field(repr=False)
    _fold: bool
    #: Whether each text waits for the code of an opt-out link: then no two are alike.
    has_link: bool = False

    def render(self, cells: Sequence[str]) -> str:
        """Write one recipient's text; never fails.

        Cells are trimmed, and control characters in them become one space. A cell that is empty, missing or
        says `NULL`, `#N/A` and the like gives its fallback, else nothing: so the text may be empty, which
        no send takes. A template without columns gives the same object each time. About a microsecond.
        """
        if self._plain is not None:
            return self._plain
        parts = list(self._parts)
        width = len(cells)
        for place, position, fallback, _name, shown in self._slots:
            text = _clean(cells[position]) if position < width else ""
            parts[place] = (text if shown is None or not text else shown) or fallback or ""
        text = "".join(parts)
        return fold_to_gsm7(text) if self._fold else text

    @property
    def is_plain(self) -> bool:
        """True where everybody gets the same text, but for the code of a link."""
        return self._plain is not None

    @property
    def _positions(self) -> Iterator[int]:
        return (position for _place, position, _fallback, _name, _shown in self._slots)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns used, as the template spells them."""
        return tuple(slot[3] for slot in self._slots)

    def used(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return the cells of a row that its text is made of, as the list has them."""
        return tuple(cells[position] for position in self._positions if position < len(cells))

    def filled(self, cells: Sequence[str]) -> frozenset[str]:
        """Return the names of the columns that hold anything in this row."""
        return frozenset(slot[3] for slot in self._slots if _read(cells, slot[1]))

    def count_no_values(self, cells: Sequence[str]) -> int:
        """Count the cells, each once, that count as empty for what they say: `NULL`, `#N/A`."""
        positions = set(self._positions)
        return sum(cells[position].strip() in NO_VALUES for position in positions if position < len(cells))

    def missing(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the columns, each once, that are empty in this row and have no fallback."""
        empty: dict[int, str] = {}
        for _place, position, fallback, name, shown in self._slots:
            if fallback is None and shown is None and not _read(cells, position):
                empty.setdefault(position, name)
        return tuple(empty.values())


def parse_template(text: str) -> Template:
    """Parse a message: `{column}`, `{column|fallback}`, and `{{` or `}}` for the braces themselves.

    Names and fallbacks are trimmed. `{column|}` says that nothing is fine where the cell is empty.
    `{column?text}` shows the text where the cell holds anything, `{column?text|other}` the other one else.

    Raises `InvalidMessageError` for a message that is empty or has braces that make no sense.
    """
    if not isinstance(text, str):
        raise InvalidMessageError(
            _("Give the message as text; nothing was sent."), error_code="message.not_text"
        )
    if not text.strip():
        raise InvalidMessageError(_("The message is empty; nothing was sent."), error_code="message.empty")
    if has_control(text):
        raise InvalidMessageError(
            _("The message holds a control character other than a line end or a tab; nothing was sent."),
            error_code="message.characters",
        )
    if _HALF_CHARACTER.search(text):
        raise InvalidMessageError(
            _(
                "The message holds half a character (a lone surrogate), which cannot be sent; "
                "nothing was sent."
            ),
            error_code="message.characters",
        )
    pieces: list[str | Slot] = []
    for piece in _cut(text):
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece:
            pieces.append(piece)
    return Template(text=text, pieces=tuple(pieces))


def find_doubled(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a list that a message has in doubled braces: they are not filled in."""
    doubled = dict.fromkeys(match[1] for match in _DOUBLED.finditer(text))
    known = (*names, LINK_NAME)
    return tuple(name for name in doubled if find_named_column(known, name) is not None)


def _cut(text: str) -> Iterator[str | Slot]:
    """Cut a message at its braces."""
    end = 0
    for match in _BRACES.finditer(text):
        yield text[end : match.start()]
        end = match.end()
        if match["inside"] is not None:
            yield _read_slot(match["inside"], match.start() + 1)
        elif len(match[0]) == len("{{"):
            yield match[0][0]
        else:
            raise _lone_brace(match[0], match.start() + 1, text[match.end() :])
    yield text[end:]


def _read_slot(inside: str, place: int) -> Slot:
    head, bar, fallback = inside.partition("|")
    # A column may be called `Paid?`.
    name, mark, shown = head.partition("?")
    if not shown.strip():
        name, mark = head, ""
    if not name.strip():
        raise InvalidMessageError(
            _(
                "The braces at character {place} of the message name no column: write {{{{ and }}}} for the "
                "braces themselves; nothing was sent.",
                place=str(place),
            ),
            error_code="message.braces",
        )
    return Slot(
        name=name.strip(),
        fallback=fallback.strip() if bar else None,
        shown=shown.strip() if mark else None,
    )


def _lone_brace(brace: str, place: int, following: str) -> InvalidMessageError:
    sentence = _(
        "The }} at character {place} of the message closes nothing: write }}}} for the brace itself; "
        "nothing was sent.",
        place=str(place),
    )
    word = _match_word(following)
    if brace == "{" and word:
        sentence = _(
            "}} is missing after {opened}, at character {place} of the message: write {{{{ for the brace "
            "itself; nothing was sent.",
            opened="{" + word[0].strip(),
            place=str(place),
        )
    elif brace == "{":
        sentence = _(
            "The {{ at character {place} of the message is not closed: write {{{{ for the brace itself; "
            "nothing was sent.",
            place=str(place),
        )
    return InvalidMessageError(sentence, error_code="message.braces")


def _find(names: Sequence[str], name: str) -> int:
    position = find_named_column(names, name)
    if position is not None:
        return position
    shown = [show_name(column) for column in names]
    raise InvalidMessageError(_say_no_column(shown, show_name(name)), error_code="message.column")


def _say_no_column(shown: Sequence[str], name: str) -> Sentence:
    if not shown:
        return _("The list has no column {name}; its columns are: none. Nothing was sent.", name=name)
    columns: str = ", ".join(shown[:_SHOWN_COLUMNS])
    if len(shown) > _SHOWN_COLUMNS:
        columns = _("{names} and {n} more", names=columns, n=len(shown) - _SHOWN_COLUMNS)
    # Which was probably meant, if there is one like it.
    misread = _find_misread(shown, name)
    if misread:
        return _(
            "The list has no column {name}: some letters seem misread ({column}), try encoding={encoding} "
            "(`--encoding {encoding}`). Nothing was sent.",
            name=name,
            column=misread[0],
            encoding=misread[1],
        )
    folded = {column.casefold(): column for column in reversed(shown)}
    near = get_close_matches(name.casefold(), folded, n=1)
    if near:
        return _(
            "The list has no column {name} (did you mean {guess}?); its columns are: {columns}. "
            "Nothing was sent.",
            name=name,
            guess=folded[near[0]],
            columns=columns,
        )
    return _(
        "The list has no column {name}; its columns are: {columns}. Nothing was sent.",
        name=name,
        columns=columns,
    )


def _find_misread(shown: Sequence[str], name: str) -> tuple[str, str] | None:
    """Return the column that is the wanted one in another encoding, and which; None where there is none."""
    for encoding in _OTHER_ENCODINGS:
        for column in shown:
            # What was read as cp1252, for want of a sign.
            raw = column.encode("cp1252", "replace")
            if not column.isascii() and find_named_column([raw.decode(encoding)], name) is not None:
                return column, encoding
    return None


def _read(cells: Sequence[str], position: int) -> str:
    return _clean(cells[position]) if position < len(cells) else ""


def _clean(cell: str) -> str:
    """Trim a cell, and take out what a phone cannot show."""
    cell = cell.strip()
    if cell in NO_VALUES:
        return ""
    # True of nearly every cell, and several times faster than the searches.
    if cell.isprintable():
        return cell
    cell = _CONTROLS.sub(" ", cell).strip()
    return "" if _BLANK.fullmatch(cell) else cell
