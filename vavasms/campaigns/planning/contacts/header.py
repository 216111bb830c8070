"""Which record is the header, and which column holds the numbers: by names and by cells. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from vavasms.campaigns.planning.contacts import columns
from vavasms.campaigns.planning.contacts.csvfile import HEAD
from vavasms.numbers.faults import NumberFault
from vavasms.numbers.normalize import clean, normalize, split_decimal

_FEWEST_DIGITS, _MOST_DIGITS = 8, 15
_match_date = re.compile(r"\d{4}([./-])\d\d?\1\d\d?|\d\d?([./-])\d\d?\2\d{4}").match
_NUMBERS, _NOTHING, _OTHER = range(3)


@frozen(kw_only=True)
class Place:
    """Where the header is, and the column of the numbers."""

    #: Of the header, among the first records.
    index: int
    column: int
    #: Another column that is as good; None where there is none.
    rival: int | None = None


def find_place(head: Sequence[list[str]], wanted: str | None) -> Place | None:
    """Find the header among the first records, below titles; None where there is none."""
    if wanted is not None:
        return _find_named(head, wanted)
    index = _find_header(head)
    return None if index is None else _choose_column(head[index], head[index + 1 :], index)


def is_header(cells: Sequence[str]) -> bool:
    """Return whether a record names a phone's column and holds no number."""
    holds_number = any(columns.is_data([cell]) for cell in cells)
    return not holds_number and columns.find_phone_column(cells) is not None


def is_number(cell: str) -> bool:
    """Return whether a cell holds a phone number, well or badly written."""
    return any(_is_one_number(part) for part in columns.split_numbers(cell))


def _is_one_number(text: str) -> bool:
    plain = normalize(text)
    if _match_date(plain):
        return False
    cleaned = clean(split_decimal(plain) or plain)
    if cleaned is NumberFault.EXTENSION:
        return columns.is_data([plain])
    if isinstance(cleaned, NumberFault):
        return cleaned is NumberFault.SCIENTIFIC
    return _FEWEST_DIGITS <= len(cleaned[0]) <= _MOST_DIGITS


def _find_named(head: Sequence[list[str]], wanted: str) -> Place | None:
    for index, cells in enumerate(head[:HEAD]):
        column = columns.find_named_column(columns.unique_names(cells), wanted)
        if column is not None:
            return Place(index=index, column=column)
    return None


def _find_header(head: Sequence[list[str]]) -> int | None:
    widest = max(map(_count_filled, head), default=0)
    names = [
        index
        for index in range(_count_above_data(head))
        # A title is one cell above a table.
        if is_header(head[index]) and (widest == 1 or _count_filled(head[index]) > 1)
    ]
    if not names:
        return None
    best = names[0]
    for index in names[1:]:
        are_titles = all(_count_filled(head[above]) == 1 or above in names for above in range(best, index))
        if are_titles and _is_title(head[best], head[index]):
            best = index
    return best


def _count_above_data(head: Sequence[list[str]]) -> int:
    """Count the records above the first that holds a number; in a title of digits stands a date."""
    for index, cells in enumerate(head[:HEAD]):
        following = head[index + 1 : index + 2]
        is_title = _count_filled(cells) == 1 and any(map(is_header, following))
        if any(map(is_number, cells)) and not is_title:
            return index
    return min(len(head), HEAD)


def _is_title(cells: Sequence[str], following: Sequence[str]) -> bool:
    """Return whether a record that sounds like a header stands above the true one."""
    filled, below = _count_filled(cells), _count_filled(following)
    if below == 1 or below > filled:
        return True
    return _best_rank(cells) == columns.VAGUE > _best_rank(following)


def _best_rank(cells: Sequence[str]) -> int:
    return min(rank[1] for rank in map(columns.rank_name, cells) if rank is not None)


def _choose_column(header: list[str], rows: Sequence[list[str]], index: int) -> Place:
    """Rank the columns by name, those with numbers first; what belongs to somebody else stays last."""
    keys = []
    for column, name in enumerate(header):
        rank = columns.rank_name(name)
        if rank is not None:
            last, kind, words = rank
            keys.append(((last, _sample(rows, column), kind, words, _read_ordinal(name)), column))
    keys.sort()
    if any(key[1] != _OTHER for key, _ in keys):
        keys = [(key, column) for key, column in keys if key[1] != _OTHER]
    best, column = keys[0]
    is_tie = best[1] == _NUMBERS and len(keys) > 1 and keys[1][0] == best
    return Place(index=index, column=column, rival=keys[1][1] if is_tie else None)


def _sample(rows: Sequence[list[str]], column: int) -> int:
    """Return what the first cells of a column hold."""
    cells = [row[column] for row in rows if column < len(row) and row[column].strip()]
    if not cells:
        return _NOTHING
    return _NUMBERS if sum(map(is_number, cells)) * 2 >= len(cells) else _OTHER


def _read_ordinal(name: str) -> int:
    """Read the number in `Phone 2 - Value`; 0 where there is none."""
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else 0


def _count_filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)
