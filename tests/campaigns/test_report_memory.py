"""A report takes no more memory for a million recipients than for a few."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.one_report import make_ledger

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        sys.platform != "linux", reason="the peak is read from /proc, which this system lacks"
    ),
]
ROOT = Path(__file__).parents[2]
#: MiB of the whole process, of which the imports are 50.
MOST = 150


@pytest.fixture
def anyio_backend() -> str:
    """Return the loop that the ledger is made in; the report is written in another process."""
    return "asyncio"


def measure_peak(ledger: Path, form: str) -> float:
    """Report the campaign in a process of its own; return its peak in MiB."""
    command = [sys.executable, "-m", "benchmarks.one_report", str(ledger), form]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=1_200, check=True)
    peak: int = json.loads(done.stdout)["peak_kib"]
    return peak / 1024


@pytest.mark.slow
async def test_ten_times_the_recipients_take_hardly_more_memory(tmp_path: Path) -> None:
    few, many = tmp_path / "few.db", tmp_path / "many.db"
    await make_ledger(few, 4_000)
    await make_ledger(many, 40_000)
    for form in ("csv", "xlsx", "html"):
        assert measure_peak(many, form) - measure_peak(few, form) < 15


@pytest.mark.full
async def test_a_million_recipients_are_reported_in_little_memory(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    await make_ledger(ledger, 1_000_000)
    for form in ("csv", "xlsx", "json", "html"):
        assert measure_peak(ledger, form) < MOST
