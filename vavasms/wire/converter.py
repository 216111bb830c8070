"""The border between the gateway's JSON and typed values: one strict cattrs converter.

cattrs alone turns `True` into 1 and anything into text; these hooks refuse what is not plainly
meant, and no cattrs exception leaves this module.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from cattrs import Converter

T = TypeVar("T")


class MisshapenError(Exception):
    """The data of a reply is not of the documented shape."""


def _structure_text(value: object, _: type) -> str:
    # PHP writes an id made of digits as a number.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        return str(value)
    if not isinstance(value, str):
        raise TypeError("text expected")
    # JSON can spell half a character; no terminal, file or database takes one.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _structure_decimal(value: object, _: type) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("number expected")
    amount = Decimal(str(value).strip())
    if not amount.is_finite():
        raise ValueError("finite number expected")
    return amount


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(str, _structure_text)
    converter.register_structure_hook(Decimal, _structure_decimal)
    return converter


def structure(data: Any, shape: type[T]) -> T:
    """Turn decoded JSON into `shape`, or raise `MisshapenError`."""
    try:
        return _converter().structure(data, shape)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        pass
    # Outside the except block: cattrs' errors hold the data.
    raise MisshapenError(f"not a {shape}")


def text_or(value: object, default: str) -> str:
    """Read a text that may be missing: an answer that says "accepted" stays accepted without it."""
    try:
        return _structure_text(value, str)
    except TypeError:
        return default


def texts_of(value: object) -> tuple[str, ...]:
    """Read a list of texts; one text stands for a list of one, anything else for none."""
    items: list[Any] = value if isinstance(value, list) else [value]
    if {*map(type, items)} == {str} and "".join(items).isascii():
        # What the gateway sends: a hundred ids are not looked at one by one.
        return tuple(items)
    try:
        return tuple([_structure_text(item, str) for item in items])
    except TypeError:
        return ()
