"""What a person has sent again may have gone out before: no later answer makes that untrue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, Delivery, StoredBatch
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Orphan = Callable[[], AbstractAsyncContextManager[object]]
Phones = Callable[..., tuple[Msisdn, ...]]
Again = Callable[..., Awaitable[None]]

NOTHING = BatchRecord()
REFUSED = BatchRecord(error="InvalidPhoneError: The number is wrong.")
DROPPED = "It was to be sent again and was not; the earlier attempt's outcome is unknown."
DAY = 86_400.0


async def _batch(ledger: Ledger, number: int = 0) -> StoredBatch:
    return (await ledger.batches("c", after=number - 1, limit=1))[0]


@pytest.fixture
def again(ledger: Ledger, run: Run, take: Take) -> Again:
    """Return batch 0 of a new campaign `c`, queued again after an attempt that was lost."""

    async def call(*sizes: int, **options: object) -> None:
        await run("c", *sizes, **options)
        assert await ledger.settle(await take("c"), BatchEvent.MARK_UNKNOWN, NOTHING)
        assert await ledger.resend("c", [0], sent_before=2000.0) == 1

    return call


async def test_what_was_to_be_sent_again_is_unknown_when_its_campaign_is_cancelled(
    ledger: Ledger, again: Again
) -> None:
    await again(2, 3)
    assert await ledger.cancel("c", "enough")
    status = await ledger.status("c")
    assert (status.unknown, status.not_sent, status.segments) == (2, 3, 2)
    assert (await _batch(ledger)).record == BatchRecord(error=DROPPED)
    assert await ledger.mark_sent("c", [0], note="seen") == 1
    assert (await ledger.status("c")).segments == 2


@pytest.mark.parametrize("late", [False, True])
async def test_a_second_attempt_that_is_refused_leaves_the_first_one_unknown(
    ledger: Ledger, again: Again, take: Take, orphan: Orphan, late: bool
) -> None:
    await again(2)
    made = await take("c")
    if late:
        async with orphan():
            pass
    assert await ledger.settle(made, BatchEvent.REJECT, REFUSED)
    stored = await _batch(ledger)
    assert (stored.state, stored.record) == (BatchState.UNKNOWN, REFUSED)
    assert (await ledger.status("c")).segments == 2
    # That attempt is over: nothing more can be said of it.
    assert not await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    assert not await ledger.abandon("c", 0, made.token)
    # And again: the doubt is one, as before.
    assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    assert await ledger.settle(await take("c"), BatchEvent.REJECT, REFUSED)
    assert (await _batch(ledger)).state is BatchState.UNKNOWN


async def test_a_second_attempt_that_is_turned_back_waits_and_stays_in_doubt(
    ledger: Ledger, again: Again, take: Take
) -> None:
    await again(2)
    made = await take("c")
    assert (await ledger.status("c")).segments == 4
    assert await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    status = await ledger.status("c")
    assert (status.queued, status.segments) == (2, 2)
    assert await ledger.cancel("c", "enough")
    assert (await _batch(ledger)).state is BatchState.UNKNOWN
    assert not await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)


@pytest.mark.parametrize("way", ["requeue", "abandon", "split"])
async def test_what_is_turned_back_after_a_cancellation_is_unknown(
    ledger: Ledger, again: Again, take: Take, way: str
) -> None:
    await again(4)
    made = await take("c")
    await ledger.cancel("c", "enough")
    if way == "requeue":
        assert await ledger.settle(made, BatchEvent.REQUEUE, REFUSED)
    elif way == "abandon":
        assert await ledger.abandon("c", 0, made.token)
    else:
        assert await ledger.split(made)
    status = await ledger.status("c")
    assert (status.unknown, status.not_sent, status.segments) == (4, 0, 4)
    assert {batch.record.error for batch in await ledger.unknown("c")} == {DROPPED}
    assert not await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)


@pytest.mark.parametrize("way", ["reject", "requeue", "split"])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_late_answer_after_a_purge_leaves_the_first_attempt_unknown(
    ledger: Ledger, again: Again, take: Take, way: str, cancelled: bool, orphan: Orphan
) -> None:
    await again(2)
    made = await take("c")
    async with orphan():
        pass
    assert await (ledger.cancel("c", "enough") if cancelled else ledger.finish("c"))
    await ledger.purge("c")
    if way == "split":
        assert await ledger.split(made) is None
    else:
        assert await ledger.settle(made, BatchEvent(way), NOTHING)
    status = await ledger.status("c")
    assert (status.unknown, status.queued, status.recipients) == (2, 0, 2)
    assert status.state is (CampaignState.CANCELLED if cancelled else CampaignState.DONE)


async def test_both_halves_of_what_was_sent_again_are_in_doubt(
    ledger: Ledger, again: Again, take: Take
) -> None:
    await again(4)
    found = await ledger.split(await take("c"))
    assert found is not None
    assert (await ledger.status("c")).segments == 4
    assert await ledger.settle(await take("c", found[0]), BatchEvent.REJECT, REFUSED)
    await ledger.cancel("c", "enough")
    assert [batch.number for batch in await ledger.unknown("c")] == [*found]
    assert (await ledger.status("c")).unknown == 4


@pytest.mark.parametrize("halved", [False, True])
async def test_nobody_is_left_out_of_what_is_sent_again_and_an_opt_out_stops_it(
    ledger: Ledger, again: Again, take: Take, claim: TryClaim, phones: Phones, halved: bool
) -> None:
    await again(3)
    number = 0
    if halved:
        found = await ledger.split(await take("c"))
        assert found is not None
        number = found[0]
    await ledger.add_opt_outs(phones(1), source="inbound", now=1.0)
    assert await claim("c", number) is None
    (stored,) = await ledger.unknown("c")
    assert stored.number == number
    assert stored.record.error == "A recipient opted out since: decide by hand."
    assert {why for _, why in stored.recipients} == {None}
    await ledger.remove_opt_outs(phones(1))
    assert await ledger.resend("c", [number], sent_before=2000.0) == 1
    assert phones(1)[0] in (await take("c", number)).recipients


async def test_the_cap_stops_what_is_sent_again_until_the_day_is_over(
    ledger: Ledger, again: Again, take: Take, claim: TryClaim
) -> None:
    await again(2, daily_cap=1)
    # The first attempt, at 1000, may be the one message of the day.
    assert await claim("c", now=999.0 + DAY) is None
    (stored,) = await ledger.unknown("c")
    assert stored.record.error == "A recipient is over the daily cap: decide by hand."
    assert {why for _, why in stored.recipients} == {None}
    assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    assert len((await take("c", now=1000.0 + DAY)).recipients) == 2


@pytest.mark.parametrize("halved", [False, True])
async def test_a_cap_elsewhere_counts_what_waits_to_be_sent_again(
    ledger: Ledger, again: Again, run: Run, take: Take, claim: TryClaim, halved: bool
) -> None:
    await again(2)
    if halved:
        await ledger.split(await take("c"))
    await run("d", 2, daily_cap=1)
    assert await claim("d", now=1001.0) is None
    assert (await ledger.status("d")).not_sent == 2


async def test_a_cap_counts_both_attempts_that_may_have_gone_out(
    ledger: Ledger, again: Again, run: Run, take: Take, claim: TryClaim
) -> None:
    await again(1)
    await take("c")
    await run("d", 1, daily_cap=3)
    assert await claim("d", now=1001.0) is not None
    await run("e", 1, daily_cap=3)
    assert await claim("e", now=1001.0) is None


@pytest.mark.parametrize("by_hand", [False, True])
async def test_what_an_earlier_attempt_may_have_cost_is_counted_on(
    ledger: Ledger, again: Again, take: Take, by_hand: bool
) -> None:
    await again(2)
    made = await take("c")
    if by_hand:
        assert await ledger.settle(made, BatchEvent.MARK_UNKNOWN, NOTHING)
        assert (await ledger.status("c")).segments == 4
        assert await ledger.mark_sent("c", [0], note="seen") == 1
    else:
        assert await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    status = await ledger.status("c")
    # The gateway may have taken, and been paid for, both.
    assert (status.accepted, status.segments) == (2, 4)


@pytest.mark.parametrize("ending", ["accepted", "marked", "halved"])
async def test_the_cap_remembers_an_attempt_that_was_unknown_and_sent_again(
    ledger: Ledger, again: Again, run: Run, take: Take, claim: TryClaim, ending: str
) -> None:
    await again(2)
    made = await take("c")
    if ending == "halved":
        halves = await ledger.split(made)
        assert halves is not None
        for half in halves:
            assert await ledger.settle(await take("c", half), BatchEvent.ACCEPT, NOTHING)
    elif ending == "marked":
        assert await ledger.settle(made, BatchEvent.MARK_UNKNOWN, NOTHING)
        assert await ledger.mark_sent("c", [0], note="seen") == 1
    else:
        assert await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    # Two may have gone to each of them: under a cap of two there is no third.
    await run("d", 2, daily_cap=2)
    assert await claim("d", now=1001.0) is None
    await run("e", 2, daily_cap=3)
    assert await claim("e", now=1001.0) is not None


@pytest.mark.parametrize("by_hand", [False, True])
async def test_the_budget_keeps_what_an_earlier_attempt_may_have_cost(
    ledger: Ledger, again: Again, take: Take, claim: TryClaim, by_hand: bool
) -> None:
    await again(2, 1, max_segments=4)
    made = await take("c")
    await ledger.settle(made, BatchEvent.MARK_UNKNOWN if by_hand else BatchEvent.ACCEPT, NOTHING)
    await ledger.mark_sent("c", [0], note="seen")
    assert await claim("c", 1) is None
    assert (await ledger.campaign("c")).state is CampaignState.PAUSED


async def test_the_budget_gets_back_what_a_second_attempt_did_not_cost(
    ledger: Ledger, again: Again, take: Take, claim: TryClaim
) -> None:
    await again(2, 2, 1, max_segments=4)
    assert await ledger.settle(await take("c"), BatchEvent.REJECT, REFUSED)
    await take("c", 1)
    assert await claim("c", 2) is None


async def test_a_late_answer_brings_no_message_id_back_after_a_purge(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1)
    made = await take("c")
    await ledger.cancel("c", "enough")
    await ledger.purge("c")
    answer = BatchRecord(lot_id="L1", message_ids=("m1",))
    assert await ledger.settle(made, BatchEvent.ACCEPT, answer)
    assert (await _batch(ledger)).record == BatchRecord(lot_id="L1")
    told = Delivery(message_id="m1", status=DeliveryStatus.DELIVERED, raw_status="delivered", at=1.0)
    await ledger.record_deliveries("c", [told])
    assert not await ledger.deliveries("c", ["m1"])
