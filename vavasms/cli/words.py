"""What the words of a command are before its parser has them: its language and its errors depend on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: The options whose value is a text of the caller's, whatever it looks like.
TEXTS = frozenset(
    [
        "--date",
        "--from",
        "--idempotency-key",
        "--message",
        "--message-file",
        "--message-id",
        "--name",
        "--sender-id",
        "--template",
        "--text",
    ]
)
#: What the parser takes for yes.
_TRUE = ("yes", "y", "1", "true", "t")

#: The options whose value is an amount.
AMOUNTS = frozenset(["--balance-floor", "--budget", "--unit-price"])
#: `250 000`, with any of the spaces that French writes; `250,000` is either of two amounts.
_is_grouped = re.compile(r"\d{1,3}(?:[ \xa0\u202f]\d{3})+(?:[.,]\d{1,2})?").fullmatch
_has_comma = re.compile(r"\d+,\d{1,2}").fullmatch


def find_options(words: Sequence[str]) -> Iterator[int]:
    """Yield where an option stands: not a text that only looks like one, nor what follows `--`."""
    takes_value = False
    for index, word in enumerate(words):
        if takes_value:
            takes_value = False
        elif word == "--":
            return
        elif word.startswith("--"):
            takes_value = word in TEXTS
            yield index


def wants_json(words: Sequence[str]) -> bool:
    """Return whether the words of a command ask for JSON, as its parser reads them: the last one decides."""
    wants = False
    for index in find_options(words):
        name, equals, value = words[index].partition("=")
        if name in ("--json", "--no-json"):
            wants = (name == "--json") is (not equals or value.casefold() in _TRUE)
    return wants


def wants_json_logs(words: Sequence[str]) -> bool:
    """Return whether the words of a command ask for a log in JSON, as its parser reads them."""
    wants = False
    for index in find_options(words):
        name, equals, value = words[index].partition("=")
        if name == "--log":
            wants = (value if equals else "".join(words[index + 1 : index + 2])) == "json"
    return wants


def read_amounts(words: Sequence[str]) -> list[str]:
    """Return the words of a command with its amounts as the parser reads them: `12,5` as `12.5`."""
    read = list(words)
    for index in find_options(words):
        name, equals, value = words[index].partition("=")
        if name in AMOUNTS and equals:
            read[index] = f"{name}={read_amount(value)}"
        elif name in AMOUNTS and index + 1 < len(words):
            read[index + 1] = read_amount(words[index + 1])
    return read


def read_amount(text: str) -> str:
    """Return an amount that people wrote without its spaces and its comma; what may be two as it is."""
    if _is_grouped(text) or _has_comma(text):
        return re.sub(r"\s", "", text).replace(",", ".")
    return text
