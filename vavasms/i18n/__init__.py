"""What people read, in English and in French: gettext's catalogue, and each language's numbers and dates.

The English sentence stands in the code where it is said; the French ones stand in `fr.po`, and `fr.mo` is
compiled from it and kept beside it, so that neither a wheel nor a checkout compiles anything. Babel extracts,
compiles and checks (`.ci/translate`) and is needed by nobody who only runs the package: its locale data weigh
30 MB, and what two languages need of them are the two functions at the end of this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Protocol, Self

LANGUAGES = ("en", "fr")

#: The language of the program, where it has chosen one; without it `VAVASMS_LANG` says.
_program: str | None = None
#: The languages of blocks, for a page that serves both: one `ContextVar`, made with the first of them.
_blocks: dict[str, Any] = {}


class _Catalogue(Protocol):
    """What is asked of gettext's."""

    def gettext(self, message: str) -> str:
        """Return the translation of a sentence."""
        ...

    def ngettext(self, one: str, many: str, n: int, /) -> str:
        """Return the translation that fits a number."""
        ...


class Sentence(str):
    """A sentence in the language of the moment in which it was made; it can be had in the other one.

    Whole numbers among its values are grouped, amounts get the language's comma, moments its date: what is
    an identifier is passed as text.
    """

    _parts: tuple[str, str | None, int]
    _values: Mapping[str, Any]
    #: What it is said without at its end.
    _dropped: str

    @classmethod
    def make(cls, one: str, many: str | None, n: int, values: Mapping[str, Any], dropped: str = "") -> Self:
        """Make a sentence of its English one and its values."""
        parts = one, many, n
        message = cls(_render(*parts, values, current_language()).rstrip(dropped))
        message._parts, message._values, message._dropped = parts, values, dropped
        return message

    def said_in(self, language: str) -> str:
        """Return the sentence in a language."""
        return _render(*self._parts, self._values, language).rstrip(self._dropped)

    def with_values(self, change: Callable[[str], str]) -> Self:
        """Return the sentence with its texts changed, those of nested ones too; it keeps none of the old."""
        values = {name: _change(value, change) for name, value in self._values.items()}
        return self.make(*self._parts, values, self._dropped)

    def without_stop(self) -> Self:
        """Return the sentence without its full stop."""
        return self.make(*self._parts, self._values, ".")

    @property
    def english(self) -> str:
        """The sentence for logs and programs, which never changes with the language."""
        return self.said_in("en")


class Argument(str):
    """An argument as a call in Python writes it, such as `again=True`: a value of a sentence.

    A command line says the option in its place.
    """

    option: str

    @classmethod
    def make(cls, written: str, option: str) -> Self:
        """Make it of how Python writes it, and of how a command line does."""
        argument = cls(written)
        argument.option = option
        return argument


def with_options(text: str) -> str:
    """Return a sentence with the options of a command line in place of the arguments of a call."""
    return text.with_values(_name_option) if isinstance(text, Sentence) else text


def _name_option(value: str) -> str:
    return value.option if isinstance(value, Argument) else value


def gettext(message: str, **values: Any) -> Sentence:
    """Return a sentence in the language of the moment, its `{names}` filled with the values."""
    return Sentence.make(message, None, 1, values)


def ngettext(one: str, many: str, n: int, **values: Any) -> Sentence:
    """Return the sentence that fits the number `n`, which is one of its values: 0 is one in French."""
    return Sentence.make(one, many, n, {"n": n, **values})


def gettext_noop(message: str) -> str:
    """Mark a sentence for the catalogue, to be translated where it is used."""
    return message


def in_english(text: str) -> str:
    """Return a sentence in English, or a text that is none of ours as it is."""
    return text.english if isinstance(text, Sentence) else text


def translate(text: str) -> str:
    """Return a sentence in the language of the moment; it may have been made in another."""
    return text.with_values(str) if isinstance(text, Sentence) else text


def without_stop(text: str) -> str:
    """Return a sentence without its full stop, to stand within another one."""
    return text.without_stop() if isinstance(text, Sentence) else text.rstrip(".")


def current_language() -> str:
    """Return `en` or `fr`: of the block, of the program, or of `VAVASMS_LANG`; English without them."""
    block = _blocks["language"].get() if _blocks else None
    return block or _program or read_language(os.environ.get("VAVASMS_LANG", "")) or "en"


def set_language(language: str | None) -> str | None:
    """Set the language of this program and return the one before; None leaves it to `VAVASMS_LANG`.

    Raises `ValueError` for one that we do not speak.
    """
    global _program
    before, _program = _program, None if language is None else _check_language(language)
    return before


@contextmanager
def language_set(language: str) -> Iterator[None]:
    """Set the language while the block runs, for this task only.

    Raises `ValueError` for one that we do not speak.
    """
    language = _check_language(language)
    # Here, since a program that speaks one language needs none.
    from contextvars import ContextVar

    # In one step: two threads may come to it at once.
    block = _blocks.setdefault("language", ContextVar("vavasms_language", default=None))
    token = block.set(language)
    try:
        yield
    finally:
        block.reset(token)


def _check_language(text: str) -> str:
    # Here, and not when a sentence is made: that would come in place of the error that it speaks of.
    language = read_language(text)
    if language is None:
        raise ValueError(f"{text!r} is none of {', '.join(LANGUAGES)}")
    return language


@lru_cache(maxsize=32)
def read_language(text: str) -> str | None:
    """Return the language that a locale names (`fr`, `fr_CI.UTF-8`, `C`), or None for one we do not speak."""
    code = text.replace("-", "_").partition("_")[0].partition(".")[0].casefold()
    return code if code in LANGUAGES else None


def known_sentences(language: str) -> list[str]:
    """Return the English sentences that a language has a translation of, plurals not among them."""
    return [text for text in getattr(_load(language), "_catalog", {}) if isinstance(text, str)]


def format_number(value: float | Decimal, language: str | None = None) -> str:
    """Return a number as a language writes it: `1,234.5`, `1 234,5` (with no-break spaces)."""
    text = f"{value:,}" if isinstance(value, int | float) else f"{value:,f}"
    # Not CLDR's narrow space: a Windows console's code page lacks it.
    return text if (language or current_language()) == "en" else text.translate({44: "\xa0", 46: ","})


def format_moment(value: datetime, language: str | None = None) -> str:
    """Return a moment as a language writes it: `2026-11-28 14:05`, `28/11/2026 14:05`."""
    return value.strftime("%Y-%m-%d %H:%M" if (language or current_language()) == "en" else "%d/%m/%Y %H:%M")


def _render(one: str, many: str | None, n: int, values: Mapping[str, Any], language: str) -> str:
    template = _find(one, many, n, language)
    if not values:
        return template
    return template.format(**{name: _show(value, language) for name, value in values.items()})


def _find(one: str, many: str | None, n: int, language: str) -> str:
    # An empty text names the catalogue's own header.
    if language == "en" or not one:
        return one if many is None or n == 1 else many
    catalogue = _load(language)
    return catalogue.gettext(one) if many is None else catalogue.ngettext(one, many, n)


def _change(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, Sentence):
        return value.with_values(change)
    return change(value) if isinstance(value, str) else value


def _show(value: object, language: str) -> str:
    if type(value) is str:
        return value
    if isinstance(value, Sentence):
        return value.said_in(language)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return format_number(value, language)
    return format_moment(value, language) if isinstance(value, datetime) else str(value)


@cache
def _load(language: str) -> _Catalogue:
    # Here, since whoever reads English needs neither.
    from gettext import GNUTranslations
    from importlib.resources import files

    with (files("vavasms.i18n") / f"{language}.mo").open("rb") as file:
        return GNUTranslations(file)
