"""Questions to a person, on the terminal."""

from __future__ import annotations

import os
import select
import sys

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_GO = frozenset({"yes", "oui"})
#: Seconds after which a signal is noticed at the latest.
_BEAT = 0.2


def check_terminal(contacts: str, *, message_is_piped: bool = False) -> None:
    """Raise `InvalidInputError` where there is nobody to ask."""
    if contacts == "-":
        sentence = _(
            "The list comes from standard input, so nobody can confirm: add --yes to send without asking. "
            "Nothing was sent."
        )
    elif message_is_piped:
        sentence = _(
            "The text comes from standard input, so nobody can confirm: add --yes to send without asking. "
            "Nothing was sent."
        )
    elif sys.stdin is None or not sys.stdin.isatty():
        sentence = _(
            "There is no terminal to confirm in: add --yes to send without asking. Nothing was sent."
        )
    else:
        return
    raise InvalidInputError(sentence, error_code="usage.nobody_to_ask")


def ask(question: str) -> bool:
    """Ask, and take `yes` or `oui` for a yes, anything else for a no."""
    # On standard error: what is printed may be going to a file.
    line = _("Type yes to send:")
    sys.stderr.write(f"{question} {line} ")
    sys.stderr.flush()
    # A signal that comes just before a read that waits is noticed only after it: so the read never waits.
    while os.name == "posix" and not select.select([sys.stdin], [], [], _BEAT)[0]:
        continue
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().casefold() in _GO


def confirm(question: str, *, word: str, yes: bool) -> None:
    """Ask for a word to be typed, or raise `InvalidInputError`; `--yes` has answered already.

    For `yes` it may be `oui`.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError(
            _("There is no terminal to ask on: add --yes to do it without asking. Nothing was changed."),
            error_code="usage.nobody_to_ask",
            outcome=None,
        )
    # On standard error: what is printed may be going to a file.
    line = _("Type yes to go on:") if word in _GO else _("Type {word} to go on:", word=word)
    sys.stderr.write(f"{question}\n{line} ")
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if not (answer == word or (word in _GO and answer.casefold() in _GO)):
        raise InvalidInputError(
            _("Not confirmed: nothing was changed."), error_code="usage.not_confirmed", outcome=None
        )
