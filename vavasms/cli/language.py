"""The language of the command line: `--lang`, then `VAVASMS_LANG`, then the locale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vavasms.cli.words import find_options
from vavasms.errors import InvalidInputError
from vavasms.i18n import LANGUAGES, read_language
from vavasms.i18n import gettext as _

_OPTION = "--lang"
#: The first that is set decides, as POSIX has it.
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def find_language(environment: Mapping[str, str]) -> str:
    """Return the language of the environment; one that we do not speak is English, without a word."""
    names = ("VAVASMS_LANG", *_LOCALE)
    return read_language(next(filter(None, map(environment.get, names)), "")) or "en"


def take_language(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return what `--lang` names, and the words of the command without it, which may stand anywhere.

    Raises `InvalidInputError` where it names no language that we speak.
    """
    rest = list(words)
    named = _take_option(rest)
    language = None if named is None else read_language(named)
    if named is not None and language is None:
        raise InvalidInputError(
            _("--lang is one of {languages}. Nothing was sent.", languages=", ".join(LANGUAGES)),
            error_code="usage.language",
        )
    return language, rest


def _take_option(words: list[str]) -> str | None:
    """Take `--lang` out of the words, each time it is an option; return the last value, empty for none."""
    value = None
    for index in reversed([*find_options(words)]):
        name, equals, rest = words[index].partition("=")
        if name == _OPTION:
            taken = words[index : index + (1 if equals else 2)]
            del words[index : index + len(taken)]
            value = value if value is not None else rest if equals else "".join(taken[1:])
    return value
