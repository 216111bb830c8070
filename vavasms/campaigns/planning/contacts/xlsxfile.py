"""Spreadsheets, XLSX and whatever else calamine reads: which sheet, and its records as text.

Needs the extra: `pip install "vavasms[xlsx]"`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import BinaryIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from vavasms.campaigns.planning.contacts.columns import show_name
from vavasms.campaigns.planning.contacts.xlsxextent import find_far_corner
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

#: From here on a spreadsheet's number, which is a float, may have lost digits.
_EXACT = 2**53
#: As many digits of a number does a spreadsheet show.
_DIGITS = 15
_NAMES_SHOWN = 10


def read_sheet(
    stream: BinaryIO, name: str, wanted: str | None
) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Return the name of a sheet, and each record that holds anything with its row, counted from 1.

    It is the sheet `wanted`, or the first visible one that holds anything; the library reads it whole.
    Raises `InvalidInputError` for a file or a sheet of no use.
    """
    try:
        workbook = load_workbook(stream)
        sheet = _choose(workbook, name, wanted, partial(_load, workbook, stream, name))
    except (CalamineError, OSError):
        sheet = None
    if sheet is None:
        raise _damaged(name)
    return sheet.name, _read_rows(sheet, name)


def name_sheets(stream: BinaryIO) -> tuple[str, ...]:
    """Return the names of the sheets of a spreadsheet that `read_sheet` reads."""
    return tuple(one.name for one in _list_sheets(load_workbook(stream)))


def _list_sheets(workbook: CalamineWorkbook) -> list[SheetMetadata]:
    return [one for one in workbook.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]


def _read_rows(sheet: CalamineSheet, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        # Rows are given from the first of the sheet on, empty or not.
        for row, cells in enumerate(sheet.iter_rows(), start=1):
            record = [cell if isinstance(cell, str) else to_text(cell) for cell in cells]
            if any(record):
                yield row, record
        return
    except (CalamineError, OSError):  # pragma: no cover  this version reads the sheet when it is chosen
        pass
    raise _damaged(name)  # pragma: no cover


def _damaged(name: str) -> InvalidInputError:
    # The library seldom tells these apart.
    return InvalidInputError(
        _(
            "{name} is locked with a password, damaged, or no spreadsheet: save it as CSV first. "
            "Nothing was sent.",
            name=name,
        ),
        error_code="list.format",
    )


def to_text(value: object) -> str:
    """Write a typed cell as its sheet shows it: at most 15 digits, days as `05/01/2026`."""
    match value:
        case bool():
            return str(value).upper()
        case int() | float():
            return _write_number(value)
        case datetime():
            return _write_moment(value)
        case date():
            return f"{value:%d/%m/%Y}"
        case time():
            return f"{value:%H:%M}"
        case timedelta():
            minutes = round(value.total_seconds()) // 60
            return f"{minutes // 60}:{minutes % 60:02}"
    return str(value)


def _write_number(value: float) -> str:
    if abs(value) < _EXACT and value == int(value):
        return str(int(value))
    shown = f"{value:.{_DIGITS}g}"
    # What lost its last digits keeps its exponent, for the judge to see.
    return shown if not abs(value) < _EXACT else f"{Decimal(shown):f}"


def _write_moment(value: datetime) -> str:
    """Write day and time, the time not where it is midnight; a sheet's moments are fractions of a day."""
    moment = (value + timedelta(milliseconds=500)).replace(microsecond=0)
    return f"{moment:%d/%m/%Y}" if moment.time() == time() else f"{moment:%d/%m/%Y %H:%M}"


def _load(workbook: CalamineWorkbook, stream: BinaryIO, name: str, title: str) -> CalamineSheet:
    """Read a sheet whole. Raises `InvalidInputError` for one that memory could not hold."""
    corner = find_far_corner(stream, title)
    if corner is None:
        return workbook.get_sheet_by_name(title)
    raise InvalidInputError(
        _(
            "The sheet {sheet} of {name} reaches to row {row} of column {column}, beyond any list: delete "
            "what stands far off, or save it as CSV. Nothing was sent.",
            name=name,
            sheet=show_name(title),
            row=str(corner.row),
            column=corner.column,
        ),
        error_code="list.too_large",
    )


def _choose(
    workbook: CalamineWorkbook, name: str, wanted: str | None, load: Callable[[str], CalamineSheet]
) -> CalamineSheet:
    sheets = _list_sheets(workbook)
    names = [one.name for one in sheets]
    if wanted is not None and wanted in names:
        return load(wanted)
    if wanted is not None:
        shown = ", ".join(map(show_name, names[:_NAMES_SHOWN]))
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        raise InvalidInputError(
            _(
                "{name} has no sheet {sheet}: its sheets are {sheets}. Nothing was sent.",
                name=name,
                sheet=repr(wanted),
                sheets=shown + more,
            ),
            error_code="list.sheet",
        )
    # Nobody has looked at the numbers of a hidden sheet.
    for one in sheets:
        if one.visible == SheetVisibleEnum.Visible:
            sheet = load(one.name)
            if sheet.height:
                return sheet
    raise InvalidInputError(_("{name} is empty. Nothing was sent.", name=name), error_code="list.empty")
