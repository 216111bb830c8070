"""What else can come between an intent and its outcome: a sleeping machine, a lost answer, a cancellation."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from sqlite3 import Connection, connect
from typing import Any, ClassVar

import anyio
import pytest
from anyio.to_thread import run_sync

from tests.campaigns.crashes.stage import PLACES, Audit, Stage, Staged, is_over
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import LedgerError
from vavasms.ledger.models import BatchRecord, Claim, StoredBatch
from vavasms.ledger.sqlite.claims import SQL
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent, BatchState

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

SIZE = 5
Cancel = Callable[[Staged, CampaignRunner, float], Awaitable[bool]]


@pytest.fixture
async def campaign(stage: Stage) -> Staged:
    """Return a campaign of 100 batches."""
    return await run_sync(lambda: stage.campaign(100 * SIZE, batch_size=SIZE))


@asynccontextmanager
async def at_work(
    campaign: Staged,
    kind: type[SqliteLedger] = SqliteLedger,
    *,
    connection: Callable[..., Connection] = connect,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[CampaignRunner]:
    """Open a runner in this process."""
    async with (
        await kind.open(campaign.path, connect=connection) as ledger,
        campaign.stage.client() as sms,
        CampaignRunner(sms, ledger, clock=clock) as runner,
    ):
        yield runner


async def audited(campaign: Staged) -> Audit:
    """Audit in a thread: it has an event loop of its own."""
    return await run_sync(campaign.audit)


class Clock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class WatchedLedger(SqliteLedger):
    """A ledger in which something happens between a commit and its answer."""

    after_claim: Callable[[Claim], None]
    settled: ClassVar[list[tuple[str, BatchEvent]]]

    async def claim(self, campaign_id: str, number: int, **words: Any) -> Claim | None:
        claim = await super().claim(campaign_id, number, **words)
        if claim is not None:
            self.after_claim(claim)
        return claim

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        self.settled.append((claim.token, event))
        return await super().settle(claim, event, record, not_before=not_before)


async def test_a_machine_that_slept_after_its_intent_gives_the_batch_back_unsent(campaign: Staged) -> None:
    clock = Clock()
    slept: list[str] = []

    class Sleepy(WatchedLedger):
        settled: ClassVar[list[tuple[str, BatchEvent]]] = []

        def after_claim(self, claim: Claim) -> None:
            if claim.number % 7 == 0 and claim.attempt == 1:
                slept.append(claim.token)
                clock.ahead += 5.5

    async with at_work(campaign, Sleepy, clock=clock) as runner:
        run = await runner.run(campaign.id)
    audit = await audited(campaign)
    assert is_over(run.status)
    assert audit.wrong == 0
    assert audit.status.accepted == len(campaign.phones)
    assert len(slept) == 15
    assert {(token, BatchEvent.REQUEUE) for token in slept} <= {*Sleepy.settled}
    assert len(campaign.stage.gateway.gateway.journal) == 100


async def test_an_intent_whose_answer_is_lost_is_not_acted_on(campaign: Staged) -> None:
    lost: list[int] = []

    class Forgetful(WatchedLedger):
        settled: ClassVar[list[tuple[str, BatchEvent]]] = []

        def after_claim(self, claim: Claim) -> None:
            if claim.number in (11, 42) and claim.attempt == 1 and claim.number not in lost:
                lost.append(claim.number)
                raise LedgerError("The connection broke after the commit: nothing more is sent.")

    async with at_work(campaign, Forgetful) as runner:
        for number in (11, 42):
            with pytest.raises(LedgerError):
                await runner.run(campaign.id)
            batch = (await runner.ledger.batches(campaign.id, after=number - 1, limit=1))[0]
            assert (batch.number, batch.state.value) == (number, "queued")
            assert campaign.received(str(phone) for phone, _ in batch.recipients) == [0] * SIZE
            status = await runner.ledger.status(campaign.id)
            assert (status.sending, status.unknown) == (0, 0)
        run = await runner.run(campaign.id)
    assert lost == [11, 42]
    assert is_over(run.status)
    audit = await audited(campaign)
    assert audit.wrong == 0
    assert audit.status.accepted == len(campaign.phones)


@pytest.mark.parametrize("statement", ["claim_batch", "settle_batch"])
async def test_a_commit_that_fails_for_want_of_memory_is_no_commit(campaign: Staged, statement: str) -> None:
    class Poor(Connection):
        written = 0
        failed = False

        def execute(self, sql: str, *args: Any) -> Any:
            if sql.startswith("BEGIN"):
                self.written = 0
            self.written += sql == SQL[statement]
            # A commit that several batches share: each of them waits for its answer.
            if sql == "COMMIT" and self.written > 1 and not Poor.failed:
                Poor.failed = True
                # What the sqlite3 module raises for SQLITE_NOMEM.
                raise MemoryError
            return super().execute(sql, *args)

    def open_poor(*args: Any, **words: Any) -> Connection:
        return connect(*args, **words, factory=Poor)

    async with at_work(campaign, connection=open_poor) as runner:
        try:
            await runner.run(campaign.id)
        except Exception as error:
            ended: Exception = error
    assert Poor.failed
    assert (await audited(campaign)).wrong == 0
    assert isinstance(ended, LedgerError)
    async with at_work(campaign) as runner:
        assert is_over((await runner.run(campaign.id)).status)
    audit = await audited(campaign)
    assert audit.wrong == 0
    assert audit.status.unknown <= SIZE * PLACES


async def test_an_outcome_that_the_ledger_did_not_take_is_not_left_as_sending(campaign: Staged) -> None:
    class Full(WatchedLedger):
        settled: ClassVar[list[tuple[str, BatchEvent]]] = []

        def after_claim(self, claim: Claim) -> None:
            pass

        async def settle(self, claim: Claim, event: BatchEvent, record: BatchRecord, **words: float) -> bool:
            self.settled.append((claim.token, event))
            if len(self.settled) == 20:
                raise LedgerError("The disk is full: nothing more is sent.")
            return await super(WatchedLedger, self).settle(claim, event, record, **words)

    async with at_work(campaign, Full) as runner:
        with pytest.raises(LedgerError):
            await runner.run(campaign.id)
        run = await runner.run(campaign.id)
        # In the same process: it is unknown, or the answer that was read is written after all.
        assert (run.status.state.value, run.status.sending) == ("done", 0)
        assert run.status.accepted + run.status.unknown == len(campaign.phones)
    assert (await audited(campaign)).wrong == 0


async def test_a_stop_in_the_first_moment_of_a_run_is_not_lost(campaign: Staged) -> None:
    class Stopping(SqliteLedger):
        async def start(self, campaign_id: str) -> bool:
            started = await super().start(campaign_id)
            runner.stop()
            return started

    async with at_work(campaign, Stopping) as runner:
        run = await runner.run(campaign.id)
    assert (run.status.state.value, run.status.reason) == ("paused", "interrupted")
    assert run.status.accepted == 0


async def test_two_runs_of_a_campaign_in_one_runner_send_nothing_twice(campaign: Staged) -> None:
    errors: list[Exception] = []

    async def run(runner: CampaignRunner) -> None:
        try:
            await runner.run(campaign.id)
        except Exception as error:
            errors.append(error)

    async with at_work(campaign) as runner, anyio.create_task_group() as tasks:
        tasks.start_soon(run, runner)
        tasks.start_soon(run, runner)
    assert [error for error in errors if isinstance(error, KeyError)] == []
    audit = await audited(campaign)
    assert audit.wrong == 0
    assert is_over(audit.status)


async def cancel_again_and_again(stage: Stage, times: int, cancel: Cancel) -> int:
    """Cancel runs at random points, resuming each time; give how many were cancelled under way."""
    draw, cancelled = random.Random(times), 0
    while cancelled < times:
        campaign = await run_sync(lambda: stage.campaign(1_500, batch_size=SIZE))
        async with at_work(campaign) as runner:
            status = await runner.ledger.status(campaign.id)
            while cancelled < times and not is_over(status):
                cancelled += await cancel(campaign, runner, draw.choice((0.0, draw.uniform(0, 0.3))))
                before, status = status, await runner.ledger.status(campaign.id)
                assert status.sending == 0
                assert status.unknown - before.unknown <= SIZE * PLACES
                check(campaign, await runner.ledger.batches(campaign.id, after=-1, limit=1_000))
            if not is_over(status):
                assert is_over((await runner.run(campaign.id)).status)
        assert (await audited(campaign)).wrong == 0
    return cancelled


def check(campaign: Staged, batches: Sequence[StoredBatch]) -> None:
    """See that nothing which the ledger calls queued is at the gateway."""
    queued = [batch for batch in batches if batch.state is BatchState.QUEUED]
    assert not any(campaign.received(str(phone) for batch in queued for phone, _ in batch.recipients))


async def cancel_scope(campaign: Staged, runner: CampaignRunner, delay: float) -> bool:
    with anyio.move_on_after(delay) as scope:
        await runner.run(campaign.id)
    return scope.cancelled_caught


async def cancel_task(campaign: Staged, runner: CampaignRunner, delay: float) -> bool:
    """Cancel as asyncio does, which no shield of anyio's holds back; and again on its way out."""
    task = asyncio.ensure_future(runner.run(campaign.id))
    await asyncio.wait([task], timeout=delay)
    for wait in (delay / 20, None):
        task.cancel()
        await asyncio.wait([task], timeout=wait)
    return task.cancelled()


asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def test_cancelled_runs_leave_true_states(stage: Stage) -> None:
    assert await cancel_again_and_again(stage, 6, cancel_scope) == 6


@asyncio_only
async def test_tasks_cancelled_by_asyncio_leave_true_states(stage: Stage) -> None:
    assert await cancel_again_and_again(stage, 6, cancel_task) == 6


@pytest.mark.full
async def test_two_hundred_cancelled_runs_leave_true_states(stage: Stage) -> None:
    assert await cancel_again_and_again(stage, 200, cancel_scope) == 200


@pytest.mark.full
@asyncio_only
async def test_two_hundred_tasks_cancelled_by_asyncio_leave_true_states(stage: Stage) -> None:
    assert await cancel_again_and_again(stage, 200, cancel_task) == 200
