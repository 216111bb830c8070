"""One single send beside others: its claim, its wait for who has the key, and what it leaves in the ledger."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from inspect import signature
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import evolve

from vavasms.errors import (
    ConfigurationError,
    GatewayError,
    IdempotencyConflictError,
    LedgerError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    SendInProgressError,
    VavaSMSError,
)
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.leases import MAX_CLAIM_AGE
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.models import Lot, OtpReceipt
from vavasms.numbers import Msisdn
from vavasms.sends.sender import SingleSender, record_answer, watched
from vavasms.transport.http import Attempt

pytestmark = pytest.mark.anyio

NUMBER = Msisdn("2250700000003")
LOT = Lot(lot_id="L", message_ids=("SM-1",), description="Submitted", recipients=(NUMBER,))


class FakeTime:
    """A time that passes in sleeps alone, and what happens in it."""

    def __init__(self) -> None:
        self.began = self.now = time.monotonic()
        #: What happens once so many seconds have passed.
        self.later: dict[float, Callable[[], Awaitable[object]]] = {}

    @property
    def passed(self) -> float:
        return self.now - self.began

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await checkpoint()
        self.now += seconds
        for at in [each for each in self.later if each <= self.passed]:
            await self.later.pop(at)()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Put the sender into a time of the test's."""
    made = FakeTime()
    monkeypatch.setattr("vavasms.sends.sender.time", made)
    monkeypatch.setattr("vavasms.sends.sender.anyio", made)
    return made


class Calls:
    """What is asked of a store, by the names of its methods."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ledger: MemoryLedger) -> None:
        self.names: list[str] = []
        #: What happens after a method has done its work.
        self.then: dict[str, Callable[[], None]] = {}
        for name in ("begin", "find", "abandon", "settle"):
            monkeypatch.setattr(ledger.sends, name, self._note(name, getattr(ledger.sends, name)))

    def _note(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            self.names.append(name)
            answer = await method(*arguments, **options)
            self.then.get(name, lambda: None)()
            return answer

        return call


@pytest.fixture
async def ledger(anyio_backend: str) -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, ledger: MemoryLedger) -> Calls:
    return Calls(monkeypatch, ledger)


def new(text: str = "Bonjour") -> NewSend:
    return NewSend(
        account="ops", key="order-1", recipients=(NUMBER,), sender_id="ACME", segments=1, text=text
    )


class Gateway:
    """A gateway that answers with a lot, or raises; it counts."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.sent = error, 0

    async def __call__(self, attempt: Attempt) -> Lot:
        self.sent += 1
        if self.error is not None:
            raise self.error
        return LOT


def sender_on(ledger: MemoryLedger, patience: float = 5.0) -> SingleSender:
    return SingleSender(ledger=ledger, patience=patience, keep=86_400.0)


async def claim_elsewhere(ledger: MemoryLedger) -> SendClaim:
    claim = await ledger.sends.begin(new(), token="another", now=time.time())
    assert isinstance(claim, SendClaim)
    return claim


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


async def test_a_claim_whose_process_was_forked_meanwhile_is_the_parents_and_not_sent(
    ledger: MemoryLedger, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, gateway = sender_on(ledger), Gateway()
    calls.then["begin"] = lambda: monkeypatch.setattr("vavasms.forks.os.getpid", lambda: -1)
    with pytest.raises(ConfigurationError, match="fork"):
        await sender.send(new(), gateway)
    assert gateway.sent == 0


async def test_a_call_returns_soon_after_the_one_that_has_the_key_was_accepted(
    fake: FakeTime, ledger: MemoryLedger, calls: Calls
) -> None:
    claim, gateway = await claim_elsewhere(ledger), Gateway()
    record = BatchRecord(lot_id="L", message_ids=("SM-1",))

    async def accept() -> None:
        await ledger.sends.settle(claim, BatchEvent.ACCEPT, record, now=time.time())

    fake.later[0.5] = accept
    calls.names.clear()
    found = await sender_on(ledger).send(new(), gateway)
    assert isinstance(found, SendRecord)
    assert (found.outcome, found.message_ids, gateway.sent) == (Outcome.ACCEPTED, ("SM-1",), 0)
    assert 0.5 <= fake.passed < 0.8
    # It only looks meanwhile: what asks for the key would write.
    assert calls.names.count("begin") == 2
    assert calls.names.count("find") < 10


@pytest.mark.parametrize(("after", "before"), [(0.1, 0.2), (0.9, 1.16)], ids=["early", "late"])
async def test_a_call_looks_often_at_first_and_never_seldom(
    fake: FakeTime, ledger: MemoryLedger, after: float, before: float
) -> None:
    claim = await claim_elsewhere(ledger)
    fake.later[after] = lambda: ledger.sends.settle(claim, BatchEvent.ACCEPT, BatchRecord(), now=time.time())
    assert isinstance(await sender_on(ledger).send(new(), Gateway()), SendRecord)
    assert after <= fake.passed < before


async def test_a_call_sends_itself_soon_after_the_one_that_has_the_key_gave_it_up(
    fake: FakeTime, ledger: MemoryLedger
) -> None:
    await claim_elsewhere(ledger)
    gateway = Gateway()
    fake.later[0.5] = lambda: ledger.sends.abandon("ops", "order-1", "another")
    assert await sender_on(ledger).send(new(), gateway) == LOT
    assert gateway.sent == 1


async def test_a_call_that_finds_nothing_more_under_the_key_sends_itself(
    fake: FakeTime, ledger: MemoryLedger, calls: Calls
) -> None:
    claim = await claim_elsewhere(ledger)
    gateway = Gateway()

    async def forget() -> None:
        await ledger.sends.settle(claim, BatchEvent.ACCEPT, BatchRecord(), now=1.0)
        assert await ledger.sends.purge(account=None, before=time.time(), limit=9) == 1

    fake.later[0.5] = forget
    assert await sender_on(ledger).send(new(), gateway) == LOT
    assert (gateway.sent, fake.passed < 0.8) == (1, True)


async def test_a_call_gives_up_after_its_patience_having_asked_every_second(
    fake: FakeTime, ledger: MemoryLedger, calls: Calls
) -> None:
    await claim_elsewhere(ledger)
    calls.names.clear()
    gateway = Gateway()
    with pytest.raises(SendInProgressError) as raised:
        await sender_on(ledger, patience=4.0).send(new(), gateway)
    assert (raised.value.outcome, gateway.sent) == (Outcome.UNKNOWN, 0)
    assert 4.0 <= fake.passed < 4.3
    # Whoever has it may have died: asking for the key finds that out.
    assert 4 <= calls.names.count("begin") <= 5
    assert calls.names.count("find") < 30
    # The other one goes on.
    record = await ledger.sends.find("ops", "order-1")
    assert record is not None
    assert record.state is BatchState.SENDING


async def test_a_ledger_that_fails_while_a_call_waits_leaves_it_unknown(
    fake: FakeTime, ledger: MemoryLedger, calls: Calls
) -> None:
    await claim_elsewhere(ledger)
    calls.then["find"] = raising(LedgerError("The server is away."))
    gateway = Gateway()
    with pytest.raises(LedgerError, match="away") as raised:
        await sender_on(ledger).send(new(), gateway)
    assert (raised.value.outcome, gateway.sent) == (Outcome.UNKNOWN, 0)


async def test_a_key_of_another_message_is_refused_and_nothing_taken_back(
    ledger: MemoryLedger, calls: Calls
) -> None:
    sender, gateway = sender_on(ledger), Gateway()
    await sender.send(new(), gateway)
    with pytest.raises(IdempotencyConflictError):
        await sender.send(new("Bonsoir"), gateway)
    assert (gateway.sent, calls.names.count("abandon")) == (1, 0)


@pytest.mark.parametrize(
    "error", [LedgerError("The answer was lost."), KeyboardInterrupt()], ids=["failed", "interrupted"]
)
@pytest.mark.parametrize("is_lasting", [False, True], ids=["for once", "lasting"])
async def test_a_claim_whose_answer_was_lost_is_taken_back_now_or_later(
    ledger: MemoryLedger,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    is_lasting: bool,
) -> None:
    sender, gateway = sender_on(ledger, patience=60.0), Gateway()
    calls.then["begin"] = raising(error)
    abandon = ledger.sends.abandon

    async def refuse(*_: object) -> bool:
        raise LedgerError("The disk is full.")

    if is_lasting:
        monkeypatch.setattr(ledger.sends, "abandon", refuse)
    with pytest.raises(type(error)) as raised:
        await sender.send(new(), gateway)
    assert raised.value is error
    assert not isinstance(error, LedgerError) or error.outcome is Outcome.NOT_SENT
    assert (gateway.sent, len(sender.pending)) == (0, int(is_lasting))
    calls.then.clear()
    monkeypatch.setattr(ledger.sends, "abandon", abandon)
    # At once: nothing is waited for.
    with anyio.fail_after(30):
        assert await sender.send(new(), gateway) == LOT
    assert (gateway.sent, len(sender.pending)) == (1, 0)


async def test_a_claim_that_is_never_taken_back_is_unknown(
    ledger: MemoryLedger, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, gateway = sender_on(ledger), Gateway()
    calls.then["begin"] = raising(LedgerError("The disk is full."))

    async def refuse(*_: object) -> bool:
        raise LedgerError("The disk is full.")

    monkeypatch.setattr(ledger.sends, "abandon", refuse)
    with pytest.raises(LedgerError):
        await sender.send(new(), gateway)
    assert not await sender.pending.drain(0.05)
    assert await ledger.sends.reap(now=2.0) == 1
    assert gateway.sent == 0


@pytest.mark.parametrize("refusal", [LedgerError, ConfigurationError])
async def test_outcomes_that_the_ledger_does_not_take_keep_no_other_send_back(
    ledger: MemoryLedger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refusal: type[VavaSMSError],
) -> None:
    settle = ledger.sends.settle

    async def refuse(*_: object, **__: object) -> bool:
        # Of a fork or an event loop it may say that nothing was sent: that is about the write.
        raise refusal("The disk is full.")

    monkeypatch.setattr(ledger.sends, "settle", refuse)
    sender, gateway = sender_on(ledger), Gateway()
    for key in ("order-1", "order-2"):
        assert await sender.send(evolve(new(), key=key), gateway) == LOT
    assert [record.message for record in caplog.records] == [
        "The outcome of a send could not be written yet: The disk is full."
    ] * 2
    assert {record.name for record in caplog.records} == {"vavasms"}
    assert len(sender.pending) == 2
    monkeypatch.setattr(ledger.sends, "settle", settle)
    assert await sender.send(evolve(new(), key="order-3"), gateway) == LOT
    records = await ledger.sends.records("ops", states=tuple(BatchState), since=0.0, limit=9)
    assert [record.outcome for record in records] == [Outcome.ACCEPTED] * 3
    assert (gateway.sent, len(sender.pending)) == (3, 0)


@pytest.mark.parametrize("is_shared", [False, True], ids=["embedded", "shared"])
@pytest.mark.parametrize("late", [0.0, 0.001], ids=["just in time", "too late"])
async def test_a_claim_of_a_shared_ledger_may_be_acted_on_for_so_long(
    fake: FakeTime,
    ledger: MemoryLedger,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    is_shared: bool,
    late: float,
) -> None:
    def pass_time() -> None:
        # To the nearest that there is.
        fake.now = fake.began + MAX_CLAIM_AGE + late

    fake.began = fake.now = 1024.0
    monkeypatch.setattr(MemoryLedger, "is_shared", is_shared)
    calls.then["begin"] = pass_time
    gateway = Gateway()
    if is_shared and late:
        with pytest.raises(NotSentError):
            await sender_on(ledger).send(new(), gateway)
    else:
        assert await sender_on(ledger).send(new(), gateway) == LOT
    assert gateway.sent == int(not (is_shared and late))


async def test_who_watches_is_told_the_key_and_the_ids_of_what_was_accepted(ledger: MemoryLedger) -> None:
    seen: list[tuple[str, tuple[str, ...]]] = []

    def watch(key: str, ids: tuple[str, ...]) -> None:
        seen.append((key, ids))

    sender = sender_on(ledger)
    with watched(watch):
        refused = GatewayError("No.", outcome=Outcome.REJECTED)
        with pytest.raises(GatewayError):
            await sender.send(new(), Gateway(refused))
        assert seen == []
        await sender.send(new(), Gateway())
        # An answer from the ledger is no second success.
        await sender.send(new(), Gateway())
    await sender.send(evolve(new(), key="order-2"), Gateway())
    assert seen == [("order-1", ("SM-1",))]


async def test_what_stands_unknown_under_the_key_says_how_to_decide(ledger: MemoryLedger) -> None:
    sender = sender_on(ledger)
    lost = OutcomeUnknownError("No answer.", outcome=Outcome.UNKNOWN)
    with pytest.raises(OutcomeUnknownError) as raised:
        await sender.send(new(), Gateway(lost))
    assert raised.value is lost
    again = Gateway()
    with pytest.raises(OutcomeUnknownError) as raised:
        await sender.send(new(), again)
    assert (raised.value.error_code, raised.value.outcome) == (
        "outcome.unknown.earlier_send",
        Outcome.UNKNOWN,
    )
    assert again.sent == 0
    record = await ledger.sends.find("ops", "order-1")
    assert record is not None
    assert (record.outcome, record.error) == (Outcome.UNKNOWN, "OutcomeUnknownError: No answer.")


async def test_a_ledger_keeps_the_ids_and_the_words_of_an_answer() -> None:
    assert record_answer(LOT) == BatchRecord(lot_id="L", message_ids=("SM-1",), description="Submitted")
    receipt = OtpReceipt(message_id="OTP-1", description="Sent")
    assert record_answer(receipt) == BatchRecord(message_ids=("OTP-1",), description="Sent")
    assert record_answer(OtpReceipt(message_id="", description="Sent")).message_ids == ()


DAY = 86_400.0
#: Before it no clock is right.
FIRST = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Aged:
    """A sender, its clock and its time, which is long after the process began."""

    def __init__(self, fake: FakeTime, ledger: MemoryLedger, began: float = FIRST + 30 * DAY) -> None:
        self.fake, self.ledger, self.own = fake, ledger, began
        # Whole seconds, and so many that the next call forgets what is old.
        fake.began = fake.now = float(int(fake.now) + 10**8)
        clock = SharedClock(own=lambda: self.own)
        self.sender = SingleSender(ledger=ledger, patience=5.0, keep=DAY, clock=clock)

    def wait(self, seconds: float) -> None:
        self.fake.now += seconds
        self.own += seconds

    async def send(self, key: str) -> None:
        assert await self.sender.send(evolve(new(), key=key), Gateway()) == LOT

    async def keeps(self, key: str) -> bool:
        return await self.ledger.sends.find("ops", key) is not None


@pytest.mark.parametrize("late", [-0.5, 0.5], ids=["not yet", "then"])
async def test_a_send_is_kept_for_so_long_and_no_longer(
    fake: FakeTime, ledger: MemoryLedger, late: float
) -> None:
    aged = Aged(fake, ledger)
    await aged.send("order-1")
    aged.wait(DAY + late)
    await aged.send("order-2")
    assert await aged.keeps("order-1") is (late < 0)
    assert await aged.keeps("order-2")


async def test_a_clock_that_is_set_forward_makes_nothing_old_however_long_the_machine_is_up(
    fake: FakeTime, ledger: MemoryLedger
) -> None:
    aged = Aged(fake, ledger)
    await aged.send("order-1")
    aged.own += 40 * DAY
    aged.wait(60)
    await aged.send("order-2")
    assert await aged.keeps("order-1")


@pytest.mark.parametrize("seconds", [59.0, 60.0])
async def test_what_is_old_is_looked_for_once_a_minute(
    fake: FakeTime, ledger: MemoryLedger, seconds: float
) -> None:
    aged = Aged(fake, ledger)
    await aged.send("order-1")
    aged.wait(DAY + 1)
    await aged.send("order-2")
    assert not await aged.keeps("order-1")
    # Old enough, but for the minute.
    claim = await ledger.sends.begin(new(), token="another", now=aged.own)
    assert isinstance(claim, SendClaim)
    await ledger.sends.settle(claim, BatchEvent.ACCEPT, BatchRecord(), now=FIRST + DAY)
    aged.wait(seconds)
    await aged.send("order-3")
    assert await aged.keeps("order-1") is (seconds < 60)


@pytest.mark.parametrize("before", [0.0, 1.0], ids=["the first right time", "a time before"])
async def test_what_was_kept_at_a_time_that_no_right_clock_has_is_never_old(
    fake: FakeTime, ledger: MemoryLedger, before: float
) -> None:
    aged = Aged(fake, ledger, FIRST - before)
    await aged.send("order-1")
    aged.wait(400 * DAY)
    await aged.send("order-2")
    assert await aged.keeps("order-1") is bool(before)


class SharedLedger(MemoryLedger):
    """A ledger that goes by a time of its own, which it may not tell."""

    is_shared = True
    time: float | None = FIRST + 60 * DAY

    async def now(self) -> float:
        if self.time is None:
            raise LedgerError("The server is away.")
        return self.time


async def test_the_time_of_a_shared_ledger_is_asked_for_now_and_then(
    fake: FakeTime, anyio_backend: str
) -> None:
    ledger = SharedLedger()
    aged = Aged(fake, ledger, FIRST + 60 * DAY)
    await aged.sender.set_clock()
    await aged.send("order-1")
    # The machine's clock is set, the ledger's goes on.
    aged.own += 10 * DAY
    aged.wait(60)
    ledger.time = FIRST + 60 * DAY + 60
    await aged.send("order-2")
    await aged.send("order-3")
    record = await ledger.sends.find("ops", "order-3")
    assert record is not None
    assert record.sent_at == pytest.approx(ledger.time, abs=1.0)


@pytest.mark.parametrize("what", ["the time", "the purge"])
async def test_a_ledger_that_cannot_forget_keeps_no_send_back(
    fake: FakeTime, monkeypatch: pytest.MonkeyPatch, anyio_backend: str, what: str
) -> None:
    async def refuse(**_: object) -> int:
        raise LedgerError("The server is away.")

    ledger = SharedLedger()
    aged = Aged(fake, ledger)
    if what == "the time":
        ledger.time = None
    else:
        monkeypatch.setattr(ledger.sends, "purge", refuse)
    await aged.send("order-1")
    assert await aged.keeps("order-1")


async def test_what_a_sender_has_of_its_own_is_nobodys_to_give() -> None:
    assert [*signature(SingleSender).parameters] == ["ledger", "patience", "keep", "clock"]
