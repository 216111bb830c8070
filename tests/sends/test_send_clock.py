"""A clock that is set, or begins in 1970, makes no key be forgotten: a second call would send a second SMS."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define

from vavasms.errors import NotSentError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.leases import MAX_CLAIM_AGE
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.sends.sender import SingleSender
from vavasms.transport.http import Attempt

pytestmark = pytest.mark.anyio

DAY = 86_400.0
KEEP = 30 * DAY
NOW = datetime(2026, 11, 29, tzinfo=UTC).timestamp()


@define
class Clock:
    """A machine's clock, which somebody sets."""

    #: What it is wrong by.
    error: float = 0.0

    def __call__(self) -> float:
        return NOW + self.error


@pytest.fixture(autouse=True)
def _forgets_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.sends.sender.FORGET_EVERY", 0.0)


@pytest.fixture
async def ledger(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteLedger]:
    async with await SqliteLedger.open(tmp_path / "sms.db") as opened:
        yield opened


def sender_with(ledger: Ledger, clock: Clock) -> SingleSender:
    return SingleSender(ledger=ledger, patience=5.0, keep=KEEP, clock=SharedClock(own=clock))


async def send(sender: SingleSender, key: str, account: str = "ops") -> bool:
    """Send under a key; return whether it left."""
    number = Msisdn("2250700000003")

    async def call(attempt: Attempt) -> Lot:
        return Lot(lot_id="L", message_ids=(f"SM-{key}",), description="", recipients=(number,))

    new = NewSend(
        account=account, key=key, recipients=(number,), sender_id="ACME", segments=1, text="Bonjour"
    )
    return not isinstance(await sender.send(new, call), SendRecord)


@pytest.mark.parametrize("error", [-(NOW - 60.0), -400 * DAY, -1.0, 60 * DAY, 4_000 * DAY])
async def test_a_clock_that_is_put_right_forgets_nothing(ledger: SqliteLedger, error: float) -> None:
    clock = Clock(error)
    sender = sender_with(ledger, clock)
    assert await send(sender, "order-1")
    clock.error = 0.0
    assert await send(sender, "order-2")
    for key in ("order-1", "order-2"):
        assert not await send(sender, key)


async def test_a_clock_that_is_wrong_for_a_while_forgets_nothing(ledger: SqliteLedger) -> None:
    clock = Clock()
    sender = sender_with(ledger, clock)
    assert await send(sender, "order-1")
    for error in (60 * DAY, -60 * DAY, 0.0):
        clock.error = error
        assert await send(sender, f"order {error}")
        assert not await send(sender, "order-1")


async def test_the_next_process_keeps_what_was_kept_in_1970(ledger: SqliteLedger) -> None:
    assert await send(sender_with(ledger, Clock(60.0 - NOW)), "order-1")
    later = sender_with(ledger, Clock())
    assert await send(later, "order-2")
    assert not await send(later, "order-1")


async def test_the_key_that_is_asked_for_is_not_forgotten_first(ledger: SqliteLedger) -> None:
    assert await send(sender_with(ledger, Clock()), "order-1")
    assert not await send(sender_with(ledger, Clock(KEEP + DAY)), "order-1")


async def test_what_is_old_is_forgotten(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = timedelta(days=31).total_seconds()
    clock = Clock()
    sender = sender_with(ledger, clock)
    assert await send(sender, "order-1")
    monotonic = time.monotonic
    monkeypatch.setattr("vavasms.sends.sender.time.monotonic", lambda: monotonic() + passed)
    clock.error = passed
    assert await send(sender, "order-2")
    assert await ledger.sends.find("ops", "order-1") is None
    assert await ledger.sends.find("ops", "order-2") is not None


class SharedLedger(MemoryLedger):
    """A ledger that goes by a time of its own, as one that machines share."""

    is_shared = True

    async def now(self) -> float:
        return NOW


async def test_of_a_ledger_that_others_share_the_time_is_the_ledgers() -> None:
    ledger = SharedLedger()
    sender = sender_with(ledger, Clock(-3_600.0))
    await sender.set_clock()
    assert await send(sender, "order-1")
    record = await ledger.sends.find("ops", "order-1")
    assert record is not None
    assert record.sent_at == pytest.approx(NOW, abs=60.0)


async def test_a_shared_ledger_that_took_too_long_has_nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, passed = SharedLedger(), 0.0
    begin, monotonic = ledger.sends.begin, time.monotonic

    async def begin_slowly(new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        nonlocal passed
        passed += MAX_CLAIM_AGE + 1.0
        return await begin(new, token=token, now=now)

    monkeypatch.setattr(ledger.sends, "begin", begin_slowly)
    monkeypatch.setattr("vavasms.sends.sender.time.monotonic", lambda: monotonic() + passed)
    sender = sender_with(ledger, Clock())
    with pytest.raises(NotSentError) as refused:
        await send(sender, "order-1")
    assert (refused.value.error_code, refused.value.outcome) == ("not_sent.ledger_slow", Outcome.NOT_SENT)
    record = await ledger.sends.find("ops", "order-1")
    assert record is not None
    assert record.outcome is Outcome.NOT_SENT


async def test_a_call_forgets_what_is_old_of_its_own_account(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = timedelta(days=31).total_seconds()
    clock = Clock()
    sender = sender_with(ledger, clock)
    for account in ("ops", "other"):
        assert await send(sender, "order-1", account)
    monotonic = time.monotonic
    monkeypatch.setattr("vavasms.sends.sender.time.monotonic", lambda: monotonic() + passed)
    clock.error = passed
    assert await send(sender, "order-2")
    assert await ledger.sends.find("ops", "order-1") is None
    assert await ledger.sends.find("other", "order-1") is not None
