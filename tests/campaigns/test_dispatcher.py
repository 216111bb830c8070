"""Which batch is next: one until there is an answer, then as many as there are places, and none after a stop."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field

from tests.campaigns.staging import TEXT, Clock, Stage, accepted, connect, make_sender, phones, stall
from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import parse_window
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.sending.dispatcher import INTERRUPTED, Dispatcher
from vavasms.errors import AuthenticationError, LedgerError
from vavasms.ledger.attempts import describe_error
from vavasms.ledger.models import BatchRecord, Campaign, Claim, QueuedBatch
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio

BALANCE = "/v1/check/balance"
#: 08:00 UTC of some day, when the window opens.
EIGHT = 1_800_000_000.0 // 86_400 * 86_400 + 8 * 3600
WINDOW = parse_window("08:00-20:00", tz="UTC")


def nothing(*_: object) -> None:
    """Do nothing."""


async def nothing_yet(*_: object) -> None:
    """Wait for nothing."""


class Ledger(MemoryLedger):
    """A ledger that calls before each claim, outcome and look at what is queued, and after each at the campaign."""

    def __init__(self) -> None:
        super().__init__()
        self.on_claim: Callable[[int], None] = nothing
        #: Nothing can be claimed, as where a window has closed or a clock jumped.
        self.refuses = False
        self.on_settle: Callable[[], None] = nothing
        self.before_settle: Callable[[Claim], Awaitable[None]] = nothing_yet
        self.on_look: Callable[[], None] = nothing
        self.on_queued: Callable[[], None] = nothing

    async def claim(self, campaign_id: str, number: int, **intent: Any) -> Claim | None:
        self.on_claim(number)
        if self.refuses:
            return None
        return await super().claim(campaign_id, number, **intent)

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        self.on_settle()
        await self.before_settle(claim)
        return await super().settle(claim, event, record, not_before=not_before)

    async def campaign(self, campaign_id: str) -> Campaign:
        found = await super().campaign(campaign_id)
        self.on_look()
        return found

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> list[QueuedBatch]:
        self.on_queued()
        return [*await super().queued(campaign_id, after=after, limit=limit)]


@define
class Site:
    """What a dispatcher works with."""

    stage: Stage
    sms: AsyncVavaSMS
    ledger: Ledger
    clock: Callable[[], float] = time.time
    calls: list[str] = field(factory=list)

    async def dispatcher(self, batches: int, *, slots: int = 16, **policy: Any) -> Dispatcher:
        """Return the dispatcher of a new campaign that runs, of batches of one."""
        campaign_id = await self.stage.submit(batches, batch_size=1, **policy)
        sender = await make_sender(self.sms, self.ledger, campaign_id, self.clock)
        self.calls.clear()
        return Dispatcher(sender=sender, slots=slots)

    async def put_off(self, dispatcher: Dispatcher, number: int, until: float) -> None:
        """Put a batch off, as one that was turned away."""
        campaign = dispatcher.sender.campaign
        claim = await self.ledger.claim(
            campaign.id, number, token=f"off-{number}", worker="test", now=self.clock()
        )
        assert claim is not None
        await self.ledger.settle(claim, BatchEvent.REQUEUE, BatchRecord(), not_before=until)

    async def states(self, dispatcher: Dispatcher) -> list[BatchState]:
        """Return what became of the batches, in order."""
        return [batch.state for batch in await self.stage.batches(dispatcher.sender.campaign.id)]


@pytest.fixture
async def site(sandbox: SandboxServer, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Site]:
    """Yield a ledger in memory between a runner, which only takes campaigns in, and the sandbox."""

    def note(info: CallInfo) -> None:
        made.calls.append(info.call)

    ledger = Ledger()
    sandbox.gateway.set_balance(10**6)
    async with connect(sandbox, on_request=note) as sms, CampaignRunner(sms, ledger) as runner:
        made = Site(stage=Stage(runner=runner, sandbox=sandbox, folder=tmp_path), sms=sms, ledger=ledger)
        yield made


@pytest.fixture
def _wakened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep everybody from looking by themselves whether there is something to do: who waits is to be wakened."""
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", math.inf)


async def run(dispatcher: Dispatcher) -> None:
    with anyio.fail_after(10):
        await dispatcher.run()


@pytest.mark.usefixtures("_wakened")
async def test_all_that_is_queued_goes_out_once_over_any_number_of_pages(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._PAGE", 3)
    dispatcher = await site.dispatcher(10, concurrency=4)
    await run(dispatcher)
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 10
    assert site.stage.received() == dict.fromkeys(phones(10), 1)
    assert site.calls == ["balance", *["send_text"] * 10]
    assert (dispatcher.reason, dispatcher.sender.stopping.is_set()) == (None, False)


@pytest.mark.usefixtures("_wakened")
async def test_the_next_is_claimed_while_the_outcome_of_the_one_before_is_being_written(site: Site) -> None:
    claimed, in_time = [anyio.Event() for _ in range(3)], []

    async def wait(claim: Claim) -> None:
        # Until the next one is there: both commits are then one.
        if claim.number < 2:
            with anyio.move_on_after(5):
                await claimed[claim.number + 1].wait()
                in_time.append(claim.number)

    dispatcher = await site.dispatcher(3, concurrency=1)
    site.ledger.on_claim = lambda number: claimed[number].set()
    site.ledger.before_settle = wait
    await run(dispatcher)
    assert in_time == [0, 1]
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 3


async def test_what_is_queued_is_looked_up_by_the_page_and_not_by_the_batch(site: Site) -> None:
    looks: list[bool] = []
    dispatcher = await site.dispatcher(60, concurrency=2)
    site.ledger.on_queued = lambda: looks.append(True)
    await run(dispatcher)
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 60
    assert len(looks) < 30


async def test_what_waits_for_its_share_of_the_rate_is_begun_once(site: Site) -> None:
    claimed: list[int] = []
    dispatcher = await site.dispatcher(4, concurrency=4, rate=10.0)
    site.ledger.on_claim = claimed.append
    await run(dispatcher)
    assert sorted(claimed) == [0, 1, 2, 3]
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 4


@pytest.mark.parametrize(("slots", "concurrency", "most"), [(2, 16, 2), (16, 3, 3)])
@pytest.mark.usefixtures("_wakened")
async def test_one_goes_alone_until_it_is_answered_and_then_as_many_as_there_are_places(
    site: Site, sandbox: SandboxServer, slots: int, concurrency: int, most: int
) -> None:
    stall(sandbox, 30.0)
    sandbox.faults.script(None, path=TEXT)
    claimed: list[int] = []
    site.ledger.on_claim = claimed.append
    dispatcher = await site.dispatcher(10, slots=slots, concurrency=concurrency)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await accepted(sandbox, 1 + most)
            # Time enough for one more.
            for _ in range(5):
                await site.ledger.status(dispatcher.sender.campaign.id)
            assert len(claimed) == 1 + most
            tasks.cancel_scope.cancel()
    assert len(site.stage.received()) == 1 + most


@pytest.mark.usefixtures("_wakened")
async def test_nothing_goes_beside_the_first_while_that_has_no_answer(
    site: Site, sandbox: SandboxServer
) -> None:
    lost = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
    sandbox.faults.script(lost, lost, path=TEXT)
    under_way = 0
    beside: list[int] = []

    def begin(_: int) -> None:
        nonlocal under_way
        beside.append(under_way)
        under_way += 1

    def end() -> None:
        nonlocal under_way
        under_way -= 1

    site.ledger.on_claim, site.ledger.on_settle = begin, end
    dispatcher = await site.dispatcher(4)
    await run(dispatcher)
    # Two without an answer, and the third with one: only the fourth may go beside another.
    assert beside[:3] == [0, 0, 0]
    assert await site.states(dispatcher) == [*[BatchState.UNKNOWN] * 2, *[BatchState.ACCEPTED] * 2]


@pytest.mark.usefixtures("_wakened")
async def test_a_refusal_is_an_answer_and_no_success_is_needed(site: Site, sandbox: SandboxServer) -> None:
    refused = Fault(kind=FaultKind.RAW, body=b'{"code": 920, "message": "NO"}')
    late = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30)
    sandbox.faults.script(refused, late, late, path=TEXT)
    dispatcher = await site.dispatcher(3)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            # Two beside each other, neither of which is answered.
            await accepted(sandbox, 2)
            tasks.cancel_scope.cancel()
    assert (await site.states(dispatcher))[0] is BatchState.REJECTED


@pytest.mark.usefixtures("_wakened")
async def test_an_answer_that_is_lost_later_makes_nobody_wait_again(
    site: Site, sandbox: SandboxServer
) -> None:
    lost = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
    late = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30)
    sandbox.faults.script(None, lost, late, lost, late, path=TEXT)
    dispatcher = await site.dispatcher(5, concurrency=2)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await accepted(sandbox, 5)
            tasks.cancel_scope.cancel()
    assert await site.states(dispatcher) == [BatchState.ACCEPTED, *[BatchState.UNKNOWN] * 4]


@pytest.mark.usefixtures("_wakened", "no_backoff")
async def test_what_every_send_would_meet_is_the_reason_and_nothing_leaves(
    site: Site, sandbox: SandboxServer
) -> None:
    dispatcher = await site.dispatcher(3)
    sandbox.faults.script(
        Fault(kind=FaultKind.RAW, body=b'{"code": "901", "status": "INVALID_CREDENTIALS",}'), path=BALANCE
    )
    await run(dispatcher)
    assert (dispatcher.reason or "").startswith("AuthenticationError: ")
    assert isinstance(dispatcher.breaker.cause, AuthenticationError)
    assert site.calls == ["balance"]
    assert await site.states(dispatcher) == [BatchState.QUEUED] * 3


@pytest.mark.usefixtures("_wakened")
async def test_the_first_reason_to_stop_is_the_one_that_is_kept(site: Site, sandbox: SandboxServer) -> None:
    forbidden, unknown = (Fault(kind=FaultKind.STATUS, status=status) for status in (403, 404))
    sandbox.faults.script(None, forbidden, unknown, path=TEXT)
    dispatcher = await site.dispatcher(3)
    await run(dispatcher)
    cause = dispatcher.breaker.cause
    assert cause is not None
    assert dispatcher.reason == describe_error(cause)


@pytest.mark.usefixtures("_wakened")
async def test_a_stop_by_somebody_is_an_interruption_and_what_is_in_flight_is_settled(
    site: Site, sandbox: SandboxServer
) -> None:
    sandbox.faults.script(
        None,
        *[Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.2)] * 2,
        path=TEXT,
    )
    looks: list[bool] = []
    dispatcher = await site.dispatcher(9, concurrency=2)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await accepted(sandbox, 3)
            site.ledger.on_look = lambda: looks.append(True)
            dispatcher.sender.stopping.set()
    assert dispatcher.reason == INTERRUPTED
    # There is nothing left to look for.
    assert looks == []
    assert await site.states(dispatcher) == [*[BatchState.ACCEPTED] * 3, *[BatchState.QUEUED] * 6]


@pytest.mark.usefixtures("_wakened")
@pytest.mark.parametrize("where", ["claim", "look", "queued"])
async def test_the_first_error_of_the_ledger_is_raised_once_all_is_settled(
    site: Site, sandbox: SandboxServer, where: str, anyio_backend_name: str
) -> None:
    errors: list[LedgerError] = []

    def fail(*_: object) -> None:
        # Once a batch is out.
        if len(sandbox.gateway.journal):
            errors.append(LedgerError(f"The disk is full ({len(errors)})."))
            raise errors[-1]

    dispatcher = await site.dispatcher(9, concurrency=2)
    setattr(site.ledger, f"on_{where}", fail)
    with pytest.raises(LedgerError) as raised:
        await run(dispatcher)
    # Of two whose claims are taken back in one commit, trio lets either go on first.
    assert raised.value in errors[: 2 if anyio_backend_name == "trio" else 1]
    assert dispatcher.sender.stopping.is_set()
    setattr(site.ledger, f"on_{where}", nothing)
    status = await site.ledger.status(dispatcher.sender.campaign.id)
    assert (status.sending, status.unknown) == (0, 0)
    assert status.accepted == len(site.stage.received()) > 0
    assert status.queued == 9 - status.accepted


async def test_an_error_met_while_all_places_are_taken_is_raised_once_those_are_settled(
    site: Site, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        if len(sandbox.gateway.journal) > 1:
            raise LedgerError("The disk is full.")

    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", 0.01)
    late = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.3)
    sandbox.faults.script(None, late, path=TEXT)
    dispatcher = await site.dispatcher(9, concurrency=1)
    site.ledger.on_look = fail
    with pytest.raises(LedgerError, match="The disk is full"):
        await run(dispatcher)
    assert await site.states(dispatcher) == [*[BatchState.ACCEPTED] * 2, *[BatchState.QUEUED] * 7]


@pytest.mark.parametrize("change", ["pause", "restart"])
async def test_who_waits_sees_that_somebody_paused_the_campaign(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", 0.01)
    dispatcher = await site.dispatcher(2)
    campaign_id = dispatcher.sender.campaign.id
    for number in range(2):
        await site.put_off(dispatcher, number, time.time() + 100)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            assert await site.ledger.pause(campaign_id, "lunch")
            if change == "restart":
                assert await site.ledger.start(campaign_id)
    assert dispatcher.sender.stopping.is_set()
    assert await site.states(dispatcher) == [BatchState.QUEUED] * 2
    assert site.calls.count("send_text") == 0


@pytest.mark.usefixtures("_wakened")
@pytest.mark.parametrize("page", [1, 256])
async def test_what_is_put_off_goes_out_when_it_is_due_and_holds_nobody_up(
    site: Site, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._PAGE", page)
    order: list[int] = []
    now = time.time()
    # However long the machine stands still: nothing is due before what goes ahead of it.
    site.clock = lambda: min(time.time(), {0: now, 1: now, 2: now + 0.9}.get(len(order), math.inf))
    dispatcher = await site.dispatcher(4, concurrency=1)
    await site.put_off(dispatcher, 0, now + 1.2)
    await site.put_off(dispatcher, 2, now + 0.6)
    looks: list[bool] = []
    site.ledger.on_claim = order.append
    site.ledger.on_queued = lambda: looks.append(True)
    await run(dispatcher)
    assert order == [1, 3, 2, 0]
    assert len(looks) < 60
    claimed = [batch.sending_at or 0.0 for batch in await site.stage.batches(dispatcher.sender.campaign.id)]
    assert claimed[0] >= now + 1.2
    assert claimed[2] >= now + 0.6


@pytest.mark.parametrize("check", [0.05, math.inf], ids=["with looks in between", "in one"])
async def test_a_closed_window_is_waited_for_until_it_opens(
    site: Site, monkeypatch: pytest.MonkeyPatch, check: float
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", check)
    began = time.time()
    site.clock = lambda: EIGHT - 0.2 + time.time() - began
    dispatcher = await site.dispatcher(2, window=WINDOW)
    looks: list[float] = []
    states: list[bool] = []
    site.ledger.on_queued = lambda: looks.append(site.clock())
    site.ledger.on_look = lambda: states.append(True)
    await run(dispatcher)
    assert min(looks) >= EIGHT
    assert len(states) < 30
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 2


@pytest.mark.usefixtures("_wakened")
async def test_who_waits_for_the_last_answer_asks_the_ledger_nothing_meanwhile(
    site: Site, sandbox: SandboxServer
) -> None:
    late = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.3)
    sandbox.faults.script(None, late, path=TEXT)
    looks: list[bool] = []
    dispatcher = await site.dispatcher(2)
    site.ledger.on_queued = lambda: looks.append(True)
    await run(dispatcher)
    assert len(looks) < 12
    assert await site.states(dispatcher) == [BatchState.ACCEPTED] * 2


async def test_what_could_not_be_claimed_is_tried_again_after_a_pause(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._RETRY_SECONDS", math.inf)
    dispatcher = await site.dispatcher(1)
    refused = anyio.Event()
    claimed: list[int] = []

    def refuse(number: int) -> None:
        claimed.append(number)
        refused.set()

    site.ledger.on_claim, site.ledger.refuses = refuse, True
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await refused.wait()
            # Time enough for another try.
            for _ in range(9):
                await site.ledger.status(dispatcher.sender.campaign.id)
            assert claimed == [0]
            dispatcher.sender.stopping.set()
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._RETRY_SECONDS", 0.001)
    dispatcher.sender.stopping = anyio.Event()

    def refuse_once_more(number: int) -> None:
        claimed.append(number)
        site.ledger.refuses = len(claimed) < 3

    site.ledger.on_claim = refuse_once_more
    await run(dispatcher)
    assert claimed == [0, 0, 0]
    assert await site.states(dispatcher) == [BatchState.ACCEPTED]


@pytest.mark.parametrize("how", ["pause", "stop"])
async def test_a_campaign_that_is_to_end_while_its_window_is_closed_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", 0.01)
    site.clock = Clock(now=EIGHT - 3600)
    dispatcher = await site.dispatcher(2, window=WINDOW)
    waits = anyio.Event()
    site.ledger.on_look = waits.set
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await waits.wait()
            if how == "pause":
                assert await site.ledger.pause(dispatcher.sender.campaign.id, "lunch")
            else:
                dispatcher.sender.stopping.set()
    assert await site.states(dispatcher) == [BatchState.QUEUED] * 2
    assert "send_text" not in site.calls


@pytest.mark.usefixtures("_wakened")
async def test_who_knows_older_limits_begins_nothing(site: Site) -> None:
    dispatcher = await site.dispatcher(2)
    sender = dispatcher.sender
    sender.campaign = evolve(sender.campaign, revision=sender.campaign.revision - 1)
    await run(dispatcher)
    assert site.calls == []
    assert await site.states(dispatcher) == [BatchState.QUEUED] * 2


async def test_what_a_dispatcher_has_of_its_own_is_nobodys_to_give() -> None:
    assert [*signature(Dispatcher).parameters] == ["sender", "slots", "breaker"]
