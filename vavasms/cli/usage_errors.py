"""Usage errors in plain words."""

from __future__ import annotations

from decimal import Decimal
from difflib import get_close_matches
from typing import get_args

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from vavasms.cli.secrets import holds_password


def explain(error: CycloptsError) -> str:
    """Return what is wrong with the words of a command, and where its help is."""
    sentence = _explain(error)
    return sentence + (" Nothing was sent" if sentence.endswith(("?", ".")) else ". Nothing was sent")


def _explain(error: CycloptsError) -> str:
    command = " ".join(["vavasms", *(error.command_chain or ())])
    if isinstance(error, MissingArgumentError):
        return _missing(error, command)
    if isinstance(error, UnknownCommandError):
        return _unknown(error, command)
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        word = _show(error.unused_tokens[0])
        return f"{word} is one word too many for `{command}`: quote a text that has spaces"
    if isinstance(error, CoercionError) and error.token is not None and error.msg is None:
        name = error.token.keyword or (error.argument.name if error.argument else "it")
        return f"{name} takes {_kind_of(error.target_type)}, not {_show(error.token.value)}"
    if isinstance(error, UnknownOptionError):
        # Without its value, which may be a password somebody hoped to give here.
        name = (error.token.keyword or error.token.value).partition("=")[0]
        return f"`{command}` has no option {name}: see `{command} --help`"
    return str(error)


def _kind_of(kind: object) -> str:
    """Return the name that people have for a type."""
    names = {int: "a whole number", float: "a number", Decimal: "an amount"}
    return next(
        (name for known, name in names.items() if known is kind or known in get_args(kind)), "another word"
    )


def _unknown(error: UnknownCommandError, command: str) -> str:
    # cyclopts' own words would import every command.
    word = (error.unused_tokens or [""])[0]
    close = get_close_matches(word, list(error.app or ()), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"see `{command} --help`"
    return f"{command!r} has no command {_show(word)}: {hint}"


def _show(word: str) -> str:
    # A URL whose option was forgotten: a ledger's holds a password, an inbound one its token.
    return "'…'" if "://" in word or holds_password(word) else repr(word)


def _missing(error: MissingArgumentError, command: str) -> str:
    assert error.argument is not None
    name = error.argument.name if error.argument.name.startswith("-") else error.argument.name.upper()
    missing = f"a value after {error.keyword}" if error.keyword else name
    return f"`{command}` needs {missing}: see `{command} --help`"
