"""The report as a spreadsheet: what a reader of XLSX finds in it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from python_calamine import CalamineWorkbook

from vavasms.campaigns.report import COLUMNS, RecipientReport
from vavasms.campaigns.workbook import write_workbook
from vavasms.errors import LedgerError, Outcome
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

FIRST = 2250700000100


async def produce(*reports: RecipientReport) -> AsyncIterator[RecipientReport]:
    for report in reports:
        yield report


async def write(*reports: RecipientReport, **options: object) -> dict[str, Any]:
    file = io.BytesIO()
    assert await write_workbook(file, produce(*reports), **options) == len(reports)  # type: ignore[arg-type]
    book = CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue()))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def accepted(index: int = 0, **values: object) -> RecipientReport:
    given = {"recipient": Msisdn(FIRST + index), "outcome": Outcome.ACCEPTED}
    return RecipientReport(**{**given, **values})  # type: ignore[arg-type]


async def test_a_recipient_is_a_row_whose_number_is_text_whose_moments_are_moments() -> None:
    report = accepted(
        error="E: é.",
        message_id="m",
        lot_id="L",
        delivery=DeliveryStatus.DELIVERED,
        sent_at=datetime(2026, 7, 1, 12, 0, 5, tzinfo=ZoneInfo("Africa/Abidjan")),
        delivered_at=datetime(2026, 7, 1, 14, 0, 6, tzinfo=ZoneInfo("Europe/Paris")),
        segments=2,
        cost=Decimal("25.5"),
        kept={"nom": "Awa", "solde": "0012"},
    )
    (rows,) = (await write(report, kept=("nom", "solde"))).values()
    noon, two = (datetime.fromisoformat(f"2026-07-01T{hour}") for hour in ("12:00:05", "14:00:06"))
    assert rows == [
        ["recipient", "nom", "solde", *COLUMNS[1:]],
        [
            *[str(FIRST), "Awa", "0012", "accepted", "E: é.", "m", "L"],
            *[noon, "delivered", two, 2.0, 25.5],
        ],
    ]


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+2", "-2", '=HYPERLINK("http://x")'])
async def test_no_cell_is_a_formula_or_a_link(cell: str) -> None:
    (rows,) = (await write(accepted(kept={"nom": cell}, error="http://x.test"), kept=("nom",))).values()
    assert rows[1][1] == f"'{cell}"
    assert rows[1][3] == "http://x.test"


async def test_what_one_sheet_cannot_hold_goes_on_in_the_next() -> None:
    sheets = await write(*map(accepted, range(5)), sheet_rows=2)
    assert {name: [row[0] for row in rows] for name, rows in sheets.items()} == {
        "recipients": ["recipient", str(FIRST), str(FIRST + 1)],
        "recipients 2": ["recipient", str(FIRST + 2), str(FIRST + 3)],
        "recipients 3": ["recipient", str(FIRST + 4)],
    }


async def test_of_nobody_there_is_a_header() -> None:
    (rows,) = (await write()).values()
    assert rows == [list(COLUMNS)]


async def test_a_cell_is_as_long_as_a_spreadsheet_can_hold() -> None:
    (rows,) = (await write(accepted(error="x" * 40_000, message_id="m"))).values()
    assert (rows[1][2], rows[1][3]) == ("x" * 32_767, "m")


async def test_a_ledger_that_fails_leaves_no_file_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> AsyncIterator[RecipientReport]:
        yield accepted()
        raise LedgerError("gone")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = io.BytesIO()
    with pytest.raises(LedgerError):
        await write_workbook(file, fail())
    assert (names(tmp_path), file.getvalue()) == ([], b"")


async def test_a_full_disk_is_an_error_of_the_system() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await write_workbook(Full(), produce(accepted()))
