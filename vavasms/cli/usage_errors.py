"""Usage errors in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, get_args, get_origin

from cyclopts import Argument, CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from vavasms.cli.secrets import holds_password
from vavasms.cli.typing_mistakes import find_close, find_command
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_


def explain(error: CycloptsError, *, sends: bool = True) -> str:
    """Return what is wrong with the words of a command that `sends` or not, and where its help is."""
    sentence = _explain(error)
    if not sends:
        return sentence
    return sentence + ("" if sentence.endswith("?") else ".") + " " + _("Nothing was sent")


def refuse_fractions(_app: object, _commands: object, arguments: Iterable[Argument]) -> None:
    """Raise a `CoercionError` for a fraction where a whole number is expected: cyclopts would round it."""
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)) and float not in get_args(argument.hint):
            for token in argument.tokens:
                if "." in token.value:
                    raise CoercionError(token=token, argument=argument, target_type=int)


def _explain(error: CycloptsError) -> str:
    command = " ".join(["vavasms", *(error.command_chain or ())])
    if isinstance(error, MissingArgumentError):
        return _missing(error, command)
    if isinstance(error, UnknownCommandError):
        return _unknown(error, command)
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        word = _show(error.unused_tokens[0])
        return _(
            "{word} is one word too many for `{command}`: quote a text that has spaces",
            word=word,
            command=command,
        )
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        return _wrong_value(error.token.keyword or error.argument.name, error.token.value, error.target_type)
    if isinstance(error, UnknownOptionError):
        # Without its value, which may be a password somebody hoped to give here.
        name = (error.token.keyword or error.token.value).partition("=")[0]
        return _unknown_option(
            name, [one for each in error.argument_collection for one in each.names], command
        )
    if isinstance(error, RepeatArgumentError):
        return _("Parameter {name} specified multiple times", name=error.token.keyword)
    return _("The words of `{command}` cannot be read: see `{command} --help`", command=command)


def _kind_of(kind: object) -> str:
    """Return the name that people have for a type."""
    names = {
        int: N_("a whole number"),
        float: N_("a number"),
        Decimal: N_("an amount such as 12.5 or 250000"),
    }
    return next(
        (name for known, name in names.items() if known is kind or known in get_args(kind)),
        N_("another word"),
    )


def _wrong_value(name: str, value: str, kind: object) -> str:
    allowed = next((get_args(one) for one in (kind, *get_args(kind)) if get_origin(one) is Literal), ())
    if not allowed:
        return _("{name} takes {kind}, not {word}", name=_(name), kind=_(_kind_of(kind)), word=_show(value))
    close, listed = find_close(value, allowed), ", ".join(f"`{one}`" for one in allowed)
    if close:
        return _(
            "{name} is one of {words}: did you mean {close}?", name=_(name), words=listed, close=f"`{close}`"
        )
    return _("{name} is one of {words}, not {word}", name=_(name), words=listed, word=_show(value))


def _unknown_option(name: str, options: Iterable[str], command: str) -> str:
    close = find_close(name, [option for option in options if option.startswith("--")])
    names = {"command": command, "name": name}
    if close:
        return _("`{command}` has no option {name} (did you mean {close}?)", close=close, **names)
    return _("`{command}` has no option {name}: see `{command} --help`", **names)


def _unknown(error: UnknownCommandError, command: str) -> str:
    # cyclopts' own words would import every command.
    word = (error.unused_tokens or [""])[0]
    close = find_command(word, list(error.app or ()))
    names = {"command": repr(command), "word": _show(word)}
    if close:
        return _("{command} has no command {word}: did you mean {close}?", close=repr(close), **names)
    names["help"] = " ".join((command, "--help"))
    return _("{command} has no command {word}: see `{help}`", **names)


def _show(word: str) -> str:
    # A URL whose option was forgotten: a ledger's holds a password, an inbound one its token.
    return "'…'" if "://" in word or holds_password(word) else repr(word)


def _missing(error: MissingArgumentError, command: str) -> str:
    assert error.argument is not None
    if error.keyword:
        return _(
            "`{command}` needs a value after {name}: see `{command} --help`",
            command=command,
            name=error.keyword,
        )
    name = error.argument.name if error.argument.name.startswith("-") else _(error.argument.name.upper())
    return _("`{command}` needs {name}: see `{command} --help`", command=command, name=name)
