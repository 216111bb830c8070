"""The report of a campaign as a spreadsheet, XLSX, a row a recipient.

Needs the extra: `pip install "vavasms[xlsx]"`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import BinaryIO

from attrs import define, field
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from vavasms.campaigns.report import Cell, RecipientReport, csv_columns, guard_cell, report_cells

#: Rows below the header that a sheet can hold, and letters of a cell.
SHEET_ROWS, _LONGEST_CELL = 1_048_575, 32_767
#: Letters that a column shows.
_WIDTH = 22
_WHOLE_SHEET = "A1:XFD1048576"
_MOMENT = "yyyy-mm-dd hh:mm:ss"


async def write_workbook(
    file: BinaryIO,
    reports: AsyncIterable[RecipientReport],
    *,
    kept: Sequence[str] = (),
    sheet_rows: int = SHEET_ROWS,
) -> int:
    """Write recipients to a workbook and return how many; memory stays flat.

    Moments are those of a clock in the campaign's zone. Recipients beyond `sheet_rows` go on to a next sheet.
    """
    written = 0
    with _open_workbook(file) as book:
        sheets = _Sheets(book=book, columns=csv_columns(kept), most=sheet_rows)
        async for report in reports:
            sheets.write(report)
            written += 1
    return written


@contextmanager
def _open_workbook(file: BinaryIO) -> Iterator[Workbook]:
    # The library keeps the rows in files until the end: in this folder nobody else reads them, and they go in
    # any case.
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "report.xlsx"
        book = Workbook(whole, {"constant_memory": True, "tmpdir": folder})
        try:
            yield book
        finally:
            _close(book)
        with whole.open("rb") as written:
            copyfileobj(written, file)


def _close(book: Workbook) -> None:
    try:
        book.close()
    except FileCreateError as error:  # pragma: no cover  the disk is full just then
        raise error.args[0] from None


@define
class _Sheets:
    """The sheets of a workbook, of which the last is being written."""

    book: Workbook
    columns: Sequence[str]
    #: Recipients of a sheet.
    most: int
    _header: Format = field(init=False)
    _moment: Format = field(init=False)
    _sheet: Worksheet = field(init=False)
    #: The row that was written last.
    _row: int = 0

    def __attrs_post_init__(self) -> None:
        self._header = self.book.add_format({"bold": True, "bottom": 1})
        self._moment = self.book.add_format({"num_format": _MOMENT, "align": "left"})
        self._begin()

    def write(self, report: RecipientReport) -> None:
        """Write a recipient below the one before."""
        if self._row == self.most:
            self._begin()
        self._row += 1
        recipient, *cells = report_cells(report)
        for column, cell in enumerate((recipient, *report.kept.values(), *cells)):
            self._write_cell(column, cell)

    def _begin(self) -> None:
        """Begin a sheet, with its header."""
        number = len(self.book.worksheets()) + 1
        self._sheet = self.book.add_worksheet("recipients" if number == 1 else f"recipients {number}")
        self._row = 0
        self._sheet.set_column(0, len(self.columns) - 1, _WIDTH)
        self._sheet.freeze_panes(1, 1)
        # A phone number is a text on purpose.
        self._sheet.ignore_errors({"number_stored_as_text": _WHOLE_SHEET})
        for column, name in enumerate(self.columns):
            self._sheet.write_string(0, column, _to_text(name), self._header)

    def _write_cell(self, column: int, cell: Cell) -> None:
        match cell:
            case None:
                pass
            case datetime():
                self._sheet.write_datetime(self._row, column, cell.replace(tzinfo=None), self._moment)
            case int() | Decimal():
                self._sheet.write_number(self._row, column, cell)
            case _:
                self._sheet.write_string(self._row, column, _to_text(cell))


def _to_text(cell: str) -> str:
    return guard_cell(cell)[:_LONGEST_CELL]
