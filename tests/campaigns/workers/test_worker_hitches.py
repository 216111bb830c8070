"""A worker whose ledger fails, or tells something else meanwhile, in between two steps: it goes on, and sends once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from tests.campaigns.crew import Crew, muster, until
from tests.campaigns.staging import accepted, connect, phones, stall
from vavasms.campaigns.workers.maintenance import Maintenance
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.errors import LedgerError
from vavasms.ledger.models import BatchRecord, Campaign, CampaignStatus, Claim
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
async def crew(postgres: str, sandbox: SandboxServer, tmp_path: Path) -> AsyncIterator[Crew]:
    async with muster(postgres, sandbox, tmp_path) as crew:
        yield crew


@asynccontextmanager
async def at_work(crew: Crew, kind: type[PostgresLedger]) -> AsyncIterator[CampaignWorker]:
    """Run a worker with a ledger of some kind; it stops where this is left."""
    async with (
        connect(crew.stage.sandbox) as sms,
        await kind.open(crew.url) as ledger,
        anyio.create_task_group() as tasks,
    ):
        worker = CampaignWorker(sms, ledger, concurrency=1, on_campaign=crew.told.append)
        tasks.start_soon(worker.run)
        yield worker
        worker.stop()


def is_logged(log: pytest.LogCaptureFixture, words: str) -> Callable[[], Awaitable[bool]]:
    async def is_logged() -> bool:
        return words in log.text

    return is_logged


class Stopping(PostgresLedger):
    """A worker is asked to end while it waits for what the ledger says of a campaign, at the look `at`."""

    worker: ClassVar[CampaignWorker]
    at: ClassVar[int]
    looks: ClassVar[int]

    async def campaign(self, campaign_id: str) -> Campaign:
        found = await super().campaign(campaign_id)
        type(self).looks += 1
        if self.looks == self.at:
            self.worker.stop()
        return found

    async def claim(self, campaign_id: str, number: int, **options: Any) -> Claim | None:
        # A person gives it other limits: the claim by the old ones is none.
        assert await self.pause(campaign_id, "lunch")
        assert await self.start(campaign_id)
        return await super().claim(campaign_id, number, **options)


@pytest.mark.parametrize("at", [1, 2])
async def test_a_worker_that_is_stopped_while_it_looks_a_campaign_up_begins_nothing(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    async def skip(_: Maintenance) -> None:
        """Leave batches without a job alone: nothing but a batch asks for its campaign then."""

    monkeypatch.setattr(Maintenance, "_wake_jobless", skip)
    campaign_id = await crew.start(2)
    Stopping.at, Stopping.looks = at, 0
    async with connect(crew.stage.sandbox) as sms, await Stopping.open(crew.url) as ledger:
        Stopping.worker = CampaignWorker(sms, ledger, concurrency=1)
        with anyio.fail_after(30):
            await Stopping.worker.run()
    assert Stopping.looks == at
    assert crew.stage.received() == {}
    assert (await crew.ledger.status(campaign_id)).queued == 2
    # The second start made one of its own: there the one in hand does not go back.
    assert [state for _, state in crew.jobs() if state != "doing"] == ["todo"]


class Forgetful(PostgresLedger):
    """What is not there when a worker asks how a campaign ended, the first time."""

    failures: ClassVar[list[str]]

    async def status(self, campaign_id: str) -> CampaignStatus:
        if not self.failures:
            self.failures.append(campaign_id)
            raise LedgerError("It is away.")
        return await super().status(campaign_id)


async def test_a_worker_whose_ledger_is_away_as_a_campaign_ends_tells_of_it_later(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    Forgetful.failures = []
    campaign_id = await crew.start(2)

    async def is_told() -> bool:
        return bool(crew.told)

    async with at_work(crew, Forgetful):
        await until(is_told)
    assert Forgetful.failures == [campaign_id]
    assert "A worker waits for its ledger (It is away.)" in caplog.text
    assert [(status.id, status.accepted) for status in crew.told] == [(campaign_id, 2)]


class Deaf(PostgresLedger):
    """What takes no outcome."""

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        raise LedgerError("It is away.")


async def test_what_a_worker_cannot_write_to_its_end_is_left_for_unknown_and_never_sent_again(
    crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten seconds in earnest.
    monkeypatch.setattr("vavasms.ledger.pending_writes.DRAIN_SECONDS", 0.1)
    campaign_id = await crew.start(2)
    async with at_work(crew, Deaf):
        await until(is_logged(caplog, "A batch was left"))
    assert "did not take, and that are unknown from now on: 1." in caplog.text
    assert (await crew.ledger.status(campaign_id)).sending == 2
    async with crew.maintenance(reap_after=0.0) as maintenance:
        await maintenance.run_once()
    status = await crew.settled(campaign_id)
    assert (status.unknown, status.queued) == (2, 0)
    assert crew.stage.received() == dict.fromkeys(phones(2), 1)


class Illegible(PostgresLedger):
    """What takes no note of a balance."""

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        raise LedgerError("It is away.")


async def test_a_balance_that_cannot_be_noted_holds_nothing_up(
    crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two seconds in earnest.
    monkeypatch.setattr("vavasms.campaigns.workers.worker.READ_EVERY", 0.05)
    stall(crew.stage.sandbox, 0.2)
    campaign_id = await crew.start(6, batch_size=1)
    async with at_work(crew, Illegible):
        await until(is_logged(caplog, "A balance was not noted (It is away.)"))
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 6)
    assert crew.stage.received() == dict.fromkeys(phones(6), 1)


async def test_a_campaign_that_starts_anew_within_a_call_goes_on_by_its_new_limits(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two seconds in earnest.
    monkeypatch.setattr("vavasms.campaigns.workers.worker.EVERY", 0.05)
    stall(crew.stage.sandbox, 1.5)
    campaign_id = await crew.start(4, batch_size=1)
    async with at_work(crew, PostgresLedger) as worker:
        await accepted(crew.stage.sandbox, 1)
        old = worker._senders[campaign_id]
        assert await crew.ledger.pause(campaign_id, "lunch")
        assert await crew.ledger.start(campaign_id)

        async def is_left() -> bool:
            return old.closed.is_set()

        await until(is_left)
        assert (await crew.ledger.status(campaign_id)).sending == 1
        crew.stage.sandbox.faults.clear()
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 4)
    assert crew.stage.received() == dict.fromkeys(phones(4), 1)
