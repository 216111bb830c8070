"""`--refused FILE`: the rows that are left out, as CSV that a person can mend and load again."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Self

from cyclopts import Parameter

from vavasms.campaigns.planning.contacts import ContactList
from vavasms.campaigns.planning.contacts.reader import Line
from vavasms.cli.excel import DELIMITER, keep_digits
from vavasms.cli.file_faults import name_fault
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

RefusedPath = Annotated[
    str | None,
    Parameter(
        name="--refused",
        metavar="FILE",
        show_default=False,
        help=_("Write the rows that are left out to a CSV file, each with its line and the reason."),
    ),
]
#: First, for a row may have more cells than its header.
_OWN = ("line", "reason")
#: What a spreadsheet takes for a formula, and is no number.
_is_formula = re.compile(r"[=@\t\r]|[+-](?![\d .()-]*$)").match


class RefusedFile:
    """A file of rows that are left out."""

    def __init__(self, file: IO[str], *, excel: bool = False) -> None:
        self._writer = csv.writer(file, delimiter=DELIMITER if excel else ",", lineterminator="\n")
        self._excel = excel
        self._skipped = 0
        self._phone: int | None = None

    def begin(self, contacts: ContactList) -> Self:
        """Write the header of a list, without what such a file added to it before."""
        self._skipped = len(_OWN) if contacts.columns[: len(_OWN)] == _OWN else 0
        self._phone = contacts.phone_index
        self._writer.writerow([*_OWN, *(contacts.columns[self._skipped :] or ("phone",))])
        return self

    def write(self, contact: Line, reason: str) -> None:
        """Write one row; of a cell with several numbers only the one that is left out."""
        row, phone, cells = contact
        whole = list(map(_guard, cells or (phone,)))
        whole[self._phone or 0] = keep_digits(_guard(phone)) if self._excel else _guard(phone)
        # For people: who reads this file mends it.
        self._writer.writerow([row, _(reason), *whole[self._skipped :]])


@contextmanager
def open_refused(path: str | None, contacts: str, *, excel: bool = False) -> Iterator[RefusedFile | None]:
    """Open the file while the block runs, which only its owner may read; None where nobody asked for it.

    What it held is gone. Raises `InvalidInputError` where it cannot be written, or is the list itself, or
    where `--excel` says how a file is written that nobody named.
    """
    if path is None and excel:
        raise InvalidInputError(
            _("--excel says how --refused is written: add --refused FILE. Nothing was sent."),
            error_code="usage.options",
        )
    if path is None:
        yield None
        return
    if contacts != "-" and _is_same(path, contacts):
        raise InvalidInputError(
            _("The file of --refused is the list itself: name another. Nothing was sent."),
            error_code="list.refused_file",
        )
    # Excel takes a CSV for UTF-8 by its mark only.
    with os.fdopen(_create(path), "w", encoding="utf-8-sig", errors="replace", newline="") as file:
        yield RefusedFile(file, excel=excel)


def _create(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except (OSError, ValueError) as error:
        why = name_fault(error)
    raise InvalidInputError(
        _("The file of --refused cannot be written ({why}). Nothing was sent.", why=why),
        error_code="list.refused_file",
    )


def _is_same(path: str, contacts: str) -> bool:
    try:
        return Path(path).samefile(contacts)
    except (OSError, ValueError):
        return False


def _guard(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) else cell
