"""What is fuzzed: a law over bytes, and where to begin."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from attrs import field, frozen


@frozen(kw_only=True)
class Target:
    """A law that any input has to keep, and what makes inputs that go far."""

    #: Raises whatever is no documented error, and `AssertionError` where the law is broken.
    check: Callable[[bytes], None]
    #: Inputs that are well formed.
    seeds: tuple[bytes, ...] = field(repr=False)
    #: What inputs are made of.
    tokens: tuple[bytes, ...] = field(repr=False)
    #: Bytes of an input at most.
    longest: int = 4096
    #: Examples that take about a second: the share of the test suite.
    smoke: int = 300


def words(text: str) -> tuple[bytes, ...]:
    """Return the words of a text as bytes, escapes as Python has them: a blank is written `\\x20`."""
    return tuple(word.encode().decode("unicode_escape").encode("latin-1") for word in text.split())


#: Each target by its name, with the packages beside `vavasms` whose branches guide the search.
TARGETS = {
    "envelope": ("json5",),
    "inbound": ("email",),
    "csv": (),
    "xlsx": (),
    "retry_after": ("email",),
    "template": (),
    "sandbox": ("starlette",),
}


def load_target(name: str) -> Target:
    """Return a target; its module is imported only now."""
    return cast(Target, import_module(f"tests.fuzz.laws.{name}").TARGET)
