"""What the words of a command are before its parser has them: its language and its errors depend on them."""

from __future__ import annotations

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
        "--sender-id",
        "--template",
        "--text",
    ]
)
#: What the parser takes for yes.
_TRUE = ("yes", "y", "1", "true", "t")


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
