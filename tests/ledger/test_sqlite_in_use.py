"""The mark and the locks of a ledger's file: what is in the way is said before anything can be sent."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest

from vavasms.errors import ConfigurationError, LedgerBusyError, LedgerError, Outcome
from vavasms.ledger.sqlite.identity import log_path, read_identity
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten seconds in earnest.
    monkeypatch.setattr("vavasms.storage.sqlite.database.BUSY_SECONDS", 0.05)


@contextmanager
def read_on(path: Path) -> Iterator[None]:
    """Read a file from one moment on, as a program does that never ends its transaction."""
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM campaign").fetchall()
        yield
    finally:
        reader.close()


async def be_refused(ledger: SqliteLedger, error: type[LedgerError], words: str) -> None:
    """Try to be the runner of a ledger, and see that nothing was sent."""
    with pytest.raises(error, match=words) as raised:
        async with ledger.take_over(0.0):
            pytest.fail("it was taken over")
    assert raised.value.outcome is Outcome.NOT_SENT


@pytest.mark.usefixtures("_hasty")
async def test_a_ledger_that_somebody_reads_all_the_time_has_no_runner_until_that_ends(path: Path) -> None:
    async with await SqliteLedger.open(path) as ledger:
        with read_on(path):
            # As its mark is to be put on; then as the one that stayed is to be taken off.
            for _ in range(2):
                await be_refused(ledger, LedgerError, "close what reads it. Nothing was sent")
        async with ledger.take_over(0.0) as orphans:
            assert orphans == {}
    assert await SqliteLedger.examine(path) is None


@pytest.mark.usefixtures("_hasty")
async def test_who_reads_as_a_run_ends_leaves_the_file_whole(path: Path) -> None:
    async with await SqliteLedger.open(path) as ledger:
        with ExitStack() as reading:
            async with ledger.take_over(0.0):
                reading.enter_context(read_on(path))
                # What is written since cannot go into the file.
                await ledger.add_opt_outs([Msisdn("+2250700000101")], source="cli", now=1.0)
            # The mark stayed, and its log with it.
            assert (await ledger._database.read(read_identity)).in_use
    assert await SqliteLedger.examine(path) is None
    async with await SqliteLedger.open(path) as ledger, ledger.take_over(0.0) as orphans:
        assert orphans == {}


async def test_a_file_whose_mark_cannot_be_taken_off_keeps_its_log(path: Path) -> None:
    # What a full disk does: the generation cannot be written beside the file.
    in_the_way = path.with_name("ledger.db.generation.new")
    async with await SqliteLedger.open(path) as ledger, ledger.take_over(0.0):
        in_the_way.mkdir()
    assert log_path(path).exists()
    in_the_way.rmdir()
    async with await SqliteLedger.open(path) as ledger, ledger.take_over(0.0) as orphans:
        assert orphans == {}


#: A runner that is killed; a program that has the ledger open as it ends, and does not close it.
KILLED = "    async with ledger.take_over(0.0):\n        os._exit(9)"
UNCLOSED = "    kept.append(ledger)"


async def run_program(path: Path, end: str) -> int:
    """Run a program that opens a ledger; return its exit code."""
    program = f"""
import os, sys, anyio
from vavasms.ledger.sqlite.ledger import SqliteLedger
kept = []
async def main():
    ledger = await SqliteLedger.open(sys.argv[1])
{end}
anyio.run(main)
"""
    return (await anyio.run_process([sys.executable, "-c", program, str(path)], check=False)).returncode


#: One that dies as it takes its mark off, before the file itself has that; one that dies as it puts its own on.
UNMARKING = """
    checkpoint = ledger._database.checkpoint
    async def die(mode, **options):
        if mode == "TRUNCATE":
            os._exit(9)
        return await checkpoint(mode, **options)
    ledger._database.checkpoint = die
    async with ledger.take_over(0.0):
        pass
"""
MARKING = """
    from vavasms.ledger.sqlite.identity import read_identity
    checkpoint = ledger._database.checkpoint
    async def die(mode, **options):
        if (await ledger._database.read(read_identity)).in_use:
            os._exit(9)
        return await checkpoint(mode, **options)
    ledger._database.checkpoint = die
    async with ledger.take_over(0.0):
        pass
"""


async def test_two_that_die_in_a_row_leave_a_file_and_its_log_that_are_one(path: Path) -> None:
    for end in (UNMARKING, MARKING):
        assert await run_program(path, end) == 9
        assert await SqliteLedger.examine(path) is None
    async with await SqliteLedger.open(path) as ledger, ledger.take_over(0.0) as orphans:
        assert orphans == {}


@pytest.mark.slow
async def test_a_program_that_does_not_close_a_ledger_leaves_the_log_of_a_runner_that_died(
    path: Path,
) -> None:
    for end, code in ((KILLED, 9), (UNCLOSED, 0)):
        assert await run_program(path, end) == code
        assert log_path(path).exists()
    assert await SqliteLedger.examine(path) is None


@pytest.mark.slow
async def test_a_runner_that_dies_as_a_ledger_is_closed_leaves_its_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_too_early(*_: object) -> None:
        assert await run_program(path, KILLED) == 9

    monkeypatch.setattr("vavasms.ledger.sqlite.ledger.unmark_abandoned", look_too_early)
    await (await SqliteLedger.open(path)).aclose()
    assert log_path(path).exists()
    assert await SqliteLedger.examine(path) is None


async def test_a_runner_is_kept_out_where_the_lock_beside_the_file_was_deleted(path: Path) -> None:
    async with await SqliteLedger.open(path) as ledger, await SqliteLedger.open(path) as other:
        async with ledger.take_over(0.0):
            await be_refused(other, LedgerBusyError, "Another runner is at work")
            path.with_name("ledger.db.lock").unlink()
            await be_refused(other, LedgerBusyError, "Another runner is at work")
        async with other.take_over(0.0) as orphans:
            assert orphans == {}


async def test_a_lock_that_cannot_be_made_is_one_sentence(path: Path) -> None:
    path.with_name("ledger.db.lock").mkdir()
    async with await SqliteLedger.open(path) as ledger:
        await be_refused(ledger, LedgerError, r"^The lock of the ledger .* cannot be taken: [^.]+\.$")
        assert not (await ledger._database.read(read_identity)).in_use


async def test_without_its_extra_a_runner_is_told_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    async with await SqliteLedger.open(path) as ledger:
        with pytest.raises(ConfigurationError, match=r"pip install 'vavasms\[campaigns\]'"):
            async with ledger.take_over(0.0):
                pytest.fail("it was taken over")


async def test_a_file_that_is_open_in_this_program_is_neither_examined_nor_recovered(path: Path) -> None:
    async with await SqliteLedger.open(path):
        for call in (SqliteLedger.examine, SqliteLedger.recover):
            with pytest.raises(LedgerError, match="is open in this program"):
                await call(path)
