"""Any number of workers carry a campaign: each recipient once, and each stop is clean."""

from __future__ import annotations

import asyncio
import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from tests.campaigns.crew import Crew, muster, open_empty, until
from tests.campaigns.staging import TEXT, Stage, accepted, connect, phones, stall
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.workers.jobs import JobWorker
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.config import Timeouts
from vavasms.errors import ConfigurationError, InvalidInputError, LedgerError
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
async def crew(postgres: str, sandbox: SandboxServer, tmp_path: Path) -> AsyncIterator[Crew]:
    async with muster(postgres, sandbox, tmp_path) as crew:
        yield crew


def cut_short(status: CampaignStatus, crew: Crew) -> None:
    """Assert that all is settled, and what is accepted agrees with the gateway."""
    assert (status.sending, status.unknown) == (0, 0)
    assert status.accepted == len(crew.stage.received())


async def test_two_workers_carry_one_campaign_and_each_recipient_has_it_once(crew: Crew) -> None:
    stall(crew.stage.sandbox, 0.02)
    campaign_id = await crew.start(120, batch_size=2)
    assert len(crew.jobs()) == 60

    async def is_told() -> bool:
        return len(crew.told) == 2

    async with crew.work():
        await until(is_told)
        await until(crew.has_no_jobs)
    status = await crew.ledger.status(campaign_id)
    assert (status.state, status.reason, status.accepted) == (CampaignState.DONE, None, 120)
    assert crew.told == [status, status]
    assert crew.stage.received() == dict.fromkeys(phones(120), 1)
    assert crew.ask("SELECT count(DISTINCT worker) FROM vavasms.batch") == [(2,)]
    assert not crew.ask("SELECT 1 FROM vavasms_jobs.procrastinate_workers")


async def test_two_campaigns_are_carried_side_by_side(crew: Crew) -> None:
    first = await crew.start(20, batch_size=2)
    async with crew.work():
        second = await crew.start(phones(20, 20), batch_size=2)
        for each in (first, second):
            assert (await crew.settled(each)).accepted == 20
    assert crew.stage.received() == dict.fromkeys(phones(40), 1)
    assert {each.id for each in crew.told} == {first, second}


async def test_a_pause_holds_for_all_workers_at_once_and_a_start_has_them_go_on(crew: Crew) -> None:
    stall(crew.stage.sandbox)
    campaign_id = await crew.start(40, batch_size=1)
    async with crew.work(concurrency=1):
        await accepted(crew.stage.sandbox, 4)
        assert await crew.ledger.pause(campaign_id, "lunch")
        paused = await crew.ledger.status(campaign_id)
        assert paused.sending <= 2
        status = await crew.settled(campaign_id)
        assert (status.state, status.reason) == (CampaignState.PAUSED, "lunch")
        assert status.accepted == paused.accepted + paused.sending < 40
        cut_short(status, crew)
        assert not [job for job in crew.jobs() if job[1] == "todo"]
        crew.stage.sandbox.faults.clear()
        assert await crew.ledger.start(campaign_id)
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 40)
    assert crew.stage.received() == dict.fromkeys(phones(40), 1)


async def test_a_cancel_holds_for_all_workers_at_once(crew: Crew) -> None:
    stall(crew.stage.sandbox)
    campaign_id = await crew.start(40, batch_size=1)
    async with crew.work(concurrency=1):
        await accepted(crew.stage.sandbox, 4)
        assert await crew.ledger.cancel(campaign_id, "wrong list")
        cancelled = await crew.ledger.status(campaign_id)
        assert cancelled.sending <= 2
        status = await crew.settled(campaign_id)
        await until(crew.has_no_jobs)
    assert status.accepted == cancelled.accepted + cancelled.sending
    assert status.not_sent == 40 - status.accepted > 30
    cut_short(status, crew)
    assert {each.reason for each in crew.told} == {"wrong list"}


async def test_a_stop_finishes_what_is_under_way_and_leaves_the_rest_to_others(crew: Crew) -> None:
    stall(crew.stage.sandbox)
    campaign_id = await crew.start(60, batch_size=2)
    async with crew.work():
        await accepted(crew.stage.sandbox, 4)
    status = await crew.ledger.status(campaign_id)
    assert (status.state, status.queued) == (CampaignState.RUNNING, 60 - status.accepted)
    cut_short(status, crew)
    waiting = crew.ask(
        "SELECT %s || '/' || number, 'todo' FROM vavasms.batch WHERE state = 'queued'", campaign_id
    )
    assert sorted(crew.jobs()) == sorted(waiting)
    assert not crew.told
    crew.stage.sandbox.faults.clear()
    async with crew.work(1):
        assert (await crew.settled(campaign_id)).accepted == 60
    assert crew.stage.received() == dict.fromkeys(phones(60), 1)


async def test_a_stop_ends_every_wait_and_puts_the_jobs_back(crew: Crew) -> None:
    """One batch is under way, others wait for their share of the rate."""
    stall(crew.stage.sandbox)
    campaign_id = await crew.start(4, batch_size=1, rate=0.01)
    begins = time.monotonic()
    async with crew.work(1):
        await accepted(crew.stage.sandbox, 1)
    assert time.monotonic() - begins < 50
    status = await crew.ledger.status(campaign_id)
    assert (status.accepted, status.queued) == (1, 3)
    assert [each for _, each in crew.jobs()] == ["todo"] * 3


async def test_a_worker_that_was_stopped_before_it_ran_takes_nothing(crew: Crew) -> None:
    await crew.start(4)
    async with connect(crew.stage.sandbox) as sms:
        worker = CampaignWorker(sms, crew.ledger)
        worker.stop()
        with anyio.fail_after(30):
            await worker.run()
    assert (len(crew.jobs()), crew.stage.received()) == (1, {})


async def test_a_cancelled_worker_leaves_unknown_only_what_had_left(crew: Crew) -> None:
    """One request at a time: after the first answer three are claimed, two of them wait for the connection."""
    campaign_id = await crew.start(7, batch_size=1)
    slow = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=5.0)
    crew.stage.sandbox.faults.script(None, slow, path=TEXT)

    async def are_claimed() -> bool:
        return (await crew.ledger.status(campaign_id)).sending == 3

    async with connect(crew.stage.sandbox, max_connections=1) as sms:
        worker = CampaignWorker(sms, crew.ledger, concurrency=3)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run)
                await accepted(crew.stage.sandbox, 2)
                await until(are_claimed)
                tasks.cancel_scope.cancel()
    status = await crew.ledger.status(campaign_id)
    assert (status.sending, status.unknown, status.queued, status.accepted) == (0, 1, 5, 1)
    (unknown,) = await crew.ledger.unknown(campaign_id)
    assert "interrupted" in str(unknown.record.error)
    assert [str(phone) for phone, _ in unknown.recipients] == [*crew.stage.received()][1:]
    async with crew.work(1):
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted, status.unknown) == (CampaignState.DONE, 6, 1)
    assert crew.stage.received() == dict.fromkeys(phones(7), 1)


async def test_a_runner_beside_workers_waits_for_what_they_have_under_way(crew: Crew) -> None:
    stall(crew.stage.sandbox, 0.6)
    campaign_id = await crew.start(8, batch_size=2)
    async with crew.work(1):
        await accepted(crew.stage.sandbox, 4)
        run = await crew.stage.runner.run(campaign_id)
    assert (run.status.state, run.status.accepted, run.status.sending) == (CampaignState.DONE, 8, 0)
    assert crew.stage.received() == dict.fromkeys(phones(8), 1)


async def test_a_runner_and_workers_share_a_campaign(crew: Crew) -> None:
    # Long enough for the runner to come in time, on a machine that is busy.
    stall(crew.stage.sandbox, 0.4)
    campaign_id = await crew.start(120, batch_size=2, concurrency=4)
    async with crew.work(1):
        await accepted(crew.stage.sandbox, 2)
        run = await crew.stage.runner.run(campaign_id)
        await until(crew.has_no_jobs)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 120)
    assert crew.stage.received() == dict.fromkeys(phones(120), 1)
    assert crew.ask("SELECT count(DISTINCT worker) FROM vavasms.batch") == [(2,)]


@pytest.mark.parametrize("again", [False, True])
async def test_of_two_submissions_of_one_plan_at_once_one_is_kept(
    crew: Crew, postgres: str, sandbox: SandboxServer, tmp_path: Path, again: bool
) -> None:
    made: list[str] = []
    refused: list[str] = []

    async def submit(stage: Stage) -> None:
        try:
            made.append(await stage.submit(50, batch_size=5, again=again))
        except InvalidInputError as error:
            refused.append(str(error))

    async with (
        await PostgresLedger.open(postgres) as ledger,
        connect(sandbox) as sms,
        CampaignRunner(sms, ledger) as runner,
        anyio.create_task_group() as tasks,
    ):
        for each in (crew.stage, Stage(runner=runner, sandbox=sandbox, folder=tmp_path)):
            tasks.start_soon(submit, each)
    assert (len(made), len(refused)) == ((2, 0) if again else (1, 1))
    assert all(made[0] in each for each in refused)
    assert sorted(each.id for each in await crew.ledger.statuses()) == sorted(made)


async def test_what_is_only_submitted_is_carried_by_nobody(crew: Crew) -> None:
    waiting = await crew.stage.submit(4)
    campaign_id = await crew.start(phones(2, 10))
    async with crew.work(1):
        assert (await crew.settled(campaign_id)).accepted == 2
    assert (await crew.ledger.status(waiting)).state is CampaignState.QUEUED
    assert crew.stage.received() == dict.fromkeys(phones(2, 10), 1)


async def test_a_worker_sends_nothing_of_another_account(crew: Crew) -> None:
    campaign_id = await crew.start(4)
    crew.ask("UPDATE vavasms.campaign SET account = 'other@example.com'")

    async with crew.work(1):
        await until(crew.has_no_jobs)
    assert (await crew.ledger.status(campaign_id)).queued == 4
    assert not crew.stage.received()


@pytest.mark.parametrize("fault", [ZeroDivisionError, CancelledError])
async def test_what_it_is_told_of_a_campaign_that_raises_does_not_disturb(
    crew: Crew, caplog: pytest.LogCaptureFixture, fault: type[BaseException]
) -> None:
    def fail(_: CampaignStatus) -> None:
        raise fault

    campaign_id = await crew.start(4, batch_size=1)
    async with connect(crew.stage.sandbox) as sms:
        worker = CampaignWorker(sms, crew.ledger, on_campaign=fail)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            assert (await crew.settled(campaign_id)).accepted == 4
            worker.stop()
    assert fault.__name__ in caplog.text


async def test_the_batches_of_several_workers_are_one_trace(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    campaign_id = await crew.start(12, batch_size=1)
    async with crew.work(2, concurrency=1):
        assert (await crew.settled(campaign_id)).accepted == 12
    batches = [span for span in exporter.get_finished_spans() if span.name == "vavasms.batch"]
    assert len(batches) == 12
    assert len({span.get_span_context().trace_id for span in batches}) == 1  # type: ignore[union-attr]
    assert {(span.attributes or {}).get("vavasms.outcome") for span in batches} == {"accepted"}
    provider.shutdown()


@pytest.mark.parametrize("fault", [None, ZeroDivisionError, CancelledError])
async def test_it_tells_what_batches_waited_for_their_rate_and_goes_on_whatever_that_raises(
    crew: Crew, caplog: pytest.LogCaptureFixture, fault: type[BaseException] | None
) -> None:
    waits: list[float] = []

    def note(seconds: float) -> None:
        waits.append(seconds)
        if fault is not None:
            raise fault

    campaign_id = await crew.start(4, batch_size=1, rate=20)
    async with connect(crew.stage.sandbox) as sms:
        worker = CampaignWorker(sms, crew.ledger, on_wait=note)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            assert (await crew.settled(campaign_id)).accepted == 4
            worker.stop()
    assert 0 < sum(waits) < 10
    said = {message for message in caplog.messages if "told of a wait" in message}
    assert said == (set() if fault is None else {f"Whoever was told of a wait failed ({fault.__name__})."})


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "4", None])
async def test_a_wrong_concurrency_is_refused_before_anything(crew: Crew, wrong: Any) -> None:
    async with connect(crew.stage.sandbox) as sms:
        with pytest.raises(InvalidInputError, match="concurrency"):
            CampaignWorker(sms, crew.ledger, concurrency=wrong)


async def test_a_worker_whose_ledger_is_closed_says_so(crew: Crew, postgres: str) -> None:
    ledger = await PostgresLedger.open(postgres)
    await ledger.aclose()
    async with connect(crew.stage.sandbox) as sms:
        with pytest.raises(LedgerError), anyio.fail_after(30):
            await CampaignWorker(sms, ledger).run()


def test_under_trio_a_worker_and_its_ledger_are_refused_in_one_sentence(
    postgres: str, sandbox: SandboxServer
) -> None:
    with pytest.raises(ConfigurationError, match="asyncio, not trio"):
        anyio.run(partial(PostgresLedger.open, postgres), backend="trio")

    async def open_ledger() -> CampaignWorker:
        async with open_empty(postgres) as ledger:
            return CampaignWorker(connect(sandbox), ledger)

    worker = anyio.run(open_ledger)
    with pytest.raises(ConfigurationError, match="asyncio, not trio"):
        anyio.run(worker.run, backend="trio")


async def test_a_fault_of_a_workers_own_pauses_the_campaign_before_it_costs_a_batch(crew: Crew) -> None:
    campaign_id = await crew.start(10)
    crew.ask("UPDATE vavasms.campaign SET policy = '[]'")

    async def is_paused() -> bool:
        return (await crew.ledger.status(campaign_id)).state is CampaignState.PAUSED

    async with crew.work(1):
        await until(is_paused)
    status = await crew.ledger.status(campaign_id)
    assert status.reason is not None
    assert status.reason.endswith("a fault of the worker's own")
    assert (status.queued, status.unknown) == (10, 0)
    assert not crew.stage.received()


class SlowManager(JobManager):
    """The engine's own, with an answer that takes its time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.fetched, self.let = asyncio.Event(), asyncio.Event()

    async def fetch_job(self, *arguments: Any, **options: Any) -> Job | None:
        """Fetch a job, and hold it back."""
        job = await super().fetch_job(*arguments, **options)
        self.fetched.set()
        await self.let.wait()
        return job


class SlowWorker(CampaignWorker):
    """A worker as it is, whose jobs come late."""

    manager: SlowManager

    def _make_job_worker(self, pool: Any) -> JobWorker:
        job_worker = super()._make_job_worker(pool)
        self.manager = job_worker._app.job_manager = SlowManager(job_worker._connector)
        return job_worker


async def test_a_cancelled_worker_does_not_begin_what_was_being_fetched(crew: Crew) -> None:
    campaign_id = await crew.start(8, batch_size=1)
    async with connect(crew.stage.sandbox) as sms:
        worker = SlowWorker(sms, crew.ledger)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run)
                await until(_was_fetched(worker))
                tasks.cancel_scope.cancel()
                worker.manager.let.set()
    assert not crew.stage.received()
    assert (await crew.ledger.status(campaign_id)).queued == 8
    assert {state for _, state in crew.jobs()} == {"todo"}


def _was_fetched(worker: SlowWorker) -> Callable[[], Awaitable[bool]]:
    async def was_fetched() -> bool:
        return hasattr(worker, "manager") and worker.manager.fetched.is_set()

    return was_fetched


async def test_of_several_campaigns_one_balance_is_read_at_a_time(crew: Crew) -> None:
    # A place for each send and one more is all there is.
    ids = [await crew.start(phones(20, 100 * index), batch_size=1) for index in range(6)]
    stall(crew.stage.sandbox, 0.02)
    asked: list[str] = []
    under_way = most = 0

    def note(info: CallInfo) -> None:
        nonlocal under_way, most
        if info.call == "balance":
            asked.append(info.call)
            under_way += 1
            most = max(most, under_way)

    def end(info: CallInfo) -> None:
        nonlocal under_way
        under_way -= info.call == "balance"

    async with crew.work(1, concurrency=4, max_connections=5, on_request=note, on_response=end):
        for campaign_id in ids:
            assert (await crew.settled(campaign_id)).accepted == 20
    assert most == 1
    assert len(asked) >= 1


async def test_calls_that_outlive_what_others_reckon_with_are_refused(crew: Crew) -> None:
    patient = Timeouts(send=600.0)
    async with connect(crew.stage.sandbox, timeouts=patient) as sms:
        with pytest.raises(ConfigurationError, match="below 75 seconds"):
            CampaignWorker(sms, crew.ledger)
        with pytest.raises(ConfigurationError, match="below 75 seconds"):
            await CampaignRunner(sms, crew.ledger).__aenter__()


class CountingManager(JobManager):
    """The engine's own; counts how often it registered."""

    rounds = 0
    on_round: Callable[[], object] | None = None

    async def register_worker(self) -> int:
        """Count."""
        self.rounds += 1
        if self.on_round is not None:
            self.on_round()
        return await super().register_worker()


class CountingWorker(CampaignWorker):
    """A worker as it is, with its rounds counted."""

    manager: CountingManager
    job_worker: JobWorker

    def _make_job_worker(self, pool: Any) -> JobWorker:
        self.job_worker = super()._make_job_worker(pool)
        self.manager = self.job_worker._app.job_manager = CountingManager(self.job_worker._connector)
        return self.job_worker


async def test_a_job_that_another_one_ended_meanwhile_is_no_outage(crew: Crew) -> None:
    stall(crew.stage.sandbox, 0.3)
    campaign_id = await crew.start(12, batch_size=1)
    async with connect(crew.stage.sandbox) as sms:
        worker = CountingWorker(sms, crew.ledger, concurrency=4)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await accepted(crew.stage.sandbox, 4)
            # As one does who was taken for dead, and whose job went to another.
            crew.ask("DELETE FROM procrastinate_jobs WHERE status = 'doing'")
            assert (await crew.settled(campaign_id)).accepted == 12
            worker.stop()
    assert worker.manager.rounds == 1
    assert crew.stage.received() == dict.fromkeys(phones(12), 1)


async def test_in_a_new_round_what_was_not_begun_goes_back_and_nobody_takes_the_worker_for_dead(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(crew.stage.sandbox, 1.0)
    # Two stretches, and an end of single batches: 512 in earnest.
    monkeypatch.setattr("vavasms.ledger.postgres.jobs._END", 32)
    count = 48
    campaign_id = await crew.start(count, batch_size=1)
    async with connect(crew.stage.sandbox) as sms:
        worker = CountingWorker(sms, crew.ledger, concurrency=2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await accepted(crew.stage.sandbox, 2)
            journal, at_round = crew.stage.sandbox.gateway.journal, []
            worker.manager.on_round = lambda: at_round.append(len(journal))
            # A statement of the engine's failed. Nothing is awaited between the count and it: how busy the machine is
            # does not matter.
            before = len(journal)
            worker.job_worker._connector.failed.set()
            await until(partial(_has_rounds, worker, 2))
            # Two stretches were in hand, and one batch of each was under way.
            assert at_round[0] <= before + 2 < count
            crew.stage.sandbox.faults.clear()
            assert (await crew.settled(campaign_id)).accepted == count
            worker.stop()
    assert crew.stage.received() == dict.fromkeys(phones(count), 1)


async def _has_rounds(worker: CountingWorker, number: int) -> bool:
    return worker.manager.rounds >= number


async def test_a_worker_that_finishes_what_is_under_way_is_not_taken_for_dead(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(crew.stage.sandbox, 3.5)
    # Two seconds in earnest.
    monkeypatch.setattr("vavasms.campaigns.workers.jobs.HEARTBEAT", 0.5)
    campaign_id = await crew.start(1)
    beat = "SELECT extract(epoch FROM clock_timestamp() - max(last_heartbeat))::FLOAT8 FROM procrastinate_workers"
    async with crew.work(1, concurrency=1) as (worker,):
        await accepted(crew.stage.sandbox, 1)
        worker.stop()
        ages: list[float] = []
        for _ in range(12):
            await anyio.sleep(0.25)
            ages += [row[0] for row in crew.ask(beat) if row[0] is not None]
    assert (await crew.ledger.status(campaign_id)).accepted == 1
    assert max(ages) < 2.0


class MeanwhileLedger(PostgresLedger):
    """Other things happen while its answer is on its way."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Answer late."""
        found = await super().status(campaign_id)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found


async def test_a_campaign_that_is_started_again_as_a_worker_leaves_it_keeps_its_way(
    crew: Crew, postgres: str
) -> None:
    campaign_id = await crew.start(4, batch_size=1)
    async with await MeanwhileLedger.open(postgres) as ledger, connect(crew.stage.sandbox) as sms:
        worker = CampaignWorker(sms, ledger)
        async with await crew.ledger.open_hasty(2) as pool, crew.maintenance() as worker._maintenance:
            worker._job_worker = worker._make_job_worker(pool)
            async with anyio.create_task_group() as worker._tasks:
                old = await worker._find_sender(campaign_id)
                assert old is not None
                await crew.ledger.pause(campaign_id, "AuthenticationError")
                old.close()
                opened: list[object] = []

                async def resume() -> None:
                    await crew.ledger.start(campaign_id)
                    opened.append(await worker._find_sender(campaign_id))

                ledger.meanwhile = resume
                await worker._maintenance.fetch_running()
                await worker._close_ended()
                assert await worker._find_sender(campaign_id) is opened[0]
                worker.stop()
                worker._tasks.cancel_scope.cancel()


async def test_a_clock_that_is_set_back_makes_no_claim_of_a_runner_look_old(
    crew: Crew, postgres: str
) -> None:
    shift = [0.0]
    async with (
        await PostgresLedger.open(postgres) as mine,
        connect(crew.stage.sandbox) as sms,
        CampaignRunner(sms, mine, clock=lambda: time.time() + shift[0]) as runner,
    ):
        stage = Stage(runner=runner, sandbox=crew.stage.sandbox, folder=crew.stage.folder)
        campaign_id = await stage.submit(1)
        stall(crew.stage.sandbox, 1.0)
        shift[0] = -400.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign_id)
            await accepted(crew.stage.sandbox, 1)
            assert not await crew.ledger.reap_orphans(now=await crew.ledger.now())
            # While it runs the time is asked for again.
            shift[0] = 400.0
    assert (await crew.ledger.status(campaign_id)).accepted == 1
    assert crew.stage.received() == dict.fromkeys(phones(1), 1)
