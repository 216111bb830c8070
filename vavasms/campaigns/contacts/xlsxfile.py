"""Spreadsheets, XLSX and whatever else calamine reads: which sheet, and its records as text.

Needs the extra: `pip install "vavasms[xlsx]"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from typing import BinaryIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from vavasms.campaigns.contacts.columns import show_name
from vavasms.campaigns.contacts.csvfile import refusal

#: From here on a spreadsheet's number, which is a float, may have lost digits.
_EXACT = 2**53
_NAMES_SHOWN = 10


def read_sheet(stream: BinaryIO, name: str, wanted: str | None) -> Iterator[tuple[int, list[str]]]:
    """Give each record that holds anything, with its row as the spreadsheet counts it, from 1.

    It is the sheet `wanted`, or the first visible one that holds anything; the library reads it whole.
    Raises `InvalidInputError` for a file or a sheet of no use.
    """
    try:
        sheet = _choose(load_workbook(stream), name, wanted)
        # Rows are given from the first of the sheet on, empty or not.
        for row, cells in enumerate(sheet.iter_rows(), start=1):
            record = [cell if isinstance(cell, str) else to_text(cell) for cell in cells]
            if any(record):
                yield row, record
        return
    except (CalamineError, OSError):
        # The library seldom tells these apart.
        why = "is locked with a password, damaged, or no spreadsheet: save it as CSV first"
    raise refusal(name, why)


def to_text(value: object) -> str:
    """Write a typed cell as text: whole numbers without a point, dates by ISO 8601, booleans in capitals."""
    match value:
        case bool():
            return str(value).upper()
        case float() if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        case date() | time():
            return value.isoformat()
    return str(value)


def _choose(workbook: CalamineWorkbook, name: str, wanted: str | None) -> CalamineSheet:
    sheets = [one for one in workbook.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    names = [one.name for one in sheets]
    if wanted is not None and wanted in names:
        return workbook.get_sheet_by_name(wanted)
    if wanted is not None:
        shown = ", ".join(map(show_name, names[:_NAMES_SHOWN]))
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        raise refusal(name, f"has no sheet {wanted!r}: its sheets are {shown}{more}")
    # Nobody has looked at the numbers of a hidden sheet.
    for one in sheets:
        if one.visible == SheetVisibleEnum.Visible:
            sheet = workbook.get_sheet_by_name(one.name)
            if sheet.height:
                return sheet
    raise refusal(name, "is empty")
