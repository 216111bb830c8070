"""The language of the command line: `--lang`, then `VAVASMS_LANG`, then the locale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vavasms.errors import InvalidInputError
from vavasms.i18n import LANGUAGES, read_language
from vavasms.i18n import gettext as _

_OPTION = "--lang"
#: The first that is set decides, as POSIX has it.
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose_language(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the language, and the words of the command without `--lang`, which may stand anywhere.

    A language of the environment that we do not speak is English, without a word.

    Raises `InvalidInputError` where `--lang` names none.
    """
    words = list(arguments)
    named = _take_option(words)
    if named is not None:
        language = read_language(named)
        if language is None:
            raise InvalidInputError(
                _("--lang is one of {languages}. Nothing was sent.", languages=", ".join(LANGUAGES)),
                error_code="usage.language",
            )
        return language, words
    if named := environment.get("VAVASMS_LANG"):
        return read_language(named) or "en", words
    locale = next(filter(None, map(environment.get, _LOCALE)), "")
    return read_language(locale) or "en", words


def _take_option(words: list[str]) -> str | None:
    """Take the last `--lang` out of the words before `--`; return its value, empty where it has none."""
    end = words.index("--") if "--" in words else len(words)
    value = None
    for index in reversed(range(end)):
        name, equals, rest = words[index].partition("=")
        if name == _OPTION:
            taken = words[index : index + (1 if equals else 2)]
            del words[index : index + len(taken)]
            value = value if value is not None else rest if equals else "".join(taken[1:])
    return value
