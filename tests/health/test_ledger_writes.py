"""A ledger that can be read and takes no write is not one that a worker can work with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from tests.sends.test_outbox_worker import TO, connect, decided, working
from vavasms.errors import LedgerError, Outcome
from vavasms.health.monitor import OK, HealthMonitor
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer
from vavasms.sends.outbox_worker import OutboxWorker

pytestmark = pytest.mark.anyio


async def set_pages(ledger: SqliteLedger, spare: int) -> None:
    """Limit the file to so many pages more, as a disk with that much room does."""

    def work(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + spare}")

    await ledger._database.write(work)


async def stop(ledger: Ledger) -> None:
    assert await ledger.add_opt_outs([Msisdn(2250700000001)], source="by hand", now=1.0) == 1


async def until(monitor: HealthMonitor, ledger: str) -> None:
    with anyio.fail_after(10):
        while monitor.readiness.ledger != ledger:
            await anyio.sleep(0.02)


async def test_a_file_that_has_no_room_is_not_ready_until_it_takes_a_write(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    async with (
        await SqliteLedger.open(tmp_path / "sms.db") as ledger,
        connect(sandbox, ledger) as sms,
        anyio.create_task_group() as tasks,
    ):
        monitor = HealthMonitor(account=sms.account, ledger=ledger)
        tasks.start_soon(monitor.run)
        await until(monitor, OK)
        await set_pages(ledger, 0)
        with pytest.raises(LedgerError, match="full"):
            for number in range(1_000):
                await sms.enqueue(TO.format(301), "Texte" * 50, idempotency_key=f"k{number}")
        await until(monitor, LedgerError.default_code)
        # A transaction that changes nothing proves nothing.
        await set_pages(ledger, 1_000)
        with pytest.raises(LedgerError, match="takes no write"):
            await ledger.totals.check()
        async with working(OutboxWorker(sms, ledger)):
            await sms.enqueue(TO.format(302), "Texte", idempotency_key="then")
            await until(monitor, OK)
            (record,) = await decided(sms, "then")
        tasks.cancel_scope.cancel()
    assert record.outcome is Outcome.ACCEPTED


async def test_a_file_that_another_locks_for_long_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "sms.db"
    async with await SqliteLedger.open(path) as ledger:
        await ledger._database.write(lambda c: c.execute("PRAGMA busy_timeout = 50").fetchone())
        await ledger.totals.check()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError):
            await stop(ledger)
        with pytest.raises(LedgerError, match="takes no write"):
            await ledger.totals.check()
        other.execute("ROLLBACK")
        other.close()
        await stop(ledger)
        await ledger.totals.check()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_database_that_is_read_only_is_not_ready_until_it_takes_a_write(postgres: str) -> None:
    set_read_only = "SELECT set_config('default_transaction_read_only', %(value)s, false)"
    async with await PostgresLedger.open(postgres, connections=1) as ledger:
        await ledger.totals.check()
        await ledger._database.call(set_read_only, {"value": "on"})
        with pytest.raises(LedgerError, match="takes no write"):
            await ledger.totals.check()
        with pytest.raises(LedgerError):
            await stop(ledger)
        await ledger._database.call(set_read_only, {"value": "off"})
        # A transaction that changes nothing proves nothing.
        assert not await ledger.sends.claim_due("nobody", token="t", now=0.0, limit=1)
        with pytest.raises(LedgerError, match="takes no write"):
            await ledger.totals.check()
        await stop(ledger)
        await ledger.totals.check()
