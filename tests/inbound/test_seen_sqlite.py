"""The seen store in a file: private, ours, and after a kill it knows what was left in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from vavasms.errors import ConfigurationError, LedgerError
from vavasms.inbound.seen.base import ClaimStatus
from vavasms.inbound.seen.process_lock import PATIENCE, ProcessLock
from vavasms.inbound.seen.sqlite import SqliteSeenStore
from vavasms.ledger.sqlite.ledger import SqliteLedger

pytestmark = pytest.mark.anyio

SAME = b"s" * 16
#: Handles one message, has another in hand, says so and waits for its end.
KILLED = """
import asyncio, sys
from vavasms.inbound.seen.sqlite import SqliteSeenStore

async def main():
    store = await SqliteSeenStore.open(sys.argv[1])
    await store.claim("done", b"s" * 16, "dead")
    await store.commit("done", b"s" * 16, "dead")
    await store.claim("open", b"s" * 16, "dead")
    print("ready", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def start(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="there the lease alone tells")
async def test_after_a_kill_what_was_in_hand_is_claimed_at_once_and_what_was_committed_never(
    tmp_path: Path,
) -> None:
    kill(start(tmp_path / "seen.db"))
    async with await SqliteSeenStore.open(tmp_path / "seen.db") as store:
        assert await store.claim("open", SAME, "me") is ClaimStatus.CLAIMED
        assert await store.claim("done", SAME, "me") is ClaimStatus.HANDLED


async def test_while_another_lives_its_claims_stand(tmp_path: Path) -> None:
    process = start(tmp_path / "seen.db")
    try:
        async with await SqliteSeenStore.open(tmp_path / "seen.db") as store:
            assert await store.claim("open", SAME, "me") is ClaimStatus.BUSY
    finally:
        kill(process)


async def test_beside_a_second_one_the_claims_of_a_killed_process_run_out_with_their_lease(
    tmp_path: Path,
) -> None:
    now = 1_000_000.0
    async with await SqliteSeenStore.open(tmp_path / "seen.db", clock=lambda: now) as store:
        async with await SqliteSeenStore.open(tmp_path / "seen.db", clock=lambda: now) as killed:
            await killed.claim("open", SAME, "dead")
        async with await SqliteSeenStore.open(tmp_path / "seen.db", clock=lambda: now) as third:
            assert await third.claim("open", SAME, "me") is ClaimStatus.BUSY
        now += store.lease
        assert await store.claim("open", SAME, "me") is ClaimStatus.CLAIMED


async def test_a_clock_that_was_set_back_locks_nothing_up(tmp_path: Path) -> None:
    now = 1_000_000.0
    async with await SqliteSeenStore.open(tmp_path / "seen.db", clock=lambda: now) as store:
        await store.claim("open", SAME, "dead")
        now -= 86_400
        assert await store.claim("open", SAME, "me") is ClaimStatus.CLAIMED


async def test_its_files_are_nobody_elses_and_hold_neither_number_nor_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "seen.db"
    async with await SqliteSeenStore.open(path) as store:
        await store.claim("SM-1", SAME, "me")
        if os.name == "posix":
            modes = {each.name: oct(each.stat().st_mode & 0o777) for each in path.parent.iterdir()}
            assert set(modes.values()) == {"0o600"}, modes
            assert path.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT message_id, length(digest), owner FROM seen").fetchall()
    assert rows == [("SM-1", 16, "me")]


async def test_a_file_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    async with await SqliteLedger.open(tmp_path / "ledger.db"):
        pass
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(ConfigurationError):
        await SqliteSeenStore.open(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").read_bytes() == before


async def test_where_no_lock_can_be_had_nobody_is_believed_to_be_alone(tmp_path: Path) -> None:
    alone = []

    async def note() -> None:
        alone.append(True)

    (tmp_path / "seen.db.lock").mkdir()
    (await ProcessLock.acquire(tmp_path / "seen.db", note)).release()
    assert alone == []


async def test_an_opening_that_fails_closes_the_file_again(tmp_path: Path) -> None:
    async with await SqliteSeenStore.open(tmp_path / "seen.db") as store:
        await store.claim("open", SAME, "me")
    with closing(sqlite3.connect(tmp_path / "seen.db")) as connection:
        connection.execute("CREATE TRIGGER no BEFORE DELETE ON seen BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(LedgerError):
        await SqliteSeenStore.open(tmp_path / "seen.db")
    assert not (tmp_path / "seen.db-wal").exists()


async def test_an_opening_that_fails_leaves_no_lock_behind(tmp_path: Path) -> None:
    async def fail() -> None:
        raise ValueError

    alone = []

    async def note() -> None:
        alone.append(True)

    with pytest.raises(ValueError):
        await ProcessLock.acquire(tmp_path / "seen.db", fail)
    (await ProcessLock.acquire(tmp_path / "seen.db", note)).release()
    assert alone == [True]


async def test_a_clock_that_is_a_little_behind_takes_no_living_claim(tmp_path: Path) -> None:
    path = tmp_path / "inbound.db"
    async with (
        await SqliteSeenStore.open(path, clock=lambda: 1000.0) as one,
        await SqliteSeenStore.open(path, clock=lambda: 995.0) as other,
    ):
        assert await one.claim("SM-1", b"digest", "one") is ClaimStatus.CLAIMED
        assert await other.claim("SM-1", b"digest", "other") is ClaimStatus.BUSY
        await one.commit("SM-1", b"digest", "one")
        assert await other.claim("SM-1", b"digest", "other") is ClaimStatus.HANDLED


@pytest.mark.skipif(os.name == "nt", reason="there the lease alone tells")
async def test_one_who_keeps_the_store_to_himself_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "inbound.db"

    async def open_and_close() -> None:
        async with await SqliteSeenStore.open(path):
            pass

    await open_and_close()
    with path.with_name("inbound.db.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with anyio.move_on_after(0.2) as scope:
            await SqliteSeenStore.open(path)
        assert scope.cancelled_caught
        with pytest.raises(LedgerError, match="does not answer"), anyio.fail_after(PATIENCE - 2):
            await ProcessLock.acquire(path, checkpoint, patience=0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_and_close)
            await anyio.sleep(0.1)
            fcntl.flock(lock, fcntl.LOCK_UN)
