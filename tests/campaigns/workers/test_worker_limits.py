"""What a campaign must keep to holds for all of its workers together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, frozen

from tests.campaigns.crew import Crew, muster, until
from tests.campaigns.staging import TEXT, Clock, accepted, connect, phones, stall
from vavasms.campaigns.limits import change_limits
from vavasms.campaigns.policy import Policy, dump_policy, parse_window
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.campaign_sender import CampaignSender
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.ledger.models import Campaign, Claim, QueuedBatch, StoredBatch
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio

PRICE = Decimal(10)
BAD = "2250700000903"
#: 20:00 UTC of some day.
TWENTY = 1_800_000_000.0 // 86_400 * 86_400 + 20 * 3600


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
async def crew(postgres: str, sandbox: SandboxServer, tmp_path: Path) -> AsyncIterator[Crew]:
    async with muster(postgres, sandbox, tmp_path) as crew:
        yield crew


@pytest.fixture
async def poor(postgres: str, tmp_path: Path) -> AsyncIterator[Crew]:
    """Yield a crew whose account holds 1000 XOF: a hundred segments."""
    with SandboxServer(Gateway(balance=1000, price=10)) as sandbox:
        async with muster(postgres, sandbox, tmp_path) as crew:
            yield crew


def spent(crew: Crew) -> Decimal:
    return sum((entry.cost for entry in crew.stage.sandbox.gateway.journal.entries), Decimal(0))


async def test_a_budget_is_one_for_all_workers(crew: Crew) -> None:
    stall(crew.stage.sandbox, 0.02, accepted=False)
    campaign_id = await crew.start(100, batch_size=4, unit_price=PRICE, budget=Decimal(330))
    async with crew.work():
        status = await crew.settled(campaign_id)
        await until(crew.has_no_jobs)
    assert status.state is CampaignState.PAUSED
    assert "budget" in (status.reason or "")
    assert (status.accepted, status.segments, spent(crew)) == (32, 32, Decimal(320))
    assert [each.reason for each in crew.told] == [status.reason] * 2


async def test_no_worker_takes_the_balance_further_below_its_floor_than_by_a_batch(poor: Crew) -> None:
    # Charged late, while the balance is read at once: it does not show what is under way.
    stall(poor.stage.sandbox, 0.1, accepted=False)
    options = {"batch_size": 5, "unit_price": PRICE, "balance_floor": Decimal(500)}
    campaign_id = await poor.start(100, **options)
    async with poor.work():
        status = await poor.settled(campaign_id)
    assert status.state is CampaignState.PAUSED
    assert "floor" in (status.reason or "")
    assert 450 <= poor.stage.sandbox.gateway.balance <= 500
    assert 1000 - spent(poor) == poor.stage.sandbox.gateway.balance
    poor.stage.sandbox.faults.clear()
    poor.stage.sandbox.gateway.set_balance(10_000)
    assert await poor.ledger.start(campaign_id)
    async with poor.work():
        status = await poor.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 100)
    assert poor.stage.received() == dict.fromkeys(phones(100), 1)


async def test_a_floor_counts_what_the_same_worker_has_under_way_of_another_campaign(poor: Crew) -> None:
    stall(poor.stage.sandbox, 2.0, accepted=False)
    greedy = await poor.start(60, batch_size=5)
    async with poor.work(number=1, concurrency=24):
        # From its first answer on all the rest is under way.
        await accepted(poor.stage.sandbox, 1)
        careful = await poor.start(
            phones(60, first=100), batch_size=5, unit_price=PRICE, balance_floor=Decimal(500)
        )
        status = await poor.settled(careful)
    assert (status.state, status.accepted) == (CampaignState.PAUSED, 0)
    assert (await poor.ledger.status(greedy)).accepted == 60


async def test_two_campaigns_of_a_worker_never_go_below_a_floor_together(poor: Crew) -> None:
    stall(poor.stage.sandbox, 0.3, accepted=False)
    floor = {"batch_size": 80, "unit_price": PRICE, "balance_floor": Decimal(0)}
    ids = [await poor.start(phones(80, first=100 * index), **floor) for index in range(2)]
    async with poor.work(number=1, concurrency=2):
        statuses = [await poor.settled(campaign_id) for campaign_id in ids]
    # Each of them is 800 of 1000 XOF.
    assert sorted((status.state.value, status.accepted) for status in statuses) == [
        ("done", 80),
        ("paused", 0),
    ]
    assert poor.stage.sandbox.gateway.balance == 200


async def test_a_floor_that_was_set_meanwhile_holds_for_a_worker_that_had_begun(poor: Crew) -> None:
    # So quick that in the two seconds in which a worker looks all of it would be spent.
    stall(poor.stage.sandbox, 0.05, accepted=False)
    campaign_id = await poor.start(100, batch_size=5, unit_price=PRICE)
    async with poor.work(number=1, concurrency=1):
        await accepted(poor.stage.sandbox, 2)
        await poor.ledger.pause(campaign_id, "lunch")
        await change_limits(poor.ledger, campaign_id, balance_floor=Decimal(500))
        # Sooner than the worker looks whether it runs.
        assert await poor.ledger.start(campaign_id)
        status = await poor.settled(campaign_id)
    assert "floor" in (status.reason or "")
    assert poor.stage.sandbox.gateway.balance == 500


@pytest.mark.usefixtures("no_backoff")
async def test_a_floor_stops_all_workers_where_the_balance_cannot_be_read(crew: Crew) -> None:
    campaign_id = await crew.start(20, batch_size=2, unit_price=PRICE, balance_floor=Decimal(1))
    broken = Fault(kind=FaultKind.STATUS, status=500)
    crew.stage.sandbox.faults.script(*[broken] * 400, path="/v1/check/balance")
    async with crew.work():
        status = await crew.settled(campaign_id)
    assert (status.state, status.queued) == (CampaignState.PAUSED, 20)
    assert "could not be read" in (status.reason or "")
    assert not crew.stage.received()


async def test_workers_share_the_pace(crew: Crew) -> None:
    campaign_id = await crew.start(60, batch_size=5, rate=100.0)
    begins = time.time()
    async with crew.work():
        assert (await crew.settled(campaign_id)).accepted == 60
    times = [entry.time - begins for entry in crew.stage.sandbox.gateway.journal.entries]
    assert all(at >= 0.05 * place - 0.01 for place, at in enumerate(times))


async def test_a_worker_reads_the_balance_first_and_has_one_batch_until_it_is_answered(crew: Crew) -> None:
    calls: list[str] = []
    under_way = 0
    most: list[int] = []

    def begins(info: CallInfo) -> None:
        nonlocal under_way
        calls.append(info.call)
        under_way += info.call == "send_text"
        most.append(under_way)

    def ends(info: CallInfo) -> None:
        nonlocal under_way
        calls.append("answer")
        under_way -= info.call == "send_text"

    slow = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.2)
    crew.stage.sandbox.faults.script(*[slow] * 10, path=TEXT)
    campaign_id = await crew.start(20, batch_size=2)
    async with crew.work(1, 8, on_request=begins, on_response=ends):
        assert (await crew.settled(campaign_id)).accepted == 20
    sends = [call for call in calls if call != "balance"]
    assert calls[:2] == ["balance", "answer"]
    assert [call for call in sends if call == "send_text"] == ["send_text"] * 10
    assert max(most) > 2
    first = calls.index("send_text")
    assert "send_text" not in calls[first + 1 : calls.index("answer", first + 1)]


async def test_a_gateway_that_refuses_the_balance_pauses_it_for_all_workers(crew: Crew) -> None:
    campaign_id = await crew.start(20, batch_size=2)
    gone = Fault(kind=FaultKind.STATUS, status=404)
    crew.stage.sandbox.faults.script(*[gone] * 20, path="/v1/check/balance")
    async with crew.work():
        status = await crew.settled(campaign_id)
    assert (status.state, status.queued, status.unknown) == (CampaignState.PAUSED, 20, 0)
    assert "HTTP 404" in (status.reason or "")
    assert not crew.stage.received()
    crew.stage.sandbox.faults.clear()
    assert await crew.ledger.start(campaign_id)
    async with crew.work():
        assert (await crew.settled(campaign_id)).accepted == 20
    assert set(crew.stage.received().values()) == {1}


async def test_the_first_bare_refusal_pauses_it_for_all_workers(crew: Crew) -> None:
    campaign_id = await crew.start(60, batch_size=2)
    large = Fault(kind=FaultKind.STATUS, status=413, moment=Moment.AFTER_ACCEPTING)
    crew.stage.sandbox.faults.script(*[large] * 60, path=TEXT)
    async with crew.work(3):
        status = await crew.settled(campaign_id)
    assert status.state is CampaignState.PAUSED
    # Each worker has one under way until it is answered.
    assert 2 <= status.unknown <= 6
    assert status.unknown + status.queued == 60
    crew.stage.sandbox.faults.clear()
    assert await crew.ledger.start(campaign_id)
    async with crew.work(3):
        assert (await crew.settled(campaign_id)).state is CampaignState.DONE
    assert crew.stage.received() == dict.fromkeys(phones(60), 1)


async def test_an_account_that_is_refused_pauses_it_for_all_workers(crew: Crew) -> None:
    campaign_id = await crew.start(60, batch_size=2)
    async with crew.work(password="wrong"):
        status = await crew.settled(campaign_id)
        await until(crew.has_no_jobs)
    assert (status.state, status.queued, status.rejected) == (CampaignState.PAUSED, 60, 0)
    assert "AuthenticationError" in (status.reason or "")
    assert "wrong" not in (status.reason or "")
    assert not crew.stage.received()
    assert await crew.ledger.start(campaign_id)
    async with crew.work():
        status = await crew.settled(campaign_id)
    assert (status.state, status.reason, status.accepted) == (CampaignState.DONE, None, 60)
    assert crew.stage.received() == dict.fromkeys(phones(60), 1)


async def test_three_alike_of_an_undocumented_code_pause_it_for_all_workers(crew: Crew) -> None:
    odd = Fault(kind=FaultKind.RAW, body=b'{"code": 17, "message": "ODD"}')
    crew.stage.sandbox.faults.script(*[odd] * 50, path=TEXT)
    campaign_id = await crew.start(40, batch_size=1)
    async with crew.work(concurrency=1):
        status = await crew.settled(campaign_id)
    # Each counts its own.
    assert (status.state, status.accepted) == (CampaignState.PAUSED, 0)
    assert 3 <= status.unknown <= 6
    assert status.queued == 40 - status.unknown


async def batch(crew: Crew, campaign_id: str, number: int = 0) -> StoredBatch:
    return (await crew.stage.batches(campaign_id))[number]


async def test_what_is_turned_away_has_a_job_that_is_due_when_the_gateway_said(crew: Crew) -> None:
    away = Fault(kind=FaultKind.RATE_LIMIT, retry_after="1")
    crew.stage.sandbox.faults.script(away, path=TEXT)
    campaign_id = await crew.start(2)
    (first,) = crew.jobs()

    async def is_put_off() -> bool:
        found = crew.ask("SELECT 1 FROM vavasms_jobs.procrastinate_jobs WHERE scheduled_at > now()")
        return bool(found) and len(crew.jobs()) == 1

    async with crew.work():
        await until(is_put_off)
        assert crew.jobs() == [first]
        due = "extract(epoch FROM scheduled_at)::FLOAT8 - not_before"
        late = crew.ask(f"SELECT {due}, not_before FROM vavasms_jobs.procrastinate_jobs, vavasms.batch")
        assert late[0][0] == pytest.approx(0.05, abs=1e-3)
        status = await crew.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 2)
    (entry,) = crew.stage.sandbox.gateway.journal.entries
    # The clock of the database is this machine's.
    assert entry.time >= late[0][1] > 0


@pytest.mark.usefixtures("no_backoff")
async def test_what_finds_the_gateway_out_of_reach_goes_out_when_it_is_back(crew: Crew) -> None:
    campaign_id = await crew.start(8, batch_size=2)
    away = ExitStack()

    def go_away(info: CallInfo) -> None:
        # After the first answer: a gateway that is away from the beginning ends the campaign.
        if info.call == "send_text" and info.error is None and len(crew.stage.received()) == 2:
            away.enter_context(crew.stage.sandbox.refuse())

    async def are_back() -> bool:
        tried = "SELECT count(*) FROM vavasms.batch WHERE state = 'queued' AND attempt > 0 AND not_before > 0"
        return crew.ask(tried) == [(3,)]

    with away:
        async with crew.work(1, on_response=go_away):
            await until(are_back)
            assert len(crew.stage.received()) == 2
            away.close()
            status = await crew.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 8)
    assert crew.stage.received() == dict.fromkeys(phones(8), 1)


async def test_a_lot_that_is_refused_as_a_whole_is_halved_and_both_halves_are_carried(crew: Crew) -> None:
    numbers = [*phones(5), BAD, *phones(2, 5)]
    campaign_id = await crew.start(numbers, batch_size=8)
    async with crew.work(lots_are_atomic=True):
        status = await crew.settled(campaign_id)
        await until(crew.has_no_jobs)
    assert (status.state, status.rejected, status.accepted) == (CampaignState.DONE, 1, 7)
    batches = await crew.stage.batches(campaign_id)
    (rejected,) = [each for each in batches if each.state is BatchState.REJECTED]
    assert [str(phone) for phone, _ in rejected.recipients] == [BAD]
    assert crew.stage.received() == dict.fromkeys(phones(7), 1)


@define(kw_only=True)
class Hours:
    """A window over two workers' ways, and the hour for both."""

    clock: Clock
    senders: tuple[CampaignSender, CampaignSender]

    async def carry(self, numbers: tuple[int, int]) -> list[bool]:
        """Make each send one; return which did."""
        sent = []
        for sender, number in zip(self.senders, numbers, strict=True):
            result = await sender.send(QueuedBatch(number=number, messages=1, segments=1, not_before=0.0))
            sent.append(result is not None)
        return sent


def make_sender(crew: Crew, campaign: Campaign, worker: str, clock: Callable[[], float]) -> CampaignSender:
    return CampaignSender(
        ledger=crew.ledger,
        campaign=campaign,
        account=crew.account,
        worker=worker,
        clock=clock,
        pending=PendingWrites(),
        reader=BalanceReader(transport=crew.account.transport),
    )


async def test_a_window_that_closes_holds_for_all_workers(crew: Crew) -> None:
    window = parse_window("08:00-20:00", tz="UTC")
    campaign_id = await crew.start(6, batch_size=1, window=window)
    campaign = await crew.ledger.campaign(campaign_id)
    clock = Clock(TWENTY - 1)
    senders = [make_sender(crew, campaign, name, clock) for name in ("one", "two")]
    hours = Hours(clock=clock, senders=(senders[0], senders[1]))
    assert await hours.carry((0, 1)) == [True, True]
    clock.now = TWENTY
    assert await hours.carry((2, 3)) == [False, False]
    assert (await crew.ledger.status(campaign_id)).queued == 4
    assert crew.stage.received() == dict.fromkeys(phones(2), 1)
    clock.now = TWENTY + 12 * 3600
    assert await hours.carry((2, 3)) == [True, True]
    assert crew.stage.received() == dict.fromkeys(phones(4), 1)


@pytest.mark.parametrize("obstacle", ["balance", "send", "floor"])
async def test_a_worker_pauses_only_the_start_that_it_carried(crew: Crew, obstacle: str) -> None:
    floor = {"unit_price": PRICE, "balance_floor": Decimal(10**9)} if obstacle == "floor" else {}
    campaign_id = await crew.start(4, batch_size=1, **floor)
    ours = make_sender(crew, await crew.ledger.campaign(campaign_id), "one", time.time)
    # A person puts right what is in the way, before this worker comes to it.
    assert await crew.ledger.pause(campaign_id, "lunch")
    assert await crew.ledger.start(campaign_id)
    gone = Fault(kind=FaultKind.STATUS, status=404)
    if obstacle == "balance":
        crew.stage.sandbox.faults.script(gone, path="/v1/check/balance")
    elif obstacle == "send":
        crew.stage.sandbox.faults.script(gone, path=TEXT)
    await ours.send(QueuedBatch(number=0, messages=1, segments=1, not_before=0.0))
    campaign = await crew.ledger.campaign(campaign_id)
    assert (campaign.state, campaign.reason) == (CampaignState.RUNNING, None)
    assert (await crew.ledger.status(campaign_id)).queued == 4
    assert not crew.stage.received()


class Faulty(PostgresLedger):
    """A worker's own fault, while a person has the campaign start anew."""

    is_broken: bool = True

    async def claim(self, campaign_id: str, number: int, **options: Any) -> Claim | None:
        if self.is_broken:
            self.is_broken = False
            assert await self.pause(campaign_id, "lunch")
            assert await self.start(campaign_id)
            raise RuntimeError("a fault")
        return await super().claim(campaign_id, number, **options)


async def test_a_fault_of_a_workers_own_pauses_only_the_start_that_it_carried(crew: Crew) -> None:
    campaign_id = await crew.start(4, batch_size=1)
    async with (
        connect(crew.stage.sandbox) as sms,
        await Faulty.open(crew.url) as ledger,
        anyio.create_task_group() as tasks,
    ):
        worker = CampaignWorker(sms, ledger, concurrency=1)

        async def is_done() -> bool:
            return (await crew.ledger.status(campaign_id)).state is CampaignState.DONE

        tasks.start_soon(worker.run)
        await until(is_done, 20.0)
        worker.stop()
    assert not ledger.is_broken
    assert crew.stage.received() == dict.fromkeys(phones(4), 1)


@frozen
class Hour:
    """The hours before and after now, in UTC."""

    hour: int

    def window(self, begin: int, end: int) -> str:
        return f"{(self.hour + begin) % 24:02}:00-{(self.hour + end) % 24:02}:00"


async def test_outside_of_its_window_nobody_is_woken_and_within_it_all_goes_out(crew: Crew) -> None:
    hour = Hour(time.gmtime().tm_hour)
    closed = Policy(batch_size=1, window=parse_window(hour.window(2, 4), tz="UTC"))
    campaign_id = await crew.start(10, batch_size=1, window=closed.window)

    async with crew.work(1):
        await until(crew.has_no_jobs)
        assert (await crew.ledger.status(campaign_id)).queued == 10
        assert not crew.stage.received()
    # As if the hours went by.
    wide = Policy(batch_size=1, window=parse_window(hour.window(-2, 2), tz="UTC"))
    crew.ask("UPDATE vavasms.campaign SET policy = %s", dump_policy(wide))
    async with crew.work(1):
        assert (await crew.settled(campaign_id)).accepted == 10
    assert crew.stage.received() == dict.fromkeys(phones(10), 1)
