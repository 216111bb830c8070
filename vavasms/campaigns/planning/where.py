"""Conditions on the rows of a list: `ville=Bouaké`, `montant>=1000`. Pure."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache, reduce
from typing import Any

from attrs import field, frozen

from vavasms.campaigns.planning.contacts.columns import NO_VALUES, find_columns
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

#: A test of the cells of a row.
Keeps = Callable[[Sequence[str]], bool]

_CONDITION = re.compile(r"(?P<column>.+?)\s*(?P<sign>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.DOTALL)
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BLANKS = re.compile(r"[\s\u00a0\u202f]+")
_NOT_A_CONDITION = N_(
    "{text} is no condition: write it like ville=Bouaké or montant>=1000; nothing was sent."
)
#: Cells whose spelling or number is kept: those of a column are often few.
_MOST_SPELLINGS = 10_000
#: Far fewer digits than Python refuses to read.
_DIGITS = 19


@frozen(kw_only=True)
class Condition:
    """What a row must hold; `parse_condition` makes it."""

    #: As it was written.
    text: str = field(repr=False)
    column: str
    sign: str
    value: str = field(repr=False)

    def bind(self, names: Sequence[str]) -> Keeps:
        """Find the column in a list's header. Raises `InvalidInputError` where there is none such."""
        (position,) = find_columns((self.column,), names)
        accepts = self._test()
        return lambda cells: accepts(cells[position] if position < len(cells) else "")

    def _test(self) -> Callable[[str], bool]:
        wanted = _spell(self.value)
        if self.sign == "=":
            return lambda cell: _spell(cell) == wanted
        if self.sign == "!=":
            return lambda cell: _spell(cell) != wanted
        if self.sign == "~":
            return lambda cell: wanted in _spell(cell)
        order, limit = _ORDERS[self.sign], _measure(self.value)
        kind = type(limit)
        is_whole = isinstance(limit, Decimal) and limit == int(limit)
        whole = int(limit) if isinstance(limit, Decimal) else 0

        def compare(cell: str) -> bool:
            # Most numbers are plain digits, and most lists are long.
            if is_whole and len(cell) < _DIGITS and cell.isdecimal():
                return order(int(cell), whole)
            measure = _measure(cell)
            # A cell that is no number, or no date, is neither more nor less.
            return type(measure) is kind and order(measure, limit)

        return compare


def parse_condition(text: str) -> Condition:
    """Read a condition: a column, a sign and a value.

    `=` and `!=` compare texts, whatever their case and blanks; without a value they ask whether a cell is
    empty, which it is too where it says `NULL` or `#N/A`. `~` asks whether a cell contains the value. `<`,
    `<=`, `>` and `>=` compare numbers (`1 000,50` and `1,000.50` are the same) and dates (2026-12-01); for a
    cell that is neither they do not hold.

    Raises `InvalidInputError` for another form, and for an order of what is no number and no date.
    """
    match = _CONDITION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or (match["sign"] == "~" and not match["value"]):
        raise InvalidInputError(_(_NOT_A_CONDITION, text=repr(text)[:60]), error_code="list.where")
    condition = Condition(text=text.strip(), column=match["column"], sign=match["sign"], value=match["value"])
    if condition.sign in _ORDERS and _measure(condition.value) is None:
        raise InvalidInputError(
            _(
                "{text} compares with what is no number and no date such as 2026-12-01; nothing was sent.",
                text=repr(text)[:60],
            ),
            error_code="list.where",
        )
    return condition


def bind_conditions(conditions: Sequence[Condition], names: Sequence[str]) -> Keeps | None:
    """Return what tells whether all of them hold for a row; None where there are none.

    Raises `InvalidInputError` for a column that the list does not have.
    """
    tests = [condition.bind(names) for condition in conditions]
    return reduce(_both, tests) if tests else None


def _both(first: Keeps, second: Keeps) -> Keeps:
    # `all` over a generator takes twice as long.
    return lambda cells: first(cells) and second(cells)


@lru_cache(_MOST_SPELLINGS)
def _spell(cell: str) -> str:
    """Return a cell as it is compared: one spelling of each letter, no case, single blanks."""
    if cell.strip() in NO_VALUES:
        return ""
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", cell)).strip().casefold()


@lru_cache(_MOST_SPELLINGS)
def _measure(cell: str) -> Decimal | date | None:
    """Return the number or the date that a cell holds; None where it holds neither."""
    text = _BLANKS.sub("", cell)
    try:
        return date.fromisoformat(text[:10]) if text[4:5] == "-" and text[:4].isdecimal() else _number(text)
    except (InvalidOperation, ValueError):
        return None


def _number(text: str) -> Decimal:
    """Read a number; a comma is the decimal mark, unless there is a point. Raises `InvalidOperation`."""
    number = Decimal(text.replace(",", "") if "." in text else text.replace(",", "."))
    if not number.is_finite():
        raise InvalidOperation
    return number
