"""Questions to a person, on the terminal."""

from __future__ import annotations

import os
import select
import sys

from vavasms.errors import InvalidInputError

_GO = frozenset({"yes", "oui"})
#: Seconds after which a signal is noticed at the latest.
_BEAT = 0.2


def check_terminal(contacts: str, *, message_is_piped: bool = False) -> None:
    """Raise `InvalidInputError` where there is nobody to ask."""
    if contacts == "-" or message_is_piped:
        piped = "list" if contacts == "-" else "text"
        raise InvalidInputError(
            f"The {piped} comes from standard input, so nobody can be asked for the go: add --yes to send "
            "without asking. Nothing was sent."
        )
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError(
            "There is no terminal to ask for the go: add --yes to send without asking. Nothing was sent."
        )


def ask(question: str) -> bool:
    """Ask, and take `yes` or `oui` for a yes, anything else for a no."""
    # On standard error: what is printed may be going to a file.
    sys.stderr.write(f"{question} Type yes to send: ")
    sys.stderr.flush()
    # A signal that comes just before a read that waits is noticed only after it: so the read never waits.
    while os.name == "posix" and not select.select([sys.stdin], [], [], _BEAT)[0]:
        continue
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().casefold() in _GO


def confirm(question: str, *, word: str, yes: bool) -> None:
    """Ask for a word to be typed, or raise `InvalidInputError`; `--yes` has answered already."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError(
            "There is no terminal to ask on: add --yes to do it without asking. Nothing was changed.",
            outcome=None,
        )
    # On standard error: what is printed may be going to a file.
    sys.stderr.write(f"{question}\nType {word} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != word:
        raise InvalidInputError("Not confirmed: nothing was changed.", outcome=None)
