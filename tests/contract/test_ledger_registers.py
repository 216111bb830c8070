"""What a ledger keeps beside the batches: rates, the opt-out list, delivery reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from vavasms.ledger.base import Ledger
from vavasms.ledger.models import RESERVE_AHEAD, Claim, Delivery, NewCampaign, OptOut
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
Phones = Callable[..., tuple[Msisdn, ...]]

NEW = NewCampaign(
    id="c", account="ops", sender_id="ACME", message="Bonjour {name}", policy='{"rate": 5}', created_at=10.0
)


async def test_a_rate_is_kept_by_waiting(ledger: Ledger) -> None:
    async def wait(messages: int, now: float) -> float:
        return await ledger.reserve("ops", messages, rate=10.0, now=now)

    assert await wait(10, 100.0) == pytest.approx(0.0)
    # A batch larger than a second's worth waits its turn and is then let through whole.
    assert await wait(25, 100.0) == pytest.approx(1.0)
    assert await wait(1, 100.0) == pytest.approx(3.5)
    assert await wait(1, 102.0) == pytest.approx(1.6)
    # An idle hour earns no burst.
    assert await wait(10, 4000.0) == pytest.approx(0.0)
    assert await wait(10, 4000.0) == pytest.approx(1.0)
    assert await ledger.reserve("other", 1, rate=10.0, now=4000.0) == pytest.approx(0.0)


async def test_a_hold_lets_nothing_through_and_no_burst_after_it(ledger: Ledger) -> None:
    await ledger.hold("ops", 110.0, now=100.0)
    await ledger.hold("ops", 105.0, now=101.0)
    assert await ledger.reserve("ops", 20, rate=10.0, now=104.0) == pytest.approx(6.0)
    assert await ledger.reserve("ops", 1, rate=10.0, now=104.0) == pytest.approx(8.0)
    await ledger.hold("ops", 111.0, now=104.0)
    assert await ledger.reserve("ops", 1, rate=10.0, now=104.0) == pytest.approx(8.1)
    assert await ledger.reserve("other", 1, rate=10.0, now=104.0) == pytest.approx(0.0)


async def test_a_short_hold_is_as_short_as_it_is(ledger: Ledger) -> None:
    await ledger.hold("ops", 100.5, now=100.0)
    assert await ledger.reserve("ops", 1, rate=10.0, now=100.0) == pytest.approx(0.5)


async def test_each_account_has_a_rate_of_its_own(ledger: Ledger) -> None:
    assert await ledger.reserve("other", 10, rate=10.0, now=100.0) == pytest.approx(0.0)
    assert await ledger.reserve("ops", 50, rate=10.0, now=100.0) == pytest.approx(0.0)
    await ledger.hold("ops", 120.0, now=100.0)
    await ledger.release("ops", 5, rate=10.0)
    assert await ledger.reserve("other", 1, rate=10.0, now=100.0) == pytest.approx(1.0)


async def test_the_opt_out_list_is_kept_in_order_of_the_numbers(ledger: Ledger, phones: Phones) -> None:
    short, (one, two, three) = Msisdn("22890000100"), phones(3)
    assert await ledger.add_opt_outs([three, one, one], source="cli", now=5.0) == 2
    assert await ledger.add_opt_outs(iter([one, two, short]), source="inbound", now=6.0) == 2
    expected = [(short, "inbound", 6.0), (one, "cli", 5.0), (two, "inbound", 6.0), (three, "cli", 5.0)]
    everyone = [OptOut(recipient=phone, source=source, at=at) for phone, source, at in expected]
    assert list(await ledger.opt_outs(limit=10)) == everyone
    assert list(await ledger.opt_outs(after=one, limit=1)) == everyone[2:3]
    assert await ledger.opted_out() == {int(each) for each in (short, one, two, three)}
    assert await ledger.remove_opt_outs(iter([one, phones(1, 9)[0], one])) == 1
    assert await ledger.add_opt_outs([], source="cli", now=7.0) == await ledger.remove_opt_outs([]) == 0
    assert int(one) not in await ledger.opted_out()


async def test_the_latest_word_on_a_message_is_kept(ledger: Ledger, run: Run) -> None:
    await run("c", 1)
    await run("d", 1)
    sent = Delivery(message_id="m1", status=DeliveryStatus.SENT, raw_status="sent", at=10.0)
    late = Delivery(message_id="m1", status=DeliveryStatus.DELIVERED, raw_status="DELIVRD", at=20.0)
    other = Delivery(message_id="m2", status=DeliveryStatus.OTHER, raw_status="?", at=10.0)
    await ledger.record_deliveries("c", [sent, other])
    await ledger.record_deliveries("c", [late])
    # It was asked for earlier and came later.
    await ledger.record_deliveries("c", [sent])
    assert await ledger.deliveries("c", ["m1", "m2", "m3"]) == {"m1": late, "m2": other}
    assert await ledger.deliveries("c", ["m2"]) == {"m2": other}
    assert await ledger.deliveries("d", ["m1"]) == {}


async def test_room_that_was_not_used_is_handed_back(ledger: Ledger) -> None:
    await ledger.release("ops", 5, rate=10.0)
    assert await ledger.reserve("ops", 20, rate=10.0, now=100.0) == pytest.approx(0.0)
    await ledger.release("ops", 15, rate=10.0)
    await ledger.release("other", 15, rate=10.0)
    assert await ledger.reserve("ops", 1, rate=10.0, now=100.0) == pytest.approx(0.5)
    # More than there was: the room of the past is not saved up.
    await ledger.release("ops", 5000, rate=10.0)
    assert await ledger.reserve("ops", 10, rate=10.0, now=100.0) == pytest.approx(0.0)
    assert await ledger.reserve("ops", 1, rate=10.0, now=100.0) == pytest.approx(1.0)


@pytest.mark.parametrize("hours", [1, 6, 24 * 400])
async def test_a_clock_that_is_set_back_stalls_nothing_and_exceeds_nothing(
    ledger: Ledger, hours: int
) -> None:
    before = 100.0 + hours * 3600.0
    assert await ledger.reserve("ops", 1, rate=1.0, now=100.0) == pytest.approx(0.0)
    assert await ledger.reserve("ops", 30, rate=1.0, now=before) == pytest.approx(0.0)
    # 30 seconds were reserved ahead of the clock, and still are.
    assert await ledger.reserve("ops", 5, rate=1.0, now=100.0) == pytest.approx(30.0)
    assert await ledger.reserve("ops", 5, rate=1.0, now=110.0) == pytest.approx(25.0)


async def test_a_hold_outlives_a_clock_that_is_set_back(ledger: Ledger) -> None:
    await ledger.reserve("ops", 1, rate=1.0, now=50_000.0)
    await ledger.hold("ops", 160.0, now=100.0)
    assert await ledger.reserve("ops", 1, rate=1.0, now=110.0) == pytest.approx(50.0)


async def test_clocks_that_differ_a_little_gain_nothing(ledger: Ledger) -> None:
    for _ in range(20):
        for now in (100.0, 99.0, 97.0):
            wait = await ledger.reserve("ops", 1, rate=2.0, now=now)
    assert wait == pytest.approx(100.0 + 59 / 2.0 - 97.0)


async def test_a_clock_is_set_back_where_it_is_more_than_five_seconds_behind(ledger: Ledger) -> None:
    async def wait(account: str, now: float) -> float:
        return await ledger.reserve(account, 1, rate=1.0, now=now)

    assert [await wait("ops", 100.0), await wait("ops", 95.0)] == [0.0, 6.0]
    assert [await wait("other", 100.0), await wait("other", 94.75)] == [0.0, 1.0]


@pytest.mark.parametrize(("rate", "size"), [(0.01, 100), (0.001, 1), (2.0, 500)])
async def test_a_slow_rate_is_never_forgotten(ledger: Ledger, rate: float, size: int) -> None:
    now, granted = 1000.0, 0
    for _ in range(160):
        wait = await ledger.reserve("ops", size, rate=rate, now=now)
        if wait <= RESERVE_AHEAD:
            granted += size
            assert granted <= size + rate * (now + wait - 1000.0) + 1e-6
        now += size / rate / 16
    assert granted >= 9 * size


async def test_what_cannot_leave_soon_is_not_reserved(ledger: Ledger) -> None:
    assert await ledger.reserve("ops", 100, rate=1.0, now=0.0) == pytest.approx(0.0)
    for _ in range(30):
        assert await ledger.reserve("ops", 100, rate=1.0, now=0.0) == pytest.approx(100.0)
    # Whoever asked and died left nothing behind.
    assert await ledger.reserve("ops", 100, rate=1.0, now=100.0) == pytest.approx(0.0)


async def test_a_minute_can_be_reserved_ahead_and_not_a_second_more(ledger: Ledger) -> None:
    async def wait(messages: int) -> float:
        return await ledger.reserve("ops", messages, rate=1.0, now=0.0)

    assert [await wait(60), await wait(1), await wait(1), await wait(1)] == [0.0, 60.0, 61.0, 61.0]
