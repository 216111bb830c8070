"""A campaign keeps its limits: money, hours, pace, and what each recipient may have."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from attrs import define, field

from tests.campaigns.staging import TEXT, Clock, Stage, connect, phones, stall
from vavasms.campaigns.policy import Policy, parse_window
from vavasms.campaigns.runner import CampaignRun, CampaignRunner
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Exclusion
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer

pytestmark = pytest.mark.anyio

PRICE = Decimal(10)
#: 08:00 UTC of some day.
EIGHT = 1_800_000_000.0 // 86_400 * 86_400 + 8 * 3600


@pytest.fixture
async def poor(ledger: Ledger, tmp_path: Path) -> AsyncIterator[Stage]:
    """Yield a stage whose account holds 1000 XOF: a hundred segments."""
    with SandboxServer(Gateway(balance=1000, price=10)) as sandbox:
        async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
            yield Stage(runner=runner, sandbox=sandbox, folder=tmp_path)


async def test_a_budget_pauses_before_the_batch_that_it_does_not_pay(stage: Stage) -> None:
    run = await stage.run(100, batch_size=4, unit_price=PRICE, budget=Decimal(330))
    assert (run.status.state, run.error) == (CampaignState.PAUSED, None)
    assert "budget" in (run.status.reason or "")
    assert (run.status.accepted, run.status.segments) == (32, 32)
    assert sum(entry.cost for entry in stage.sandbox.gateway.journal.entries) == 320
    # Nothing changed: it stays where it is.
    run = await stage.runner.run(run.status.id)
    assert (run.status.state, run.status.accepted) == (CampaignState.PAUSED, 32)


async def test_a_budget_is_kept_with_many_in_flight_and_what_fails_is_not_charged(stage: Stage) -> None:
    stall(stage.sandbox, 0.02, accepted=False)
    refused = Fault(kind=FaultKind.RAW, body=b'{"code": 920, "message": "NO"}')
    stage.sandbox.faults.script(*[refused] * 3, path="/v1/text/single")
    run = await stage.run(100, batch_size=2, unit_price=PRICE, budget=Decimal(400), concurrency=16)
    spent = sum(entry.cost for entry in stage.sandbox.gateway.journal.entries)
    assert run.status.state is CampaignState.PAUSED
    assert spent == run.status.segments * PRICE <= 400
    assert run.status.rejected == 6


async def test_a_budget_counts_segments(stage: Stage) -> None:
    run = await stage.run(10, message="a" * 161, batch_size=2, unit_price=PRICE, budget=Decimal(100))
    assert (run.status.accepted, run.status.segments) == (4, 8)


@pytest.mark.parametrize("text", ["Bonjour", "a" * 161], ids=["one segment", "two segments"])
async def test_the_balance_never_falls_below_the_floor_with_many_in_flight(poor: Stage, text: str) -> None:
    # Charged late, while the balance is read at once: it does not show what is under way.
    late = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.1)
    poor.sandbox.faults.script(*[late] * 20, path=TEXT)
    run = await poor.run(100, message=text, batch_size=5, unit_price=PRICE, balance_floor=Decimal(500))
    assert run.status.state is CampaignState.PAUSED
    assert "floor" in (run.status.reason or "")
    assert poor.sandbox.gateway.balance == 500
    poor.sandbox.faults.clear()
    poor.sandbox.gateway.set_balance(10_000)
    run = await poor.runner.run(run.status.id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 100)
    assert poor.received() == dict.fromkeys(phones(100), 1)


async def test_a_floor_counts_what_is_in_flight_of_the_runners_other_campaigns(poor: Stage) -> None:
    stall(poor.sandbox, 0.5, accepted=False)
    greedy = await poor.submit(60, batch_size=5, concurrency=12)
    careful = await poor.submit(
        phones(60, first=100), batch_size=5, unit_price=PRICE, balance_floor=Decimal(500)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poor.runner.run, greedy)
        with anyio.fail_after(10):
            # All but the first batch, which goes alone until it is answered.
            while (await poor.ledger.status(greedy)).sending < 55:
                await anyio.sleep(0.01)
        tasks.start_soon(poor.runner.run, careful)
    status = await poor.ledger.status(careful)
    assert (status.state, status.accepted) == (CampaignState.PAUSED, 0)


async def test_two_campaigns_of_a_runner_never_go_below_a_floor_together(poor: Stage) -> None:
    stall(poor.sandbox, 0.3, accepted=False)
    ids = [
        await poor.submit(
            phones(80, first=100 * index), batch_size=80, unit_price=PRICE, balance_floor=Decimal(0)
        )
        for index in range(2)
    ]
    async with anyio.create_task_group() as tasks:
        for campaign_id in ids:
            tasks.start_soon(poor.runner.run, campaign_id)
    # Each of them is 800 of 1000 XOF.
    assert sorted([(await poor.ledger.status(each)).accepted for each in ids]) == [0, 80]
    assert poor.sandbox.gateway.balance == 200


async def test_a_floor_that_is_never_reached_stops_nothing(poor: Stage) -> None:
    stall(poor.sandbox, 0.01)
    run = await poor.run(100, batch_size=5, unit_price=PRICE, balance_floor=Decimal(0))
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 100)


@pytest.mark.usefixtures("no_backoff")
async def test_a_floor_stops_where_the_balance_cannot_be_read(poor: Stage) -> None:
    campaign_id = await poor.submit(4, unit_price=PRICE, balance_floor=Decimal(1))
    broken = Fault(kind=FaultKind.STATUS, status=500)
    poor.sandbox.faults.script(*[broken] * 40, path="/v1/check/balance")
    run = await poor.runner.run(campaign_id)
    assert (run.status.state, run.status.queued) == (CampaignState.PAUSED, 4)
    assert "could not be read" in (run.status.reason or "")


async def test_the_daily_cap_counts_over_campaigns(stage: Stage) -> None:
    assert (await stage.run(4, message="Un", daily_cap=2)).status.accepted == 4
    assert (await stage.run(phones(4, 2), message="Deux", daily_cap=2)).status.accepted == 4
    run = await stage.run(6, message="Trois", daily_cap=2)
    assert (run.status.state, run.status.accepted, run.status.not_sent) == (CampaignState.DONE, 4, 2)
    assert stage.received() == dict.fromkeys(phones(6), 2)
    (batch,) = await stage.batches(run.status.id)
    assert [str(phone) for phone, why in batch.recipients if why is Exclusion.CAPPED] == phones(2, 2)
    run = await stage.run(phones(2, 2), message="Quatre", daily_cap=2)
    assert (run.status.state, run.status.not_sent) == (CampaignState.DONE, 2)


async def test_who_opts_out_after_the_submission_gets_nothing(stage: Stage) -> None:
    early, late = phones(2)
    await stage.ledger.add_opt_outs([Msisdn(early)], source="test", now=1.0)
    campaign_id = await stage.submit(5, batch_size=2)
    assert (await stage.ledger.status(campaign_id)).recipients == 4
    await stage.ledger.add_opt_outs([Msisdn(late)], source="test", now=2.0)
    run = await stage.runner.run(campaign_id)
    assert (run.status.state, run.status.accepted, run.status.not_sent) == (CampaignState.DONE, 3, 1)
    assert stage.received() == dict.fromkeys(phones(3, 2), 1)


def are_paced(stage: Stage, begins: float, seconds: float) -> bool:
    """Return whether no batch was accepted before its share of the time; one is `seconds` long."""
    times = [entry.time for entry in stage.sandbox.gateway.journal.entries]
    return all(at - begins >= seconds * place - 0.01 for place, at in enumerate(times))


async def test_the_pace_is_kept_over_all_batches(stage: Stage) -> None:
    campaign_id = await stage.submit(60, batch_size=5, rate=100.0)
    begins = time.time()
    run = await stage.runner.run(campaign_id)
    assert run.status.accepted == 60
    assert are_paced(stage, begins, 0.05)


class Counted(MemoryLedger):
    """An event that is set when so many batches asked for their share of a rate."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most
        self.asked = anyio.Event()

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        wait = await super().reserve(account, messages, rate=rate, now=now)
        self.left -= 1
        if self.left <= 0:
            self.asked.set()
        return wait


async def test_a_rate_so_slow_that_a_batch_takes_hours_lets_one_batch_through(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    # Twelve of them would take more than a day, which once was taken for a clock's fault.
    ledger = Counted(12)
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(3000, batch_size=100, rate=0.01)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign_id)
            with anyio.fail_after(20):
                await ledger.asked.wait()
            runner.stop()
        status = await ledger.status(campaign_id)
        # What only waited took nothing: the next share is the one after the first batch.
        account = (await ledger.campaign(campaign_id)).account
        assert 9_900 < await ledger.reserve(account, 100, rate=0.01, now=time.time()) < 10_000
    assert (status.accepted, status.queued) == (100, 2900)
    assert len(stage.received()) == 100


async def test_two_campaigns_of_one_account_share_the_pace(stage: Stage) -> None:
    first = await stage.submit(20, batch_size=5, rate=50.0)
    second = await stage.submit(phones(20, 20), batch_size=5, rate=50.0)
    begins = time.time()
    async with anyio.create_task_group() as tasks:
        for each in (first, second):
            tasks.start_soon(stage.runner.run, each)
    assert len(stage.sandbox.gateway.journal) == 8
    assert are_paced(stage, begins, 0.1)


@define
class Dial(Clock):
    """An event that is set when somebody asked for the time once it was this late."""

    late: Callable[[float], bool] = lambda _: False
    asked: anyio.Event = field(factory=anyio.Event)
    #: Questions so late that are awaited.
    times: int = 3

    def __call__(self) -> float:
        if self.late(self.now):
            self.times -= 1
            if self.times <= 0:
                self.asked.set()
        return self.now


async def wait_and_stop(stage: Stage, campaign_id: str, dial: Dial) -> CampaignRun:
    """Stop a run that waits for its window, and give how it ended."""
    runs: list[CampaignRun] = []

    async def run() -> None:
        runs.append(await stage.runner.run(campaign_id))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await dial.asked.wait()
            stage.runner.stop()
    return runs[0]


WINDOW = parse_window("08:00-20:00", tz="UTC")


async def test_nothing_is_sent_while_the_window_is_closed_and_a_stop_ends_the_wait(
    sandbox: SandboxServer, ledger: Ledger, tmp_path: Path
) -> None:
    dial = Dial(now=EIGHT - 3600, late=lambda _: True)
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger, clock=dial) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(4, window=WINDOW)
        dial.asked, dial.times = anyio.Event(), 3
        run = await wait_and_stop(stage, campaign_id, dial)
        assert (run.status.state, run.status.reason) == (CampaignState.PAUSED, "interrupted")
        assert (run.status.queued, stage.received()) == (4, {})
        dial.now = EIGHT
        run = await runner.run(campaign_id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 4)


@pytest.mark.parametrize(
    "limits",
    [{"window": WINDOW}, {"not_before": datetime.fromtimestamp(EIGHT, UTC)}],
    ids=["window", "moment"],
)
async def test_sending_begins_when_the_window_opens_and_not_before_its_moment(
    sandbox: SandboxServer, ledger: Ledger, tmp_path: Path, limits: Mapping[str, Any]
) -> None:
    begins = time.monotonic()

    def clock() -> float:
        return EIGHT - 0.4 + (time.monotonic() - begins)

    async with connect(sandbox) as sms, CampaignRunner(sms, ledger, clock=clock) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        run = await stage.run(4, **limits, batch_size=2)
        claims = [batch.sending_at or 0 for batch in await stage.batches(run.status.id)]
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 4)
    assert min(claims) >= EIGHT


async def test_what_waits_for_its_turn_when_the_window_closes_is_not_sent(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    twenty = EIGHT + 12 * 3600
    dial = Dial(now=twenty - 1, late=lambda now: now >= twenty)

    class Slow(MemoryLedger):
        """The window closes while a batch waits for its turn."""

        async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
            wait = await super().reserve(account, messages, rate=rate, now=now)
            if wait > 0:
                dial.now = twenty
            return wait

    async with connect(sandbox) as sms, CampaignRunner(sms, Slow(), clock=dial) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(20, window=WINDOW, rate=10.0, batch_size=2, concurrency=2)
        dial.times = 8
        run = await wait_and_stop(stage, campaign_id, dial)
    assert run.status.state is CampaignState.PAUSED
    assert run.status.accepted == len(stage.received()) <= 2
    assert (run.status.sending, run.status.unknown) == (0, 0)


@pytest.mark.usefixtures("no_backoff")
async def test_a_window_that_closes_asks_for_no_balance(sandbox: SandboxServer, tmp_path: Path) -> None:
    twenty = EIGHT + 12 * 3600
    dial = Dial(now=twenty - 1, late=lambda now: now >= twenty)
    broken = Fault(kind=FaultKind.STATUS, status=500)

    class Slow(MemoryLedger):
        """The window closes, and the balance cannot be read any more, while a batch waits for its turn."""

        async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
            wait = await super().reserve(account, messages, rate=rate, now=now)
            if wait > 0 and dial.now < twenty:
                dial.now = twenty
                sandbox.faults.script(*[broken] * 40, path="/v1/check/balance")
            return wait

    async with connect(sandbox) as sms, CampaignRunner(sms, Slow(), clock=dial) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(
            20,
            window=WINDOW,
            rate=10.0,
            batch_size=2,
            concurrency=2,
            unit_price=PRICE,
            balance_floor=Decimal(1),
        )
        dial.times = 8
        run = await wait_and_stop(stage, campaign_id, dial)
    # Stopped by the test, not by a balance that pays for nothing at this hour.
    assert (run.status.state, run.status.reason) == (CampaignState.PAUSED, "interrupted")


async def test_the_plan_tells_when_it_ends(sandbox: SandboxServer, tmp_path: Path) -> None:
    async with connect(sandbox) as sms:
        runner = CampaignRunner(sms, MemoryLedger(), clock=lambda: EIGHT - 60)
        path = Stage(runner=runner, sandbox=sandbox, folder=tmp_path).write(phones(10))
        plan = await runner.plan(path, "Bonjour", policy=Policy(rate=1.0, window=WINDOW))
    assert plan.ends_at == EIGHT + 10
    assert WINDOW.zone == ZoneInfo("UTC")
