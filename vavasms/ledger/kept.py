"""Sentences of ours that a ledger keeps in English, said in the language of the moment."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from vavasms.i18n import _load, current_language, gettext, ngettext

#: A template that is nearly all values fits any sentence.
_FEWEST_LETTERS = 10
#: The gateway's own words come after ours.
_match_added = re.compile(r"(.*[.?!]) \((.*)\)", re.DOTALL).fullmatch
_match_error = re.compile(r"([A-Z]\w*Error): (.*)", re.DOTALL).fullmatch
_match_waiting = re.compile(r"([\d,]+) batch(?:es)? waits? to be sent again").fullmatch


def say_stored(text: str) -> str:
    """Return a kept sentence in the language of the moment; what is none of ours, or has no French, as it is.

    An error is kept as `TypeOfError: its sentence (the gateway's own words)`: only the middle is ours.
    """
    language = current_language()
    return text if not text or language == "en" else _say_in(text, language)


@lru_cache(maxsize=256)
def _say_in(text: str, _language: str) -> str:
    # A list of thousands has few such sentences. What is put around ours comes off first: a template of few
    # letters would fit the whole.
    if named := _match_error(text):
        return f"{named[1]}\xa0: {say_stored(named[2])}"
    if added := _match_added(text):
        return f"{say_stored(added[1])} ({added[2]})"
    known = _say(text)
    return text if known is None else known


def _say(text: str) -> str | None:
    exact = gettext(text)
    if exact != text:
        return exact
    if waiting := _match_waiting(text):
        n = int(waiting[1].replace(",", ""))
        return ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", n)
    # gettext finds by whole sentences only.
    sentences = [text for text in getattr(_load(current_language()), "_catalog", {}) if isinstance(text, str)]
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


def _cut(template: str) -> list[tuple[str, str | None]]:
    """Cut a template into literal texts, each with the name that follows; nothing where it has no value."""
    if "{" not in template:
        return []
    try:
        pieces: Iterable[Any] = string.Formatter().parse(template)
        return [(literal, name) for literal, name, _form, _conversion in pieces]
    except ValueError:
        # A sentence without values may have braces of its own.
        return []


def _to_pattern(pieces: Iterable[tuple[str, str | None]]) -> str:
    seen: set[str] = set()
    pattern = ""
    for literal, name in pieces:
        pattern += re.escape(literal)
        if name is not None:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
            seen.add(name)
    return pattern


def _say_value(value: str) -> str:
    # A word alone may be anybody's; a sentence is one that stood in another.
    return say_stored(value) if " " in value else value
