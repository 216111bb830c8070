"""Whole stretches of a long campaign have one job, and whatever can be claimed has one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.campaigns.crew import Crew, ask, jobs, muster, open_empty, until
from tests.campaigns.staging import TEXT, phones
from tests.ledger.test_postgres_ledger import NOTHING, begin, take, waiting
from vavasms.ledger.models import QueuedBatch
from vavasms.ledger.postgres.jobs import STRETCH, cut
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchEvent
from vavasms.sandbox import Fault, FaultKind, SandboxServer

pytestmark = pytest.mark.anyio

#: The end of a campaign has a job for each batch.
END = 512
#: So many have one each where what is tested is how the stretches before them are carried.
SHORT_END = 48


@pytest.fixture
def anyio_backend() -> str:
    """psycopg is for asyncio."""
    return "asyncio"


@pytest.fixture
async def ledger(postgres: str) -> AsyncIterator[PostgresLedger]:
    async with open_empty(postgres) as ledger:
        yield ledger


@pytest.fixture
async def crew(
    postgres: str, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Crew]:
    monkeypatch.setattr("vavasms.ledger.postgres.jobs._END", SHORT_END)
    async with muster(postgres, sandbox, tmp_path) as crew:
        yield crew


def queued(number: int, not_before: float = 0.0) -> QueuedBatch:
    return QueuedBatch(number=number, messages=1, segments=1, not_before=not_before)


def numbers(*groups: Sequence[QueuedBatch]) -> list[list[int]]:
    return [[each.number for each in group] for group in groups]


def test_only_whole_stretches_before_the_end_are_kept_together() -> None:
    due = [queued(number) for number in range(3, 30)]
    found = numbers(*cut(due, before=20))
    singles = [[number] for number in (*range(3, 8), *range(24, 30))]
    assert found == [*singles[:5], [*range(8, 16)], [*range(16, 24)], *singles[5:]]
    assert numbers(*cut(due, before=0)) == [[number] for number in range(3, 30)]


def test_a_stretch_with_a_batch_that_is_put_off_is_no_stretch() -> None:
    due = [queued(number, 9.0 if number == 5 else 0.0) for number in range(16)]
    assert numbers(*cut(due, before=99)) == [*[[number] for number in range(8)], [*range(8, 16)]]


async def test_a_long_campaign_has_a_job_for_each_stretch_and_its_end_one_for_each_batch(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", *[1] * 5001)
    keys = [key for key, _ in jobs(postgres)]
    stretches = (5001 - END + STRETCH - 1) // STRETCH
    assert keys[:stretches] == [f"c/{index * STRETCH}+" for index in range(stretches)]
    assert keys[stretches:] == [f"c/{number}" for number in range(stretches * STRETCH, 5001)]
    ((arguments,),) = ask(
        postgres, "SELECT args FROM vavasms_jobs.procrastinate_jobs WHERE queueing_lock = %s", "c/8+"
    )
    assert arguments == {"campaign": "c", "batches": [[number, 1, 1] for number in range(8, 16)]}


async def test_with_a_rate_each_batch_has_a_job(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", *[1] * (END + 20), policy='{"rate": 200.0}')
    assert len(waiting(postgres)) == END + 20


async def test_what_is_in_a_stretch_has_a_job_wherever_that_is(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", *[1] * (END + 24))
    before = jobs(postgres)
    assert [key for key, _ in before[:3]] == ["c/0+", "c/8+", "c/16+"]
    assert await ledger.maintenance.wake_jobless("c", now=2000.0) == 0
    # Somebody is at the first one, and had one of its batches turned back.
    ask(postgres, "UPDATE procrastinate_jobs SET status = 'doing' WHERE queueing_lock = 'c/0+'")
    assert await ledger.maintenance.wake_jobless("c", now=2000.0) == 0
    await ledger.settle(await take(ledger, "c", 3), BatchEvent.REQUEUE, NOTHING)
    assert [key for key, _ in jobs(postgres)] == [*[key for key, _ in before], "c/3"]
    # One whose job is still to come keeps it.
    await ledger.settle(await take(ledger, "c", 9), BatchEvent.REQUEUE, NOTHING)
    assert len(jobs(postgres)) == len(before) + 1


async def test_a_stretch_that_lost_its_job_gets_one_again(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", *[1] * (END + 24))
    await ledger.settle(await take(ledger, "c", 8), BatchEvent.ACCEPT, NOTHING)
    ask(postgres, "DELETE FROM procrastinate_jobs WHERE queueing_lock LIKE 'c/%+'")
    assert await ledger.maintenance.wake_jobless("c", now=2000.0) == 23
    assert sorted(key for key, _ in jobs(postgres)[-9:]) == sorted(
        ["c/0+", *[f"c/{number}" for number in range(9, 16)], "c/16+"]
    )


async def test_a_pause_forgets_the_stretches_too(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", *[1] * (END + 24))
    await ledger.pause("c", "lunch")
    assert jobs(postgres) == []


async def test_workers_carry_every_stretch_once(crew: Crew) -> None:
    count = SHORT_END + 10 * STRETCH
    campaign_id = await crew.start(count, batch_size=1)
    async with crew.work(number=3, concurrency=8):
        assert (await crew.settled(campaign_id)).accepted == count
        await until(crew.has_no_jobs)
    assert crew.stage.received() == dict.fromkeys(phones(count), 1)


async def test_a_worker_that_is_stopped_leaves_the_rest_of_its_stretches_to_others_at_once(
    crew: Crew,
) -> None:
    count = SHORT_END + 10 * STRETCH
    campaign_id = await crew.start(count, batch_size=1)
    crew.stage.sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, seconds=0.2): 1.0})
    async with crew.work(number=1, concurrency=4) as (worker,):
        await until(lambda: _begun(crew, campaign_id, 4))
        worker.stop()
    # What it had begun is settled; of the four stretches nothing is left with it.
    status = await crew.ledger.status(campaign_id)
    assert (status.sending, status.unknown) == (0, 0)
    assert 4 <= status.accepted <= 12
    assert {state for _, state in crew.jobs()} == {"todo"}
    assert await crew.ledger.maintenance.wake_jobless(campaign_id, now=4_000_000_000.0) == 0
    crew.stage.sandbox.faults.clear()
    async with crew.work(number=2, concurrency=8):
        assert (await crew.settled(campaign_id)).accepted == count
    assert crew.stage.received() == dict.fromkeys(phones(count), 1)


async def test_a_dead_workers_stretch_is_carried_by_another_but_for_what_it_had_begun(crew: Crew) -> None:
    count = SHORT_END + 2 * STRETCH
    campaign_id = await crew.start(count, batch_size=1)
    ((worker,),) = crew.ask(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute') RETURNING id"
    )
    crew.ask(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE queueing_lock LIKE '%%+'",
        worker,
    )
    for number, event in ((0, BatchEvent.ACCEPT), (1, None)):
        made = await crew.ledger.claim(
            campaign_id, number, token=f"t{number}", worker="dead", now=_now(crew) - 60.0
        )
        assert made is not None
        if event is not None:
            await crew.ledger.settle(made, event, NOTHING)
    async with crew.work(number=2, concurrency=8, reap_after=30.0):
        status = await crew.settled(campaign_id)
        await until(crew.has_no_jobs)
    assert (status.accepted, status.unknown) == (count - 1, 1)
    assert crew.stage.received() == dict.fromkeys(phones(count)[2:], 1)


async def test_a_fault_of_the_gateway_ends_no_stretch(crew: Crew) -> None:
    count = SHORT_END + STRETCH
    crew.stage.sandbox.faults.script(Fault(kind=FaultKind.STATUS, status=503), path=TEXT)
    campaign_id = await crew.start(count, batch_size=1)
    async with crew.work(number=1, concurrency=4):
        status = await crew.settled(campaign_id)
    assert (status.accepted, status.unknown) == (count - 1, 1)


def _now(crew: Crew) -> float:
    found: float = crew.ask("SELECT extract(epoch FROM clock_timestamp())::FLOAT8")[0][0]
    return found


async def _begun(crew: Crew, campaign_id: str, number: int) -> bool:
    status = await crew.ledger.status(campaign_id)
    await asyncio.sleep(0)
    return status.sending + status.accepted >= number
