"""One turn of one batch: its share of the rate, its window, the balance, its intent, and what is left of them."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, evolve

from tests.campaigns.staging import TEXT, Clock, Stage, connect, make_sender, phones
from vavasms import AsyncVavaSMS
from vavasms.bulk.breaker import CircuitBreaker
from vavasms.campaigns.policy import parse_window
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.sending.queued_batch import QueuedBatchSender, SendResult, SendStatus, stop_reason
from vavasms.errors import (
    GatewayError,
    InvalidSenderIdError,
    LedgerError,
    Outcome,
    RateLimitedError,
    RejectedNumberError,
    UnknownSenderIdError,
    VavaSMSError,
)
from vavasms.ledger.leases import MAX_CLAIM_AGE
from vavasms.ledger.models import RESERVE_AHEAD, BatchRecord, Claim, QueuedBatch, StoredBatch
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio

#: 19:59:59 UTC of some day, and the window that closes then.
LATE = 1_800_000_000.0 // 86_400 * 86_400 + 20 * 3600 - 1
WINDOW = parse_window("08:00-20:00", tz="UTC")
PRICE = Decimal(10)


def nothing(*_: object) -> None:
    """Do nothing."""


class Ledger(MemoryLedger):
    """A ledger that does something after each reservation and claim, and counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.on_reserve: Callable[[], None] = nothing
        self.on_claim: Callable[[], None] = nothing
        self.on_settle: Callable[[], None] = nothing
        self.reservations = self.readings = 0

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        wait = await super().reserve(account, messages, rate=rate, now=now)
        self.reservations += 1
        self.on_reserve()
        return wait

    async def under_way(self, account: str) -> int:
        self.readings += 1
        return await super().under_way(account)

    async def claim(self, campaign_id: str, number: int, **intent: Any) -> Claim | None:
        claim = await super().claim(campaign_id, number, **intent)
        self.on_claim()
        return claim

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        self.on_settle()
        return await super().settle(claim, event, record, not_before=not_before)

    async def abandon(self, campaign_id: str, number: int, token: str) -> bool:
        self.on_settle()
        return await super().abandon(campaign_id, number, token)


@define
class Turns:
    """The turns of batches of ten, each of which is taken by a call."""

    stage: Stage
    sms: AsyncVavaSMS
    ledger: Ledger
    clock: Clock
    #: Called before each request.
    on_request: Callable[[CallInfo], None] = nothing

    async def sender(self, numbers: Sequence[str] | int = 10, **policy: Any) -> QueuedBatchSender:
        """Return the sender of a new campaign that runs."""
        campaign_id = await self.stage.submit(numbers, batch_size=10, **policy)
        return await make_sender(self.sms, self.ledger, campaign_id, self.clock)

    async def queued(self, sender: QueuedBatchSender) -> list[QueuedBatch]:
        """Return what is queued."""
        return [*await self.ledger.queued(sender.campaign.id, after=-1, limit=99)]

    async def send(self, sender: QueuedBatchSender) -> SendResult:
        """Send the first batch that is queued."""
        return await sender.send((await self.queued(sender))[0])

    async def batch(self, sender: QueuedBatchSender) -> StoredBatch:
        """Return the first batch as it is kept."""
        return (await self.stage.batches(sender.campaign.id))[0]

    async def room(self, sender: QueuedBatchSender) -> float:
        """Return for how long the next of an account would wait for its rate."""
        rate = sender.policy.rate
        assert rate is not None
        return await MemoryLedger.reserve(
            self.ledger, sender.campaign.account, 1, rate=rate, now=self.clock()
        )


@pytest.fixture
async def turns(sandbox: SandboxServer, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Turns]:
    """Yield what a batch's turn needs."""

    def note(info: CallInfo) -> None:
        made.on_request(info)

    ledger, clock = Ledger(), Clock()
    sandbox.gateway.set_balance(Decimal(10**6))
    async with (
        connect(sandbox, on_request=note, lots_are_atomic=True) as sms,
        CampaignRunner(sms, ledger, clock=clock) as runner,
    ):
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        made = Turns(stage=stage, sms=sms, ledger=ledger, clock=clock)
        yield made


ANSWERS = {
    "accepted": (None, SendStatus.SETTLED, True),
    "rejected": (Fault(kind=FaultKind.RAW, body=b'{"code": 920, "message": "NO"}'), SendStatus.SETTLED, True),
    "HTTP 503": (Fault(kind=FaultKind.STATUS, status=503), SendStatus.SETTLED, True),
    "nonsense": (Fault(kind=FaultKind.HTML), SendStatus.SETTLED, True),
    "turned away": (Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"), SendStatus.REQUEUED, True),
    "no answer": (Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), SendStatus.SETTLED, False),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_turn_tells_whether_the_gateway_answered(
    sandbox: SandboxServer, turns: Turns, answer: str
) -> None:
    fault, status, is_answered = ANSWERS[answer]
    sender = await turns.sender()
    sandbox.faults.script(fault, path=TEXT)
    result = await turns.send(sender)
    assert (result.status, result.is_answered) == (status, is_answered)


async def test_a_turn_of_what_another_had_tells_of_no_answer_and_gives_its_room_back(turns: Turns) -> None:
    sender = await turns.sender(rate=10.0)
    (batch,) = await turns.queued(sender)
    assert (await sender.send(batch)).is_answered
    turns.clock.now += 60
    result = await sender.send(batch)
    assert (result.status, result.is_answered) == (SendStatus.NOT_CLAIMED, False)
    assert await turns.room(sender) == 0.0
    assert set(turns.stage.received().values()) == {1}


@pytest.mark.parametrize(("late", "leaves"), [(0.0, True), (0.001, False)], ids=["just in time", "too late"])
async def test_an_intent_may_be_acted_on_for_so_long_and_no_longer(
    turns: Turns, late: float, leaves: bool
) -> None:
    def pass_time() -> None:
        turns.clock.now += MAX_CLAIM_AGE + late

    turns.ledger.on_claim = pass_time
    result = await turns.send(await turns.sender())
    assert (result.status is SendStatus.SETTLED) is result.is_answered is leaves
    assert bool(turns.stage.received()) is leaves


async def test_a_window_that_closes_during_a_turn_takes_no_room_in_the_rate(turns: Turns) -> None:
    def close() -> None:
        turns.clock.now = LATE + 1

    turns.clock.now, turns.ledger.on_reserve = LATE, close
    sender = await turns.sender(rate=1.0, window=WINDOW)
    result = await turns.send(sender)
    assert result.status is SendStatus.NOT_CLAIMED
    assert await turns.room(sender) == 0.0
    assert not turns.stage.received()


@pytest.mark.parametrize(
    "balance", [10**6, 100], ids=["that pays for it", "that is spent by what is under way"]
)
async def test_a_window_that_closes_while_the_balance_is_read_lets_nothing_through(
    turns: Turns, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, balance: int
) -> None:
    def close(info: CallInfo) -> None:
        if info.call == "balance":
            turns.clock.now = LATE + 1

    # Nobody waits for the balance any more.
    monkeypatch.setattr("vavasms.campaigns.sending.queued_batch.RECHECK", math.inf)
    turns.clock.now = LATE
    sender = await turns.sender(20, window=WINDOW, unit_price=PRICE, balance_floor=Decimal(0))
    first, second = await turns.queued(sender)
    claim = await turns.ledger.claim(
        sender.campaign.id, first.number, token="another", worker="another", now=LATE
    )
    assert claim is not None
    sandbox.gateway.set_balance(balance)
    turns.on_request = close
    with anyio.fail_after(10):
        result = await sender.send(second)
    assert result.status is SendStatus.NOT_CLAIMED
    assert not sender.stopping.is_set()
    assert not turns.stage.received()


async def test_what_the_balance_does_not_pay_beside_what_is_under_way_is_sent_once_it_does(
    turns: Turns, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.queued_batch.RECHECK", 0.001)
    sender = await turns.sender(20, unit_price=PRICE, balance_floor=Decimal(0))
    first, second = await turns.queued(sender)
    await turns.ledger.claim(
        sender.campaign.id, first.number, token="another", worker="another", now=turns.clock()
    )
    sandbox.gateway.set_balance(100)

    def pay(_: CallInfo) -> None:
        if turns.ledger.readings == 3:
            sandbox.gateway.set_balance(10**6)

    turns.on_request = pay
    with anyio.fail_after(10):
        result = await sender.send(second)
    assert (result.status, turns.ledger.readings) == (SendStatus.SETTLED, 3)
    assert set(turns.stage.received().values()) == {1}


async def test_between_two_looks_at_a_balance_that_does_not_pay_there_is_a_pause(
    turns: Turns, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.campaigns.sending.queued_batch.RECHECK", math.inf)
    sender = await turns.sender(20, rate=10.0, unit_price=PRICE, balance_floor=Decimal(0))
    first, second = await turns.queued(sender)
    await turns.ledger.claim(
        sender.campaign.id, first.number, token="another", worker="another", now=turns.clock()
    )
    sandbox.gateway.set_balance(100)
    looked = anyio.Event()
    turns.on_request = lambda _: looked.set()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.send, second)
            await looked.wait()
            # Time enough for another look.
            for _ in range(5):
                await turns.sms.balance()
            assert turns.ledger.readings == 1
            sender.stopping.set()
    assert await turns.room(sender) == 0.0
    assert not turns.stage.received()


@pytest.mark.parametrize("ahead", [RESERVE_AHEAD, RESERVE_AHEAD + 1], ids=["taken", "not taken"])
async def test_a_stop_while_a_batch_waits_for_its_rate_gives_its_room_back(
    turns: Turns, ahead: float
) -> None:
    sender = await turns.sender(rate=1.0)
    await turns.ledger.reserve(sender.campaign.account, int(ahead), rate=1.0, now=turns.clock())
    turns.ledger.reservations, asked = 0, anyio.Event()
    turns.ledger.on_reserve = asked.set
    results: list[SendResult] = []

    async def send() -> None:
        results.append(await turns.send(sender))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await asked.wait()
            # Time enough to ask again.
            for _ in range(5):
                await turns.ledger.status(sender.campaign.id)
            assert turns.ledger.reservations == 1
            sender.stopping.set()
    assert [result.status for result in results] == [SendStatus.NOT_CLAIMED]
    assert await turns.room(sender) == ahead
    assert not turns.stage.received()


async def test_a_batch_asks_again_as_soon_as_its_share_of_the_rate_can_be_reserved(turns: Turns) -> None:
    def pass_time() -> None:
        turns.clock.now += 2 * RESERVE_AHEAD

    sender = await turns.sender(rate=1000.0)
    # Sixty seconds and a hundredth.
    await turns.ledger.reserve(sender.campaign.account, 60_010, rate=1000.0, now=turns.clock())
    turns.ledger.on_reserve = pass_time
    with anyio.fail_after(10):
        result = await turns.send(sender)
    assert (result.status, turns.ledger.reservations) == (SendStatus.SETTLED, 3)


async def test_the_balance_is_kept_beside_what_it_was_read_before_and_after(
    turns: Turns, sandbox: SandboxServer
) -> None:
    sender = await turns.sender()
    sandbox.gateway.set_balance(5_000)
    await sender.reader.read()
    await turns.send(sender)
    sandbox.gateway.set_balance(4_900)
    await sender.balance.read()
    batch = await turns.batch(sender)
    assert (batch.balance_before, batch.balance_after) == (Decimal(5_000), Decimal(4_900))


async def test_who_knows_older_limits_claims_nothing(turns: Turns) -> None:
    sender = await turns.sender()
    campaign_id = sender.campaign.id
    assert await turns.ledger.pause(campaign_id, "lunch")
    assert await turns.ledger.start(campaign_id)
    assert (await turns.send(sender)).status is SendStatus.NOT_CLAIMED
    sender.campaign = await turns.ledger.campaign(campaign_id)
    assert (await turns.send(sender)).status is SendStatus.SETTLED


async def test_an_intent_whose_answer_is_lost_is_taken_back_once_the_ledger_takes_it(turns: Turns) -> None:
    def lose() -> None:
        raise LedgerError("The answer was lost.")

    def refuse() -> None:
        raise LedgerError("The disk is full.")

    sender = await turns.sender()
    turns.ledger.on_claim, turns.ledger.on_settle = lose, refuse
    with pytest.raises(LedgerError, match="The answer was lost"):
        await turns.send(sender)
    assert (await turns.batch(sender)).state is BatchState.SENDING
    turns.ledger.on_claim = turns.ledger.on_settle = nothing
    await sender.pending.flush()
    assert (await turns.batch(sender)).state is BatchState.QUEUED
    assert not turns.stage.received()
    assert (await turns.send(sender)).status is SendStatus.SETTLED
    assert set(turns.stage.received().values()) == {1}


async def test_the_accounts_own_name_may_be_the_sender_whatever_its_form(
    turns: Turns, sandbox: SandboxServer
) -> None:
    gateway = sandbox.gateway
    sender = await turns.sender(sender_id=gateway.username)
    known, gateway.sender_ids = gateway.sender_ids, frozenset({gateway.username})
    try:
        result = await turns.send(sender)
    finally:
        gateway.sender_ids = known
    assert (result.status, result.error) == (SendStatus.SETTLED, None)
    assert {entry.sender_id for entry in gateway.journal.entries} == {gateway.username}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_who_waits_is_told_of_a_success_before_it_is_written_and_of_nothing_else(
    turns: Turns, sandbox: SandboxServer, answer: str
) -> None:
    fault, _, _ = ANSWERS[answer]
    order: list[str] = []
    sender = await turns.sender()
    sandbox.faults.script(fault, path=TEXT)
    turns.ledger.on_settle = lambda: order.append("written")
    await sender.send((await turns.queued(sender))[0], lambda: order.append("answered"))
    assert order == (["answered", "written"] if answer == "accepted" else ["written"])


def raw(code: int, message: str) -> Fault:
    return Fault(kind=FaultKind.RAW, body=b'{"code": %d, "message": "%s"}' % (code, message.encode()))


@pytest.mark.parametrize(
    ("fault", "error", "status", "state", "stops"),
    [
        (
            raw(902, "INVALID_SENDER_ID"),
            UnknownSenderIdError,
            SendStatus.REQUEUED,
            BatchState.QUEUED,
            True,
        ),
        (raw(920, "NO"), VavaSMSError, SendStatus.SETTLED, BatchState.REJECTED, False),
        (raw(17, "ODD"), GatewayError, SendStatus.SETTLED, BatchState.UNKNOWN, False),
        (
            Fault(kind=FaultKind.STATUS, status=403),
            GatewayError,
            SendStatus.SETTLED,
            BatchState.UNKNOWN,
            True,
        ),
        (
            Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"),
            RateLimitedError,
            SendStatus.REQUEUED,
            BatchState.QUEUED,
            False,
        ),
    ],
    ids=["902", "920", "17", "403", "429"],
)
async def test_what_an_answer_makes_of_a_batch_and_of_its_campaign(
    turns: Turns,
    sandbox: SandboxServer,
    fault: Fault,
    error: type[VavaSMSError],
    status: SendStatus,
    state: BatchState,
    stops: bool,
) -> None:
    sender = await turns.sender()
    sandbox.faults.script(fault, path=TEXT)
    result = await turns.send(sender)
    batch = await turns.batch(sender)
    assert isinstance(result.error, error)
    assert (result.status, batch.state) == (status, state)
    assert (result.stop is not None) is stops
    name = type(result.error).__name__
    assert result.stop is None or result.stop.startswith(f"{name}: ")
    # What is queued again has nothing to tell.
    kept = batch.record.error or ""
    assert kept.startswith(f"{name}: ") if status is SendStatus.SETTLED else not kept


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_lot_that_is_refused_for_a_number_is_halved_down_to_that_number(
    turns: Turns, count: int
) -> None:
    sender = await turns.sender([*phones(count - 1), "2250700000903"])
    result = await turns.send(sender)
    assert isinstance(result.error, RejectedNumberError)
    sizes = [batch.messages for batch in await turns.queued(sender)]
    assert sizes == {1: [], 2: [1, 1], 3: [1, 2]}[count]
    assert (result.status is SendStatus.REQUEUED) is (count > 1)
    assert result.stop is None
    assert not turns.stage.received()


async def test_a_pause_that_the_gateway_asks_for_holds_the_batch_the_sender_and_the_account(
    turns: Turns, sandbox: SandboxServer
) -> None:
    sender = await turns.sender(20)
    first, second = await turns.queued(sender)
    sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT, retry_after="40"), path=TEXT)
    began = turns.clock()
    assert (await sender.send(first)).status is SendStatus.REQUEUED
    again, _ = await turns.queued(sender)
    assert again.not_before == began + 40
    assert await turns.ledger.reserve(sender.campaign.account, 1, rate=1.0, now=began) == 40.0
    results: list[SendResult] = []

    async def send() -> None:
        results.append(await sender.send(second))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            # Time enough for it to leave.
            for _ in range(5):
                await turns.sms.balance()
            sender.stopping.set()
    assert [result.status for result in results] == [SendStatus.NOT_CLAIMED]
    assert not turns.stage.received()


async def test_the_fifth_time_that_a_batch_goes_nowhere_stops_the_campaign(
    turns: Turns, sandbox: SandboxServer
) -> None:
    sender = await turns.sender()
    sandbox.faults.script(*[Fault(kind=FaultKind.RATE_LIMIT, retry_after="0")] * 5, path=TEXT)
    stops = [(await turns.send(sender)).stop for _ in range(5)]
    assert stops[:4] == [None] * 4
    assert (stops[4] or "").startswith("RateLimitedError: ")


async def test_what_is_merely_late_is_no_reason_to_stop_however_often(turns: Turns) -> None:
    def pass_time() -> None:
        turns.clock.now += MAX_CLAIM_AGE + 1

    turns.ledger.on_claim = pass_time
    sender = await turns.sender()
    results = [await turns.send(sender) for _ in range(6)]
    assert {result.status for result in results} == {SendStatus.REQUEUED}
    assert [(result.error, result.stop) for result in results] == [(None, None)] * 6


async def test_what_can_never_leave_as_it_is_stops_the_campaign_at_once(turns: Turns) -> None:
    sender = await turns.sender()
    # As a ledger of another program may have it.
    sender.campaign = evolve(sender.campaign, sender_id="a name that is far too long")
    result = await turns.send(sender)
    assert isinstance(result.error, InvalidSenderIdError)
    assert result.status is SendStatus.REQUEUED
    assert (result.stop or "").startswith("InvalidSenderIdError: ")
    assert (await turns.batch(sender)).state is BatchState.QUEUED


def settled(error: VavaSMSError | None = None, stop: str | None = None) -> SendResult:
    return SendResult(status=SendStatus.SETTLED, error=error, stop=stop)


async def test_three_alike_in_a_row_are_a_reason_to_stop_and_what_was_not_claimed_counts_for_nothing() -> (
    None
):
    breaker = CircuitBreaker()
    odd = GatewayError("Odd.", code=17, outcome=Outcome.UNKNOWN)
    idle = SendResult(status=SendStatus.NOT_CLAIMED)
    assert [stop_reason(breaker, each) for each in (settled(odd), idle, settled(odd), idle)] == [None] * 4
    assert breaker.cause is None
    assert stop_reason(breaker, settled(odd)) == "GatewayError: Odd."
    assert breaker.cause is odd
    # What was under way meanwhile and went well is none.
    assert stop_reason(breaker, settled()) is None


async def test_the_first_reason_to_stop_is_the_cause() -> None:
    breaker = CircuitBreaker()
    first, second = (GatewayError(text, outcome=Outcome.UNKNOWN) for text in ("First.", "Second."))
    assert stop_reason(breaker, settled(first, "because of the first")) == "because of the first"
    assert stop_reason(breaker, settled(second, "because of the second")) == "because of the second"
    assert breaker.cause is first


async def test_a_wait_is_told_as_long_as_it_was_and_none_is_told_where_nothing_waited(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    recorded: list[float] = []
    monkeypatch.setattr("vavasms.campaigns.sending.queued_batch.record_wait", recorded.append)
    sender = await turns.sender(rate=100.0)
    sender.on_wait = told.append
    assert (await turns.send(sender)).status is SendStatus.SETTLED
    assert told == []
    sender = await turns.sender(phones(10, 20), rate=100.0)
    sender.on_wait = told.append
    began = time.monotonic()
    assert (await turns.send(sender)).status is SendStatus.SETTLED
    # Ten messages at a hundred a second, as the first batch had them.
    (waited,) = told
    assert 0.0 < waited <= time.monotonic() - began
    assert recorded == told


async def test_what_a_sender_of_batches_has_of_its_own_is_nobodys_to_give() -> None:
    given = ["transport", "ledger", "campaign", "worker", "reader", "clock", "stopping", "pending", "on_wait"]
    assert [*signature(QueuedBatchSender).parameters] == given
