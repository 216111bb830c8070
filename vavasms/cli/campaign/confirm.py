"""Ask a person for the go, on the terminal."""

from __future__ import annotations

import sys

from vavasms.errors import InvalidInputError

_GO = frozenset({"yes", "oui"})


def check_terminal(contacts: str) -> None:
    """Raise `InvalidInputError` where there is nobody to ask."""
    if contacts == "-":
        raise InvalidInputError(
            "The list comes from standard input, so nobody can be asked for the go: add --yes to send "
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
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().casefold() in _GO
