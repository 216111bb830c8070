"""One-time codes counted in every ledger: each limit to the last code that it lets through. No clock but ours."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from secrets import token_hex
from typing import Any

import pytest
from attrs import define, field

from vavasms.errors import OtpLimit
from vavasms.ledger.base import Ledger
from vavasms.ledger.otp import AHEAD, KEEP, OtpKind, OtpRequest, OtpStore, Refusal
from vavasms.ledger.otp_limits import DAY, HOUR, OtpLimits
from vavasms.ledger.sqlite.otp import MemoryOtp
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

ONE, TWO, FAR = Msisdn("2250700000100"), Msisdn("2250700000101"), Msisdn("2250709990000")
NOW = 1_000_000.0
#: Nothing but what a test is about.
OFF: dict[str, Any] = {
    "cool_down": None,
    "number_hourly": None,
    "number_daily": None,
    "client_hourly": None,
    "range_hourly": None,
    "wrong_codes": None,
}


def only(**limits: Any) -> OtpLimits:
    """Return limits that are all off but these."""
    return OtpLimits(**{**OFF, **limits})


@define
class Codes:
    """Calls of one account, which no other test has."""

    store: OtpStore
    account: str = field(factory=lambda: f"ops {token_hex(4)}")
    last: str = ""

    def request(self, number: Msisdn, kind: OtpKind, **more: Any) -> OtpRequest:
        self.last = token_hex(8)
        return OtpRequest(account=self.account, kind=kind, token=self.last, recipient=number, **more)

    async def send(
        self, limits: OtpLimits, at: float, number: Msisdn = ONE, *, segments: int = 1, **more: Any
    ) -> Refusal | None:
        """Count a code; what would be refused is asked for first, and is the same."""
        request = self.request(number, OtpKind.CODE, segments=segments, **more)
        foreseen = await self.store.check(request, limits, now=at)
        assert await self.store.take(request, limits, now=at) == foreseen
        return foreseen

    async def guess(self, limits: OtpLimits, at: float, number: Msisdn = ONE) -> Refusal | None:
        return await self.store.take(self.request(number, OtpKind.GUESS), limits, now=at)

    async def give_back(self) -> None:
        await self.store.give_back(self.account, self.last)


@pytest.fixture
async def codes(ledger: Ledger) -> Codes:
    """Return a new account of the ledger."""
    return Codes(ledger.otp)


def refused(limit: OtpLimit, seconds: float | None) -> Refusal:
    return Refusal(limit=limit, retry_after=seconds)


async def test_a_number_waits_between_two_codes_and_longer_each_time(codes: Codes) -> None:
    limits, at = only(cool_down=timedelta(seconds=30)), NOW
    for wait in (30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0):
        assert await codes.send(limits, at) is None
        assert await codes.send(limits, at) == refused(OtpLimit.COOL_DOWN, wait)
        assert await codes.send(limits, at + wait - 0.5) == refused(OtpLimit.COOL_DOWN, 0.5)
        assert await Codes(codes.store).send(limits, at) is None
        at += wait


async def test_a_cool_down_is_forgotten_after_a_day(codes: Codes) -> None:
    limits = only(cool_down=timedelta(seconds=30))
    for at in (NOW, NOW + 30, NOW + 90):
        assert await codes.send(limits, at) is None
    # Two of them are less than a day old, and then none.
    assert await codes.send(limits, NOW + DAY + 29) is None
    assert await codes.send(limits, NOW + DAY + 29) == refused(OtpLimit.COOL_DOWN, 120)
    assert await codes.send(limits, NOW + 3 * DAY) is None
    assert await codes.send(limits, NOW + 3 * DAY) == refused(OtpLimit.COOL_DOWN, 30)


@pytest.mark.parametrize(
    ("limit", "most", "window"),
    [
        (OtpLimit.NUMBER_HOURLY, 5, HOUR),
        (OtpLimit.NUMBER_DAILY, 10, DAY),
        (OtpLimit.CLIENT_HOURLY, 10, HOUR),
        (OtpLimit.RANGE_HOURLY, 10, HOUR),
    ],
)
async def test_a_limit_lets_through_as_many_as_it_says_and_not_one_more(
    codes: Codes, limit: OtpLimit, most: int, window: float
) -> None:
    limits = only(**{limit.value: most})
    caller: dict[str, Any] = {"client": "203.0.113.7"}
    for second in range(most):
        assert await codes.send(limits, NOW + second, **caller) is None
    assert await codes.send(limits, NOW + most, **caller) == refused(limit, window - most)
    # The first one is counted until it is as old as that, and makes room for one.
    assert await codes.send(limits, NOW + window - 0.5, **caller) == refused(limit, 0.5)
    assert await codes.send(limits, NOW + window, **caller) is None
    assert await codes.send(limits, NOW + window, **caller) == refused(limit, 1)
    # Nobody else's are counted.
    assert await Codes(codes.store).send(limits, NOW + most, **caller) is None


async def test_a_range_is_a_hundred_numbers_of_which_each_counts(codes: Codes) -> None:
    limits = only(range_hourly=10)
    first = int(ONE) // 100 * 100
    for number in range(first, first + 100, 10):
        assert await codes.send(limits, NOW, Msisdn(number)) is None
    for number in (first, first + 55, first + 99):
        assert await codes.send(limits, NOW, Msisdn(number)) == refused(OtpLimit.RANGE_HOURLY, HOUR)
    for number in (first - 1, first + 100):
        assert await codes.send(limits, NOW, Msisdn(number)) is None


async def test_a_caller_is_counted_over_all_numbers_and_nobody_is_who_is_not_named(codes: Codes) -> None:
    limits = only(client_hourly=2)
    assert await codes.send(limits, NOW, ONE, client="203.0.113.7") is None
    assert await codes.send(limits, NOW, TWO, client="203.0.113.7") is None
    assert await codes.send(limits, NOW, FAR, client="203.0.113.7") == refused(OtpLimit.CLIENT_HOURLY, HOUR)
    assert await codes.send(limits, NOW, FAR, client="203.0.113.8") is None
    for _ in range(5):
        assert await codes.send(limits, NOW, FAR) is None


async def test_the_segments_of_a_day_are_used_up_to_the_last(codes: Codes) -> None:
    limits, numbers = only(segments_daily=10), count(int(FAR))

    async def send(at: float, segments: int) -> Refusal | None:
        return await codes.send(limits, at, Msisdn(next(numbers)), segments=segments)

    assert await send(NOW, 3) is None
    assert await send(NOW + 10, 4) is None
    assert await send(NOW + 20, 4) == refused(OtpLimit.SEGMENTS_DAILY, DAY - 20)
    assert await send(NOW + 20, 3) is None
    assert await send(NOW + 30, 1) == refused(OtpLimit.SEGMENTS_DAILY, DAY - 30)
    # For four, three are not enough.
    assert await send(NOW + 30, 4) == refused(OtpLimit.SEGMENTS_DAILY, DAY - 20)
    assert await send(NOW + 30, 11) == refused(OtpLimit.SEGMENTS_DAILY, None)
    assert await send(NOW + DAY, 3) is None
    assert await send(NOW + DAY, 1) == refused(OtpLimit.SEGMENTS_DAILY, 10)


async def test_a_code_that_can_never_fit_is_refused_for_ever(codes: Codes) -> None:
    assert await codes.send(only(segments_daily=1), NOW, segments=2) == refused(OtpLimit.SEGMENTS_DAILY, None)
    assert await codes.send(only(segments_daily=2), NOW, segments=2) is None


async def test_of_several_limits_the_one_that_lasts_longest_is_named(codes: Codes) -> None:
    limits = OtpLimits(number_hourly=1)
    assert await codes.send(limits, NOW) is None
    assert await codes.send(limits, NOW) == refused(OtpLimit.NUMBER_HOURLY, HOUR)
    # The default ones, of one person who asks too often.
    person, at, sent = Codes(codes.store), NOW, []
    while at < NOW + HOUR:
        refusal = await person.send(OtpLimits(), at)
        if refusal is None:
            sent.append(at - NOW)
        else:
            assert refusal.retry_after is not None
            at += refusal.retry_after
    assert sent == [0, 30, 90, 210, 450]


async def test_limits_that_are_off_count_and_refuse_nothing(codes: Codes) -> None:
    for _ in range(30):
        assert await codes.send(only(), NOW, client="203.0.113.7", segments=9) is None
        assert await codes.guess(only(), NOW) is None
    # They are kept all the same: who switches one on finds what was sent before.
    assert await codes.send(only(number_hourly=30), NOW) == refused(OtpLimit.NUMBER_HOURLY, HOUR)


async def test_what_is_given_back_counts_no_more(codes: Codes) -> None:
    limits = only(number_hourly=2, cool_down=timedelta(seconds=30))
    assert await codes.send(limits, NOW) is None
    await codes.give_back()
    assert await codes.send(limits, NOW) is None
    assert await codes.send(limits, NOW + 1) == refused(OtpLimit.COOL_DOWN, 29)
    # What was refused has no row.
    await codes.give_back()
    await codes.give_back()
    assert await codes.send(limits, NOW + 1) == refused(OtpLimit.COOL_DOWN, 29)


async def test_the_account_and_the_token_tell_what_is_given_back(codes: Codes) -> None:
    limits = only(number_hourly=1)
    assert await codes.send(limits, NOW) is None
    await codes.store.give_back("another", codes.last)
    await codes.store.give_back(codes.account, "another")
    assert await codes.send(limits, NOW) == refused(OtpLimit.NUMBER_HOURLY, HOUR)


async def test_after_so_many_wrong_codes_only_a_new_one_helps(codes: Codes) -> None:
    limits = only(wrong_codes=5)
    for second in range(5):
        assert await codes.guess(limits, NOW + second) is None
    assert await codes.guess(limits, NOW + 5) == refused(OtpLimit.WRONG_CODES, None)
    assert await codes.guess(limits, NOW + 100 * DAY) == refused(OtpLimit.WRONG_CODES, None)
    assert await codes.guess(limits, NOW, TWO) is None
    # By a clock that was set back, too: the order of writing counts.
    assert await codes.send(limits, NOW - 1000) is None
    for _ in range(5):
        assert await codes.guess(limits, NOW - 1000) is None
    assert await codes.guess(limits, NOW - 1000) == refused(OtpLimit.WRONG_CODES, None)


async def test_a_right_code_is_given_back(codes: Codes) -> None:
    limits = only(wrong_codes=1)
    for _ in range(3):
        assert await codes.guess(limits, NOW) is None
        await codes.give_back()
    assert await codes.guess(limits, NOW) is None
    assert await codes.guess(limits, NOW) == refused(OtpLimit.WRONG_CODES, None)


async def test_a_code_that_was_not_sent_or_refused_buys_no_more_tries(codes: Codes) -> None:
    limits = only(wrong_codes=1, number_hourly=2)
    assert await codes.guess(limits, NOW) is None
    assert await codes.send(limits, NOW) is None
    await codes.give_back()
    assert await codes.guess(limits, NOW) == refused(OtpLimit.WRONG_CODES, None)
    assert await codes.send(limits, NOW) is None
    await codes.store.note_rejected(codes.account, codes.last)
    assert await codes.guess(limits, NOW) == refused(OtpLimit.WRONG_CODES, None)
    # It counts as a code, though.
    assert await codes.send(limits, NOW) is None
    assert await codes.send(limits, NOW) == refused(OtpLimit.NUMBER_HOURLY, HOUR)
    assert await codes.guess(limits, NOW) is None


async def test_a_clock_that_was_ahead_holds_nobody_up_for_longer_than_two_days(codes: Codes) -> None:
    limits = only(number_hourly=1)
    assert await codes.send(limits, NOW + HOUR) is None
    # It was set right: what is of later counts as of now.
    assert await codes.send(limits, NOW) == refused(OtpLimit.NUMBER_HOURLY, HOUR)
    assert await codes.send(limits, NOW, TWO) is None
    assert await codes.send(limits, NOW + 365 * DAY, FAR) is None
    assert await codes.send(limits, NOW, FAR) is None
    assert await codes.send(only(segments_daily=1), NOW + 2 * AHEAD, FAR) is None


async def test_what_is_old_is_forgotten_a_little_at_a_time(codes: Codes) -> None:
    numbers = count(int(FAR))
    for _ in range(50):
        assert await codes.send(only(), NOW, Msisdn(next(numbers))) is None
    later = NOW + KEEP + 1
    assert await codes.send(only(), later, Msisdn(next(numbers))) is None
    # Whoever counts forgets for all accounts. The clock is turned back to see what is left of this one.
    left = await _count(codes, NOW)
    assert left >= 30
    for _ in range(100):
        before, left = left, await _count(codes, NOW)
        assert before - 20 <= left <= before
        if not left:
            return
        assert await codes.send(only(), later, Msisdn(next(numbers))) is None
    raise AssertionError


async def _count(codes: Codes, now: float) -> int:
    """Return how many segments are counted at a time."""
    for most in range(1, 100):
        request = codes.request(ONE, OtpKind.CODE, segments=1)
        if await codes.store.check(request, only(segments_daily=most), now=now) is None:
            return most - 1
    raise AssertionError


@pytest.mark.parametrize("many", [3])
async def test_in_memory_without_a_ledger_all_of_that_is_the_same(many: int) -> None:
    codes, limits = Codes(MemoryOtp()), OtpLimits(range_hourly=many, wrong_codes=many)
    for number in range(many):
        assert await codes.send(limits, NOW, Msisdn(int(ONE) + number)) is None
    assert await codes.send(limits, NOW, FAR) is None
    await codes.give_back()
    assert await codes.send(limits, NOW, FAR) is None
    await codes.store.note_rejected(codes.account, codes.last)
    last = Msisdn(int(ONE) + many)
    assert await codes.send(limits, NOW, last) == refused(OtpLimit.RANGE_HOURLY, HOUR)
    for _ in range(many):
        assert await codes.guess(limits, NOW) is None
    assert await codes.guess(limits, NOW) == refused(OtpLimit.WRONG_CODES, None)
