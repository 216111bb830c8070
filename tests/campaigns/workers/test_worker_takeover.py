"""Workers die, jobs are lost, the database goes away: nothing is sent twice, and what can be sent is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from math import inf
from pathlib import Path

import anyio
import psycopg
import pytest

from tests.campaigns.crew import Crew, ask, muster, until
from tests.campaigns.staging import TEXT, accepted, phones, stall
from vavasms.ledger.models import BatchRecord, Claim, StoredBatch
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

NOTHING = BatchRecord()


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
async def crew(postgres: str, sandbox: SandboxServer, tmp_path: Path) -> AsyncIterator[Crew]:
    async with muster(postgres, sandbox, tmp_path) as crew:
        yield crew


def now(crew: Crew) -> float:
    found: float = crew.ask("SELECT extract(epoch FROM clock_timestamp())::FLOAT8")[0][0]
    return found


async def take(crew: Crew, campaign_id: str, number: int = 0, *, ago: float = 0.0, token: str = "t") -> Claim:
    """Claim a batch by hand, so many seconds ago."""
    made = await crew.ledger.claim(campaign_id, number, token=token, worker="hand", now=now(crew) - ago)
    assert made is not None
    return made


def die(crew: Crew, campaign_id: str, number: int = 0) -> None:
    """Leave a job with a worker that has said nothing for long."""
    ((worker,),) = crew.ask(
        "INSERT INTO vavasms_jobs.procrastinate_workers (last_heartbeat)"
        " VALUES (now() - interval '1 minute') RETURNING id"
    )
    crew.ask(
        "UPDATE vavasms_jobs.procrastinate_jobs SET status = 'doing', worker_id = %s WHERE queueing_lock = %s",
        worker,
        f"{campaign_id}/{number}",
    )


async def batch(crew: Crew, campaign_id: str, number: int = 0) -> StoredBatch:
    return (await crew.stage.batches(campaign_id))[number]


async def test_a_job_whose_batch_is_settled_is_dropped(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=1)
    assert await crew.ledger.settle(await take(crew, campaign_id, 1), BatchEvent.ACCEPT, NOTHING)
    async with crew.work():
        assert (await crew.settled(campaign_id)).accepted == 4
        await until(crew.has_no_jobs)
    left_out = phones(4)[1]
    assert crew.stage.received() == {phone: 1 for phone in phones(4) if phone != left_out}


async def test_a_batch_that_lost_its_job_gets_one(crew: Crew) -> None:
    campaign_id = await crew.start(12, batch_size=2)
    crew.ask("DELETE FROM vavasms_jobs.procrastinate_jobs WHERE mod(id, 2) = 0")
    assert len(crew.jobs()) == 3
    async with crew.work():
        assert (await crew.settled(campaign_id)).accepted == 12
    assert crew.stage.received() == dict.fromkeys(phones(12), 1)


async def test_a_dead_workers_queued_batch_is_carried_by_another(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=2)
    for number in range(2):
        die(crew, campaign_id, number)
    async with crew.work():
        assert (await crew.settled(campaign_id)).accepted == 4
        await until(crew.has_no_jobs)
    assert crew.stage.received() == dict.fromkeys(phones(4), 1)


async def test_a_living_workers_job_is_left_to_it(crew: Crew) -> None:
    campaign_id = await crew.start(2)
    die(crew, campaign_id)
    crew.ask("UPDATE vavasms_jobs.procrastinate_workers SET last_heartbeat = now() - interval '5 s'")
    async with crew.maintenance() as maintenance:
        await maintenance.run_once()
    assert crew.jobs() == [(f"{campaign_id}/0", "doing")]


async def test_a_dead_workers_batch_under_way_waits_and_then_is_unknown(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=2)
    await take(crew, campaign_id, 0, ago=100)
    await take(crew, campaign_id, 1, ago=40, token="u")
    for number in range(2):
        die(crew, campaign_id, number)
    async with crew.maintenance(reap_after=120) as maintenance:
        await maintenance.run_once()
    assert (await crew.ledger.status(campaign_id)).sending == 4
    assert len(crew.jobs()) == 2
    async with crew.maintenance(reap_after=60) as maintenance:
        await maintenance.run_once()
        status = await crew.ledger.status(campaign_id)
        assert (status.state, status.sending, status.unknown) == (CampaignState.RUNNING, 2, 2)
        await maintenance.run_once()
    assert [key for key, _ in crew.jobs()] == [f"{campaign_id}/1"]
    (unknown,) = await crew.ledger.unknown(campaign_id)
    assert "process ended" in str(unknown.record.error)
    async with crew.maintenance(reap_after=30) as maintenance:
        await maintenance.run_once()
        await maintenance.run_once()
    status = await crew.ledger.status(campaign_id)
    assert (status.state, status.unknown, crew.jobs()) == (CampaignState.DONE, 4, [])
    assert not crew.stage.received()


async def test_a_worker_reaps_what_another_had_under_way(crew: Crew) -> None:
    campaign_id = await crew.start(6, batch_size=2)
    await take(crew, campaign_id, 1, ago=60)
    die(crew, campaign_id, 1)
    async with crew.work(reap_after=30):
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted, status.unknown) == (CampaignState.DONE, 4, 2)
    assert crew.stage.received() == dict.fromkeys([*phones(2), *phones(2, 4)], 1)


@pytest.mark.parametrize("event", [BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN])
async def test_a_stalled_job_of_a_settled_batch_is_dropped(crew: Crew, event: BatchEvent) -> None:
    campaign_id = await crew.start(4, batch_size=2)
    assert await crew.ledger.settle(await take(crew, campaign_id), event, NOTHING)
    die(crew, campaign_id)
    async with crew.maintenance() as maintenance:
        await maintenance.run_once()
    assert crew.jobs() == [(f"{campaign_id}/1", "todo")]


async def test_a_stalled_job_of_a_batch_that_was_split_is_dropped(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=4)
    found = await crew.ledger.split(await take(crew, campaign_id))
    die(crew, campaign_id)
    async with crew.maintenance() as maintenance:
        await maintenance.run_once()
    assert found is not None
    assert crew.jobs() == [(f"{campaign_id}/{number}", "todo") for number in found]


async def test_a_stalled_job_beside_one_that_waits_is_dropped_and_disturbs_nobody(crew: Crew) -> None:
    """The worker died between the outcome and the end of its job: the batch has a new one."""
    campaign_id = await crew.start(2)
    made = await take(crew, campaign_id)
    die(crew, campaign_id)
    assert await crew.ledger.settle(made, BatchEvent.REQUEUE, NOTHING, not_before=now(crew) + 60)
    assert sorted(status for _, status in crew.jobs()) == ["doing", "todo"]
    async with crew.maintenance() as maintenance:
        await maintenance.run_once()
        assert not maintenance.job_worker._connector.failed.is_set()
    assert crew.jobs() == [(f"{campaign_id}/0", "todo")]


@pytest.mark.parametrize("settled", [False, True])
async def test_two_that_find_the_same_stalled_job_do_not_disturb_each_other(
    crew: Crew, settled: bool
) -> None:
    campaign_id = await crew.start(2)
    if settled:
        assert await crew.ledger.settle(await take(crew, campaign_id), BatchEvent.ACCEPT, NOTHING)
    die(crew, campaign_id)
    async with crew.maintenance() as maintenance, crew.maintenance() as other:
        job_workers = (maintenance.job_worker, other.job_worker)
        found = [(await worker.stalled())[0][0] for worker in job_workers]
        for job_worker, job in zip(job_workers, found, strict=True):
            await (job_worker.drop(job) if settled else job_worker.wake_again(job))
        assert not [each for each in job_workers if each._connector.failed.is_set()]
    assert crew.jobs() == ([] if settled else [(f"{campaign_id}/0", "todo")])


async def test_a_late_true_answer_raises_unknown_to_accepted(crew: Crew) -> None:
    campaign_id = await crew.start(2)
    stall(crew.stage.sandbox, 0.5)
    async with crew.work(1):
        await accepted(crew.stage.sandbox, 1)
        assert await crew.ledger.maintenance.reap_orphan(campaign_id, 0, sent_before=inf)
        assert (await crew.ledger.status(campaign_id)).unknown == 2

        async def is_raised() -> bool:
            return (await crew.ledger.status(campaign_id)).accepted == 2

        await until(is_raised)
    (entry,) = crew.stage.sandbox.gateway.journal.entries
    assert (await batch(crew, campaign_id)).record.lot_id == entry.lot_id


async def test_a_late_answer_never_overwrites_a_newer_attempt(crew: Crew, postgres: str) -> None:
    campaign_id = await crew.start(2)
    stall(crew.stage.sandbox, 0.5)
    async with crew.work(1, concurrency=1):
        await accepted(crew.stage.sandbox, 1)
        assert await crew.ledger.maintenance.reap_orphan(campaign_id, 0, sent_before=inf)
        # Its worker might still send: not even a person's word queues it so soon.
        assert await crew.ledger.resend(campaign_id, [0], sent_before=inf) == 0
        ask(postgres, "UPDATE vavasms.batch SET sending_at = sending_at - 7200")
        assert await crew.ledger.resend(campaign_id, [0], sent_before=inf) == 1
        made = await take(crew, campaign_id, token="newer")
    # It stopped, and had its answer: the newer attempt is under way still.
    assert (await batch(crew, campaign_id)).state is BatchState.SENDING
    assert await crew.ledger.settle(made, BatchEvent.MARK_UNKNOWN, NOTHING)
    stored = await batch(crew, campaign_id)
    assert (stored.state, stored.record.lot_id) == (BatchState.UNKNOWN, "")


def cut(url: str) -> int:
    """End all connections of ledgers, at the server."""
    ours = "FROM pg_stat_activity WHERE application_name = 'vavasms' AND datname = current_database()"
    return len(ask(url, f"SELECT pg_terminate_backend(pid, 5000) {ours}"))


async def test_when_the_database_cuts_every_connection_again_and_again_the_run_goes_on(
    crew: Crew, postgres: str
) -> None:
    stall(crew.stage.sandbox, 0.05)
    campaign_id = await crew.start(40, batch_size=1)
    async with crew.work():
        for entries in (5, 20):
            await accepted(crew.stage.sandbox, entries)
            assert cut(postgres)
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted, status.unknown) == (CampaignState.DONE, 40, 0)
    assert crew.stage.received() == dict.fromkeys(phones(40), 1)
    lots = {each.record.lot_id for each in await crew.stage.batches(campaign_id)}
    assert lots == {entry.lot_id for entry in crew.stage.sandbox.gateway.journal.entries}


_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'vavasms'"


async def end_whoever_waits(crew: Crew) -> None:
    """End the connection that waits for our lock, at the server."""

    async def is_waiting() -> bool:
        return bool(crew.ask(_WAITING))

    await until(is_waiting)
    assert crew.ask(f"SELECT pg_terminate_backend(pid, 5000) FROM ({_WAITING}) AS those") == [(True,)]


@pytest.mark.parametrize("stops", [False, True])
async def test_an_outcome_that_the_ledger_did_not_take_is_written_later(
    crew: Crew, postgres: str, stops: bool
) -> None:
    slow = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.3)
    crew.stage.sandbox.faults.script(slow, path=TEXT)
    campaign_id = await crew.start(2)

    async def is_written() -> bool:
        return (await crew.ledger.status(campaign_id)).accepted == 2

    async with crew.work(1) as workers:
        await accepted(crew.stage.sandbox, 1)
        with psycopg.connect(postgres) as connection:
            connection.execute("SELECT 1 FROM vavasms.batch FOR UPDATE")
            await end_whoever_waits(crew)
            assert (await crew.ledger.status(campaign_id)).sending == 2
            if stops:
                workers[0].stop()
        if not stops:
            await until(is_written)
    assert await is_written()
    (entry,) = crew.stage.sandbox.gateway.journal.entries
    assert (await batch(crew, campaign_id)).record.lot_id == entry.lot_id


async def test_nothing_is_sent_where_the_ledger_did_not_take_the_intent(crew: Crew, postgres: str) -> None:
    campaign_id = await crew.start(2)
    with psycopg.connect(postgres) as connection:
        connection.execute("SELECT 1 FROM vavasms.batch FOR UPDATE")
        async with crew.work(1):
            await end_whoever_waits(crew)
            await until(crew.has_no_jobs)
    status = await crew.ledger.status(campaign_id)
    assert (status.queued, status.sending, crew.stage.received()) == (2, 0, {})
    async with crew.work(1):
        assert (await crew.settled(campaign_id)).accepted == 2
    assert crew.stage.received() == dict.fromkeys(phones(2), 1)


async def test_two_that_look_for_batches_without_a_job_make_one_each(crew: Crew) -> None:
    campaign_id = await crew.start(40, batch_size=2)
    crew.ask("DELETE FROM vavasms_jobs.procrastinate_jobs")
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(partial(crew.ledger.maintenance.wake_jobless, campaign_id, now=now(crew)))
    assert sorted(crew.jobs()) == sorted((f"{campaign_id}/{number}", "todo") for number in range(20))


async def test_batches_without_a_job_are_looked_for_whoever_else_is_there(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=2)
    crew.ask("DELETE FROM vavasms_jobs.procrastinate_jobs")
    # It may be another account's.
    crew.ask("INSERT INTO vavasms_jobs.procrastinate_workers DEFAULT VALUES")
    async with crew.maintenance() as maintenance:
        await maintenance.run_once()
    assert len(crew.jobs()) == 2
    crew.ask("DELETE FROM vavasms_jobs.procrastinate_jobs")
    # Somebody did a moment ago.
    assert await crew.ledger.maintenance.wake_jobless(campaign_id, now=now(crew), every=60.0) == 0
    assert await crew.ledger.maintenance.wake_jobless(campaign_id, now=now(crew) + 61, every=60.0) == 2


async def test_a_campaign_whose_loading_broke_off_a_day_ago_is_cancelled(crew: Crew) -> None:
    campaign_id = await crew.stage.submit(2)
    day = 86_400
    for age, state in ((day - 60, CampaignState.LOADING), (day + 60, CampaignState.CANCELLED)):
        values = (now(crew) - age,)
        crew.ask("UPDATE vavasms.campaign SET state = 'loading', created_at = %s", *values)
        async with crew.maintenance() as maintenance:
            await maintenance.run_once()
        assert (await crew.ledger.campaign(campaign_id)).state is state


async def test_a_resend_needs_no_second_connection(postgres: str, crew: Crew) -> None:
    campaign_id = await crew.start(2)
    await take(crew, campaign_id, ago=7200.0)
    assert await crew.ledger.maintenance.reap_orphan(campaign_id, 0, sent_before=inf)
    async with await PostgresLedger.open(postgres, connections=1) as narrow:
        with anyio.fail_after(10):
            assert await narrow.resend(campaign_id, [0], sent_before=inf) == 1
