"""The rows of a list that are left out, as CSV that a person can mend and load again."""

from __future__ import annotations

import csv
import re
from typing import IO, Self

from vavasms.campaigns.planning.contacts import ContactList
from vavasms.campaigns.planning.contacts.reader import Line
from vavasms.campaigns.planning.planner import OnLeftOut
from vavasms.i18n import gettext as _

#: A French Excel parts its cells by it.
EXCEL_DELIMITER = ";"
_is_number = re.compile(r"\+?[0-9]+").fullmatch
#: First, for a row may have more cells than its header.
_OWN = ("line", "reason")
#: What a spreadsheet takes for a formula, and is no number.
_is_formula = re.compile(r"[=@\t\r]|[+-](?![\d .()-]*$)").match


class RefusedFile:
    """A file of rows that are left out."""

    def __init__(self, file: IO[str], *, excel: bool = False) -> None:
        self._writer = csv.writer(file, delimiter=EXCEL_DELIMITER if excel else ",", lineterminator="\n")
        self._excel = excel
        self._skipped = 0
        self._phone: int | None = None

    def begin(self, contacts: ContactList) -> Self:
        """Write the header of a list, without what such a file added to it before."""
        self._skipped = len(_OWN) if contacts.columns[: len(_OWN)] == _OWN else 0
        self._phone = contacts.phone_index
        self._writer.writerow([*_OWN, *map(_guard, contacts.columns[self._skipped :] or ("phone",))])
        return self

    def write(self, contact: Line, reason: str) -> None:
        """Write one row; of a cell with several numbers only the one that is left out."""
        row, phone, cells = contact
        whole = list(map(_guard, cells or (phone,)))
        whole[self._phone or 0] = keep_digits(_guard(phone)) if self._excel else _guard(phone)
        # For people: who reads this file mends it.
        self._writer.writerow([row, _(reason), *whole[self._skipped :]])

    def on_left_out(self, contacts: ContactList) -> OnLeftOut:
        """Begin the file, and return what a planner calls with each row it leaves out."""
        return self.begin(contacts).write


def keep_digits(number: str) -> str:
    """Write a phone number so that Excel takes no zero from it, and makes no 2,25E+12 of it."""
    return f'="{number}"' if _is_number(number) else number


def _guard(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) else cell
