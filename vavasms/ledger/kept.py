"""Sentences of ours that a ledger keeps in English, said in the language of the moment.

A person's note is kept in the same place: a sentence of ours with values is looked for only where it is known
to be ours, behind the name of an error, or as the reason of a campaign's state.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from vavasms.i18n import current_language, gettext, known_sentences, language_set, ngettext

#: A template that is nearly all values fits any sentence.
_FEWEST_LETTERS = 10
#: None of ours is as long: a person's note may be, and is peeled like one of ours.
_LONGEST = 1_000
#: The gateway's own words come after ours.
_match_added = re.compile(r"(.*[.?!]) \((.*)\)", re.DOTALL).fullmatch
_match_error = re.compile(r"([A-Z]\w*Error): (.*)", re.DOTALL).fullmatch
_match_grouped = re.compile(r"-?\d{1,3}(?:(?:,\d{3})+(?:\.\d+)?|\.\d+)").fullmatch
_match_waiting = re.compile(r"([\d,]+) batch(?:es)? waits? to be sent again").fullmatch


def say_error(text: str) -> str:
    """Return what is kept of an outcome in the language of the moment; what is none of ours as it is.

    An error is kept as `TypeOfError: its sentence (the gateway's own words)`: the middle is ours, and the
    name of its class tells a person nothing.
    """
    return say_reason(text) if _match_error(text) else _say_whole(text)


def say_reason(text: str) -> str:
    """Return the kept reason of a state in the language of the moment; what is none of ours as it is."""
    language, named = current_language(), _match_error(text)
    text = text if named is None else named[2]
    return text if not text or len(text) > _LONGEST or language == "en" else _say_in(text, language)


def _say_whole(text: str) -> str:
    # A word alone is anybody's.
    return gettext(text) if " " in text else text


# A list of thousands has few such sentences.
@lru_cache(maxsize=256)
def _say_in(text: str, language: str) -> str:
    with language_set(language):
        # What is put around ours comes off first: a template of few letters would fit the whole.
        if added := _match_added(text):
            return f"{say_reason(added[1])} ({added[2]})"
        known = _say(text, language)
    return text if known is None else known


def _say(text: str, language: str) -> str | None:
    exact = _say_whole(text)
    if exact != text:
        return exact
    if waiting := _match_waiting(text):
        n = int(waiting[1].replace(",", ""))
        return ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", n)
    # gettext finds by whole sentences only.
    sentences = known_sentences(language)
    # What follows a sentence first: the one before it may end with anybody's words.
    added = [template for template in sentences if template.startswith("{sentence} ")]
    found = find_template(text, added) or find_template(text, sentences)
    if found is None:
        return None
    template, values = found
    return gettext(template, **{name: _say_value(value) for name, value in values.items()})


def find_template(text: str, templates: Iterable[str]) -> tuple[str, Mapping[str, str]] | None:
    """Return the template with most letters of its own that a text was made of, and its values."""
    best: tuple[int, str, Mapping[str, str]] | None = None
    for template in templates:
        pieces = _cut(template)
        letters = sum(len(literal) for literal, _name in pieces)
        if letters < max(_FEWEST_LETTERS, best[0] + 1 if best else 0):
            continue
        if any(literal not in text for literal, _name in pieces):
            continue
        match = re.fullmatch(_to_pattern(pieces), text, re.DOTALL)
        if match is not None:
            best = letters, template, match.groupdict()
    return best and best[1:]


@lru_cache(4096)
def _cut(template: str) -> Sequence[tuple[str, str | None]]:
    """Cut a template into literal texts, each with the name that follows; nothing where it has no value."""
    if "{" not in template:
        return ()
    try:
        pieces: Iterable[Any] = string.Formatter().parse(template)
        cut = [(literal, name) for literal, name, _form, _conversion in pieces]
    except ValueError:
        cut = []
    # A sentence without values may have braces of its own.
    return cut if all(name is None or name.isidentifier() for _literal, name in cut) else ()


def _to_pattern(pieces: Iterable[tuple[str, str | None]]) -> str:
    seen: set[str] = set()
    pattern = ""
    for literal, name in pieces:
        pattern += re.escape(literal)
        if name is not None:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
            seen.add(name)
    return pattern


def _say_value(value: str) -> str | Decimal:
    # An amount, as English groups it; digits alone may be an identifier.
    if _match_grouped(value):
        return Decimal(value.replace(",", ""))
    # A word alone may be anybody's; a sentence is one that stood in another.
    return say_reason(value) if " " in value else value
