"""An answer that was read comes into the ledger, though somebody else writes for longer than it waits."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from tests.campaigns.staging import TEXT, Stage, accepted, connect, phones
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError, LedgerError, Outcome
from vavasms.ledger.models import BatchRecord, Claim
from vavasms.ledger.pending_writes import DRAIN_SECONDS, PendingWrites
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = pytest.mark.anyio

#: Holds the file's lock from a line on, and for so many seconds after the next.
_HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    time.sleep(float(sys.stdin.readline()))
    connection.execute("ROLLBACK")
    print("left", flush=True)
"""


class Holder:
    """Another process that writes in the ledger's file for a long time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def another_process(path: Path) -> Iterator[Holder]:
    command = [sys.executable, "-c", _HOLDER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_runner_that_leaves_writes_the_answers_it_read(
    cancelled: bool, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten seconds in earnest.
    monkeypatch.setattr("vavasms.storage.sqlite.database.BUSY_SECONDS", 1.0)
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.5)
    sandbox.faults.script(*[stall] * 4, path=TEXT)
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path) as ledger, connect(sandbox) as sms:
        with another_process(path) as holder, anyio.fail_after(60):
            async with CampaignRunner(sms, ledger) as runner:
                stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
                campaign_id = await stage.submit(80, batch_size=10, concurrency=4)
                problems: list[BaseException] = []

                async def run() -> None:
                    try:
                        await runner.run(campaign_id)
                    except LedgerError as error:
                        problems.append(error)

                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(run)
                        await accepted(sandbox, 4 if not cancelled else 1)
                        holder.tell("hold")
                        assert await run_sync(holder.hear) == "held"
                        if cancelled:
                            scope.cancel()
                # The busy time-out is over, and the file is still held.
                assert cancelled or "locked" in str(problems[0])
                holder.tell("1.5")
            status = await ledger.status(campaign_id)
        entered = sum(entry.recipients for entry in sandbox.gateway.journal.entries)
        assert (status.sending, status.accepted + status.unknown) == (0, entered)
        assert cancelled or status.unknown == 0
        sandbox.faults.clear()
        async with CampaignRunner(sms, ledger) as runner:
            end = (await runner.run(campaign_id)).status
    assert (end.state, end.queued, end.sending) == (CampaignState.DONE, 0, 0)
    assert stage.received() == dict.fromkeys(phones(80), 1)


class Refusing(MemoryLedger):
    """Does not take the next outcome."""

    refuses: bool = True

    async def settle(self, claim: Claim, event: BatchEvent, record: BatchRecord, **options: Any) -> Any:
        if self.refuses:
            self.refuses = False
            raise LedgerError("The database did not take it.")
        return await super().settle(claim, event, record, **options)


async def test_a_run_that_ends_writes_the_answers_it_read_while_the_runner_goes_on(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    ledger = Refusing()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        campaign_id = await Stage(runner=runner, sandbox=sandbox, folder=tmp_path).submit(4, batch_size=2)
        with pytest.raises(LedgerError):
            await runner.run(campaign_id)
        status = await ledger.status(campaign_id)
        assert (status.accepted, status.sending, status.queued) == (2, 0, 2)


async def test_a_second_cancellation_while_a_run_ends_leaves_its_runner_able_to_end(
    sandbox: SandboxServer, tmp_path: Path, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("only asyncio cancels tasks natively, through a shield")
    away, writes = asyncio.Event(), asyncio.Event()

    class Slow(MemoryLedger):
        """Does not take outcomes for now, and the second time takes long to say so."""

        async def settle(self, claim: Claim, event: BatchEvent, record: BatchRecord, **options: Any) -> Any:
            if not away.is_set():
                away.set()
                raise LedgerError("The database did not take it.")
            writes.set()
            await asyncio.sleep(0.3)
            return await super().settle(claim, event, record, **options)

    ledger = Slow()
    with anyio.fail_after(20):
        async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
            campaign_id = await Stage(runner=runner, sandbox=sandbox, folder=tmp_path).submit(2, batch_size=2)
            task = asyncio.ensure_future(runner.run(campaign_id))
            await writes.wait()
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises((asyncio.CancelledError, LedgerError)):
                await task
        assert (await ledger.status(campaign_id)).accepted == 2


async def test_what_the_ledger_never_takes_is_said_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def refuse() -> None:
        tries.append(1)
        raise LedgerError("The database did not take it.")

    pending = PendingWrites()
    given_up: list[str] = []
    for name in ("one", "two"):
        with pytest.raises(LedgerError):
            await pending.write_or_defer(refuse, partial(given_up.append, name))
    assert given_up == []
    with caplog.at_level(logging.WARNING), anyio.fail_after(DRAIN_SECONDS - 2):
        assert not await pending.drain(0.2)
    assert "did not take, and that are unknown from now on: 2." in caplog.text
    assert (len(tries) > 4, given_up) == (True, ["one", "two"])
    with pytest.raises(LedgerError):
        await pending.flush()
    assert len(pending) == 2


async def test_whoever_is_cut_off_as_it_drains_gives_up_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refuse() -> None:
        raise LedgerError("The database did not take it.")

    pending = PendingWrites()
    given_up: list[str] = []
    with pytest.raises(LedgerError):
        await pending.write_or_defer(refuse, lambda: given_up.append("one"))
    with anyio.move_on_after(0.1) as scope:
        await pending.drain()
    assert (scope.cancelled_caught, given_up) == (True, ["one"])
    assert "unknown from now on: 1." in caplog.text


async def test_what_waits_for_a_discarded_campaign_keeps_no_other_one_waiting(
    sandbox: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Discarding(MemoryLedger):
        """A ledger in which a campaign is paused and discarded in the moment of its first claim."""

        async def claim(self, campaign_id: str, number: int, **options: Any) -> Claim | None:
            if campaign_id == discarded:
                await self.pause(campaign_id, "by hand")
                await self.discard(campaign_id)
            return await super().claim(campaign_id, number, **options)

    ledger = Discarding()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        discarded = await stage.submit(4, batch_size=2)
        with pytest.raises(InvalidInputError, match=f"no campaign '{discarded}'"):
            await runner.run(discarded)
        status = (await runner.run(await stage.submit(4, batch_size=2))).status
    assert (status.state, status.accepted) == (CampaignState.DONE, 4)
    assert "unknown from now on" not in caplog.text


async def test_what_is_refused_for_good_is_not_tried_again_and_told(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def refuse() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise LedgerError("The database did not take it.")
        raise InvalidInputError("There is no such campaign.")

    pending = PendingWrites()
    for error in (LedgerError, InvalidInputError):
        with pytest.raises(error):
            await pending.write_or_defer(refuse)
    # What waited for the ledger meets the same refusal.
    await pending.flush()
    assert (len(pending), len(tries)) == (0, 3)
    assert caplog.messages == ["The ledger refuses a write for good: There is no such campaign."]


async def test_what_is_written_by_two_at_a_time_is_forgotten_once() -> None:
    written: list[str] = []
    first = anyio.Event()

    async def write(name: str) -> None:
        if not is_there:
            raise LedgerError("The database did not take it.")
        written.append(name)
        if len(written) == 4:
            first.set()
        await first.wait()

    is_there, pending = False, PendingWrites()
    for name in ("one", "two"):
        with pytest.raises(LedgerError):
            await pending.write_or_defer(partial(write, name))
    is_there = True
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pending.flush)
            tasks.start_soon(pending.flush)
    assert (len(pending), sorted(written)) == (0, ["one", "one", "two", "two"])


@pytest.mark.parametrize("by", ["the next run", "a runner that is kept open", "the end of the runner"])
async def test_what_the_outbox_of_a_run_could_not_write_is_written_by(
    by: str, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up with that run it would be under way for as long as this process lives, and hold up a floor."""
    monkeypatch.setattr("vavasms.ledger.pending_writes.DRAIN_SECONDS", 0.1)
    takes, settle = False, SqliteSends.settle

    async def refuse(store: SqliteSends, *claim: Any, **times: Any) -> bool:
        if not takes:
            raise LedgerError("The database did not take it (database or disk is full).")
        return await settle(store, *claim, **times)

    monkeypatch.setattr(SqliteSends, "settle", refuse)
    monkeypatch.setattr("vavasms.campaigns.runner._MAINTENANCE_SECONDS", 0.01)
    ledger = MemoryLedger()
    async with connect(sandbox, ledger=ledger) as sms:
        async with CampaignRunner(sms, ledger) as runner:
            stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
            await sms.enqueue("+2250709000001", "Votre commande est partie.", idempotency_key="order-42")
            assert (await runner.run(await stage.submit(4, batch_size=2))).status.accepted == 4
            assert await ledger.under_way(sms.account.name) == 1
            takes = True
            if by == "the next run":
                await runner.run(await stage.submit(4, batch_size=2, message="Bonjour encore"))
                assert await ledger.under_way(sms.account.name) == 0
            elif by == "a runner that is kept open":
                with anyio.fail_after(10):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(runner.maintain)
                        while await ledger.under_way(sms.account.name):
                            await anyio.sleep(0.01)
                        tasks.cancel_scope.cancel()
        record = await sms.sent("order-42")
        assert record is not None
        assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 1)
        assert await ledger.under_way(sms.account.name) == 0


async def test_the_end_of_a_run_waits_for_what_its_outbox_could_not_write(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.ledger.pending_writes.DRAIN_SECONDS", 2.0)
    refusals, settle = [LedgerError("The database did not take it.")] * 3, SqliteSends.settle

    async def refuse(store: SqliteSends, *claim: Any, **times: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return await settle(store, *claim, **times)

    monkeypatch.setattr(SqliteSends, "settle", refuse)
    ledger = MemoryLedger()
    async with connect(sandbox, ledger=ledger) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        await sms.enqueue("+2250709000001", "Votre commande est partie.", idempotency_key="order-42")
        await runner.run(await stage.submit(4, batch_size=2))
        assert (refusals, await ledger.under_way(sms.account.name)) == ([], 0)
