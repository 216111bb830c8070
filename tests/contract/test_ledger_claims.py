"""TX1 and TX2: who may send, to whom, and whose answer counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest

from vavasms.ledger.base import Ledger
from vavasms.ledger.models import LONGEST_DELAY, BatchRecord, Claim, StoredBatch
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Orphan = Callable[[], AbstractAsyncContextManager[object]]
Phones = Callable[..., tuple[Msisdn, ...]]

NOTHING = BatchRecord()
DAY = 86_400.0
BUDGET = "the budget does not suffice for the next batch"


async def _batch(ledger: Ledger, number: int = 0, campaign_id: str = "c") -> StoredBatch:
    return (await ledger.batches(campaign_id, after=number - 1, limit=1))[0]


async def test_a_claim_holds_all_that_the_call_needs(ledger: Ledger, run: Run, phones: Phones) -> None:
    await run("c", 2, 3, segments=2)
    made = await ledger.claim("c", 1, token="t1", worker="w1", now=50.0, balance=Decimal("12.50"))
    assert made == Claim(
        campaign_id="c",
        number=1,
        token="t1",
        at=50.0,
        attempt=1,
        message="Text 1",
        segments=2,
        recipients=phones(3, 2),
    )
    stored = await _batch(ledger, 1)
    assert (stored.state, stored.sending_at) == (BatchState.SENDING, 50.0)
    assert (stored.balance_before, stored.balance_after) == (Decimal("12.50"), None)


async def test_one_of_two_workers_has_the_batch(ledger: Ledger, run: Run, claim: TryClaim) -> None:
    await run("c", 2)
    assert await claim("c") is not None
    assert await claim("c") is None
    assert await claim("c", 7) is None


async def test_the_balance_that_was_read_first_after_the_answer_stays(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1, 1)
    await ledger.settle(await take("c"), BatchEvent.ACCEPT, NOTHING)
    await ledger.settle(await take("c", 1), BatchEvent.ACCEPT, NOTHING)
    await ledger.note_balance("c", [0], Decimal("90.5"))
    await ledger.note_balance("c", {0, 1}, Decimal(80))
    assert (await _batch(ledger)).balance_after == Decimal("90.5")
    assert (await _batch(ledger, 1)).balance_after == Decimal(80)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (BatchEvent.ACCEPT, BatchState.ACCEPTED),
        (BatchEvent.REJECT, BatchState.REJECTED),
        (BatchEvent.MARK_UNKNOWN, BatchState.UNKNOWN),
    ],
)
async def test_an_answer_is_kept_with_the_batch(
    ledger: Ledger, run: Run, take: Take, event: BatchEvent, state: BatchState
) -> None:
    await run("c", 2)
    record = BatchRecord(lot_id="L1", message_ids=("m1", "m2"), error="ServerError: It broke.")
    assert await ledger.settle(await take("c"), event, record)
    stored = await _batch(ledger)
    assert (stored.state, stored.record) == (state, record)


@pytest.mark.parametrize("leaves_out", [False, True])
async def test_a_claim_begins_without_what_was_said_of_the_attempt_before(
    ledger: Ledger, run: Run, take: Take, phones: Phones, leaves_out: bool
) -> None:
    await run("c", 3)
    turned_back = BatchRecord(error="RateLimitedError: Slower.")
    await ledger.settle(await take("c"), BatchEvent.REQUEUE, turned_back)
    await ledger.note_balance("c", [0], Decimal(90))
    stored = await _batch(ledger)
    assert (stored.record, stored.balance_after) == (turned_back, Decimal(90))
    if leaves_out:
        await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    made = await ledger.claim("c", 0, token="t2", worker="w", now=2000.0, balance=Decimal(80))
    assert made is not None
    assert len(made.recipients) == 3 - leaves_out
    stored = await _batch(ledger)
    assert (stored.record, stored.balance_before, stored.balance_after) == (NOTHING, Decimal(80), None)


@pytest.mark.parametrize("max_segments", [None, 2])
async def test_what_is_turned_back_waits_until_its_time(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, max_segments: int | None
) -> None:
    await run("c", 2, max_segments=max_segments)
    await ledger.settle(await take("c"), BatchEvent.REQUEUE, NOTHING, not_before=1060.0)
    assert (await ledger.queued("c", after=-1, limit=1))[0].not_before == 1060.0
    assert await claim("c", now=1059.9) is None
    assert (await take("c", now=1060.0)).attempt == 2


@pytest.mark.parametrize("hours", [1, 6, 24 * 400])
async def test_a_clock_that_is_set_back_does_not_keep_what_was_turned_back(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, hours: int
) -> None:
    await run("c", 2)
    before = 1000.0 + hours * 3600.0
    longest = before + LONGEST_DELAY
    await ledger.settle(await take("c", now=before), BatchEvent.REQUEUE, NOTHING, not_before=longest)
    (waiting,) = await ledger.queued("c", after=-1, limit=1)
    assert not waiting.is_due(before)
    assert await claim("c", now=before) is None
    assert waiting.is_due(1000.0)
    assert (await take("c", now=1000.0)).attempt == 2


@pytest.mark.parametrize("attempts", [1, 3])
async def test_attempts_count_anew_after_a_start(ledger: Ledger, run: Run, take: Take, attempts: int) -> None:
    await run("c", 2)
    await run("d", 2)
    await ledger.settle(await take("d"), BatchEvent.REQUEUE, NOTHING)
    for attempt in range(1, attempts + 1):
        made = await take("c")
        assert made.attempt == attempt
        await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    await ledger.pause("c", "lunch")
    await ledger.start("c")
    assert (await take("c")).attempt == 1
    # It is no start of another campaign.
    assert (await take("d")).attempt == 2


async def test_what_was_turned_back_is_due_at_once_after_a_start(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 2)
    await ledger.settle(await take("c"), BatchEvent.REQUEUE, NOTHING, not_before=1060.0)
    await ledger.pause("c", "lunch")
    await ledger.start("c")
    assert (await ledger.queued("c", after=-1, limit=1))[0].is_due(1000.0)
    assert (await take("c")).attempt == 1


async def test_what_is_turned_back_after_a_cancel_is_cancelled(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 2, 1)
    made = await take("c")
    await ledger.cancel("c", "enough")
    assert await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    assert (await _batch(ledger)).state is BatchState.CANCELLED
    assert (await ledger.status("c")).not_sent == 3


async def test_a_late_true_answer_raises_unknown(
    ledger: Ledger, run: Run, take: Take, orphan: Orphan
) -> None:
    await run("c", 2)
    made = await take("c")
    async with orphan():
        assert (await _batch(ledger)).state is BatchState.UNKNOWN
    assert await ledger.settle(made, BatchEvent.ACCEPT, BatchRecord(lot_id="L1"))
    stored = await _batch(ledger)
    assert (stored.state, stored.record) == (BatchState.ACCEPTED, BatchRecord(lot_id="L1"))
    assert not await ledger.settle(made, BatchEvent.MARK_UNKNOWN, NOTHING)


@pytest.mark.parametrize(
    "event", [BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.REQUEUE]
)
async def test_a_late_answer_never_touches_a_newer_attempt(
    ledger: Ledger, run: Run, take: Take, event: BatchEvent
) -> None:
    await run("c", 2)
    old = await take("c")
    await ledger.settle(old, BatchEvent.MARK_UNKNOWN, NOTHING)
    assert await ledger.resend("c", [0], sent_before=1001.0) == 1
    assert not await ledger.settle(old, event, NOTHING)
    assert (await _batch(ledger)).state is BatchState.QUEUED
    new = await take("c", now=1002.0)
    for late in (ledger.settle(old, event, NOTHING), ledger.abandon("c", 0, old.token), ledger.split(old)):
        assert not await late
    assert (await _batch(ledger)).state is BatchState.SENDING
    assert await ledger.settle(new, BatchEvent.MARK_UNKNOWN, NOTHING)
    assert not await ledger.settle(old, event, NOTHING)
    assert (await _batch(ledger)).state is BatchState.UNKNOWN


async def test_a_claim_whose_answer_was_lost_is_turned_back(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    await run("c", 2)
    assert not await ledger.abandon("c", 0, "never-committed")
    assert not await ledger.abandon("c", 7, "never-committed")
    made = await take("c")
    assert not await ledger.abandon("c", 0, "another")
    assert await ledger.abandon("c", 0, made.token)
    assert not await ledger.abandon("c", 0, made.token)
    again = await take("c")
    await ledger.settle(again, BatchEvent.ACCEPT, NOTHING)
    assert not await ledger.abandon("c", 0, again.token)


async def test_what_was_given_up_after_a_cancel_is_cancelled(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 2)
    made = await take("c")
    await ledger.cancel("c", "enough")
    assert await ledger.abandon("c", 0, made.token)
    assert (await ledger.status("c")).not_sent == 2


@pytest.mark.parametrize("way", ["requeue", "abandon", "split"])
async def test_what_comes_back_late_opens_a_campaign_that_was_done(
    ledger: Ledger, run: Run, take: Take, orphan: Orphan, way: str
) -> None:
    await run("c", 2, 2)
    await ledger.settle(await take("c", 1), BatchEvent.ACCEPT, NOTHING)
    back = await take("c")
    async with orphan():
        assert await ledger.finish("c")
    numbers: tuple[int, ...] = (0,)
    if way == "requeue":
        assert await ledger.settle(back, BatchEvent.REQUEUE, NOTHING)
    elif way == "abandon":
        assert await ledger.abandon("c", 0, back.token)
    else:
        numbers = await ledger.split(back) or ()
    # A campaign is never done while something of it waits: nobody would ever send it.
    campaign = await ledger.campaign("c")
    waiting = "1 batch waits to be sent again" if len(numbers) == 1 else "2 batches wait to be sent again"
    assert (campaign.state, campaign.reason) == (CampaignState.PAUSED, waiting)
    assert await ledger.start("c")
    taken = [recipient for number in numbers for recipient in (await take("c", number)).recipients]
    assert tuple(taken) == back.recipients


@pytest.mark.parametrize("event", [BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN])
async def test_a_late_answer_that_leaves_nothing_to_send_leaves_a_campaign_done(
    ledger: Ledger, run: Run, take: Take, orphan: Orphan, event: BatchEvent
) -> None:
    await run("c", 2)
    made = await take("c")
    async with orphan():
        assert await ledger.finish("c")
    assert await ledger.settle(made, event, NOTHING)
    assert (await ledger.campaign("c")).state is CampaignState.DONE
