"""Another attempt: as often as the table allows, as late as the gateway asks, while the budget lasts."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vavasms.config import Timeouts
from vavasms.errors import NotSentError, Outcome
from vavasms.transport.backoff import backoff
from vavasms.transport.outcome import Failure
from vavasms.transport.retry import MAX_RETRY_AFTER, RetryBudget, again, deadlines_of, read_retry_after
from vavasms.wire.requests import CallKind
from vavasms.wire.responses import Envelope

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
SUCCESS = Envelope(code=0, name="OPERATION_SUCCES", description=None)


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("000000000007", 7.0),
        ("119", 119.0),
        ("120", 120.0),
        ("121", 120.0),
        ("9" * 400, 120.0),
        ("Mon, 04 May 2026 12:00:07 GMT", 7.0),
        ("Mon, 04 May 2026 12:00:07 +0000", 7.0),
        ("Mon, 04 May 2026 12:00:07 -0000", 7.0),
        ("Mon, 04 May 2026 14:00:07 +0200", 7.0),
        ("Monday, 04-May-26 12:00:07 GMT", 7.0),
        ("Mon May  4 12:00:07 2026", 7.0),
        ("Mon, 04 May 2026 11:59:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Mon, 04 May 2026 13:00:00 GMT", 120.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120.0),
    ],
)
def test_seconds_and_dates_are_read_and_capped(value: str, seconds: float) -> None:
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "５",
        "٥",
        "soon",
        "5 seconds",
        "5,10",
        "NaN",
        "inf",
        "\x00",
        "Mon, 99 May 2026 12:00:07 GMT",
        "Mon, 04 May 2026 25:61:61 GMT",
        "Mon, 04 Xyz 2026 12:00:07 GMT",
    ],
)
def test_nonsense_is_no_wait(value: str | None) -> None:
    assert read_retry_after(value, NOW) is None


@given(
    st.one_of(
        st.text(max_size=40),
        st.integers().map(str),
        st.from_regex(
            r"[A-Za-z]{0,4},? ?-?[0-9]{1,9}[ -]?[A-Z][a-z]{2}[ -]?[0-9]{1,6} [0-9:]{0,9} [-+]?[0-9A-Z]{1,6}"
        ),
    )
)
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Fri, 31 Dec 9999 23:59:59 -9999")
@example("Fri, 31 Dec 9999 23:59:59 +99999999999")
@example("Fri, 31 Dec 9999 23:59:59 +99999999999999999999")
@example("Fri, 31 Dec 99999999999999999999 23:59:59 GMT")
@settings(max_examples=500, derandomize=True)
def test_any_header_is_survived(value: str) -> None:
    seconds = read_retry_after(value)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
@settings(max_examples=200, derandomize=True)
def test_a_date_means_the_time_until_then(ahead: timedelta) -> None:
    moment = (NOW + ahead).replace(microsecond=0)
    expected = min(max((moment - NOW).total_seconds(), 0), MAX_RETRY_AFTER)
    assert read_retry_after(format_datetime(moment, usegmt=True), NOW) == expected


def test_without_a_time_given_a_date_is_held_against_now() -> None:
    assert read_retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1))) == MAX_RETRY_AFTER


# The budget.


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_client_has_twenty_retries_at_once_and_two_more_each_second() -> None:
    clock = Clock()
    budget = RetryBudget(clock=clock)
    assert [budget.spend() for _ in range(21)] == [True] * 20 + [False]
    clock.now += 1
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_each_step_of_a_call_has_its_deadline_and_the_whole_call_one() -> None:
    timeouts = Timeouts(connect=1.0, write=2.0, pool=4.0, read=8.0, send=16.0)
    steps, whole = deadlines_of(timeouts, CallKind.READ)
    assert (steps, whole) == ({"connect": 1.0, "write": 2.0, "pool": 4.0, "read": 8.0}, 11.0)
    # Every early time-out of a send makes an unknown.
    steps, whole = deadlines_of(timeouts, CallKind.SEND)
    assert (steps["read"], whole) == (16.0, 19.0)
    assert deadlines_of(timeouts, CallKind.VERIFY) == deadlines_of(timeouts, CallKind.READ)


def test_a_budget_is_spent_and_comes_back_with_time() -> None:
    clock = Clock()
    budget = RetryBudget(capacity=3, refill=0.5, clock=clock)
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    clock.now += 1.9
    assert not budget.spend()
    clock.now += 0.2
    assert [budget.spend(), budget.spend()] == [True, False]
    clock.now += 1_000_000
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


@given(
    st.lists(st.floats(min_value=0, max_value=30), min_size=1, max_size=60),
    st.integers(1, 10),
    st.floats(min_value=0.1, max_value=5),
)
@settings(max_examples=200, derandomize=True)
def test_no_span_sees_more_retries_than_the_bucket_and_its_refill(
    steps: list[float], capacity: int, refill: float
) -> None:
    clock = Clock()
    budget = RetryBudget(capacity=capacity, refill=refill, clock=clock)
    spent = 0
    for step in steps:
        clock.now += step
        spent += budget.spend()
        assert spent <= capacity + refill * (clock.now - 1000.0) + 1e-6


# Attempts.


def failure(attempts: int = 3, wait: float | None = 0.0) -> Failure:
    error = NotSentError("Nothing was sent.", outcome=Outcome.NOT_SENT)
    return Failure(error=error, attempts=attempts, wait=wait)


class Script:
    """An attempt that ends as written, and counts."""

    def __init__(self, *results: Envelope | Failure) -> None:
        self.results = list(results)
        self.calls = 0

    async def __call__(self) -> Envelope | Failure:
        self.calls += 1
        return self.results.pop(0)


@pytest.mark.parametrize(
    ("allowed", "attempts"),
    [([1], 1), ([2, 2, 2], 2), ([3, 3, 3], 3), ([3, 1, 3], 2), ([2, 3, 3], 3), ([3, 2, 3], 2)],
)
async def test_each_failure_says_how_many_attempts_there_are_in_all(
    allowed: list[int], attempts: int
) -> None:
    first, *rest = [failure(count) for count in allowed]
    script = Script(*rest)
    last = await again(first, script, RetryBudget())
    assert script.calls == attempts - 1
    assert last is [first, *rest][attempts - 1]


@pytest.mark.parametrize("at", [2, 3])
async def test_the_first_success_ends_it(at: int) -> None:
    script = Script(*[failure()] * (at - 2), SUCCESS, failure())
    assert await again(failure(), script, RetryBudget()) is SUCCESS
    assert script.calls == at - 1


async def test_never_more_than_three_whatever_a_failure_allows() -> None:
    script = Script(*[failure(99)] * 5)
    await again(failure(99), script, RetryBudget())
    assert script.calls == 2


async def test_an_empty_budget_ends_it_and_one_client_shares_it() -> None:
    budget = RetryBudget(capacity=3, clock=Clock())
    counts = []
    for _ in range(3):
        script = Script(failure(), failure())
        await again(failure(), script, budget)
        counts.append(script.calls)
    assert counts == [2, 1, 0]


async def test_the_wait_is_the_gateways_own_and_lasts_as_long() -> None:
    started = time.monotonic()
    await again(failure(2, wait=0.05), Script(SUCCESS), RetryBudget())
    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize(
    "error", [ValueError, ExceptionGroup("x", [ValueError()]), KeyboardInterrupt, SystemExit]
)
async def test_what_an_attempt_raises_is_never_tried_anew(error: BaseException | type[BaseException]) -> None:
    calls = 0

    async def once() -> Envelope | Failure:
        nonlocal calls
        calls += 1
        raise error

    expected = type(error) if isinstance(error, BaseException) else error
    with pytest.raises(expected):
        await again(failure(), once, RetryBudget())
    assert calls == 1


async def test_a_cancelled_attempt_is_never_tried_anew() -> None:
    calls = 0

    async def once() -> Envelope | Failure:
        nonlocal calls
        calls += 1
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.CancelScope() as scope:
        await again(failure(), once, RetryBudget())
    assert scope.cancelled_caught
    assert calls == 1


def test_asyncios_own_cancellation_is_never_swallowed() -> None:
    # A task that is cancelled once hears of it once: who swallows that goes on, and sends again.
    calls = 0

    async def main() -> None:
        under_way = asyncio.Event()

        async def once() -> Envelope | Failure:
            nonlocal calls
            calls += 1
            under_way.set()
            await asyncio.sleep(60 if calls == 1 else 0)
            return SUCCESS

        task = asyncio.create_task(again(failure(), once, RetryBudget()))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert calls == 1


async def test_a_cancelled_pause_is_left_at_once() -> None:
    script = Script(SUCCESS)
    with anyio.move_on_after(0.01) as scope:
        await again(failure(wait=60.0), script, RetryBudget())
    assert scope.cancelled_caught
    assert script.calls == 0


# The waits.


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that are waited between attempts; they pass at once."""
    waited: list[float] = []

    async def pass_time(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("vavasms.transport.retry.pause", pass_time)
    return waited


def test_the_wait_doubles_with_full_jitter() -> None:
    for attempt, longest in [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (8, 8.0)]:
        drawn = [backoff(attempt) for _ in range(400)]
        assert max(drawn) <= longest
        assert max(drawn) > 0.8 * longest
        assert min(drawn) < 0.2 * longest


async def test_where_no_delay_was_named_the_wait_grows_from_half_a_second(waits: list[float]) -> None:
    for _ in range(100):
        await again(failure(3, None), Script(failure(3, None), SUCCESS), RetryBudget())
    assert 0.4 < max(waits[::2]) <= 0.5
    assert 0.5 < max(waits[1::2]) <= 1.0


# 45 seconds: a READ that takes longer is of no use to whoever waits.
@pytest.mark.parametrize(("elapsed", "calls"), [(45.0, 1), (44.9, 2)])
async def test_no_attempt_begins_after_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, calls: int
) -> None:
    clock, made = Clock(), []

    async def pass_time(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("vavasms.transport.retry.monotonic", clock)
    monkeypatch.setattr("vavasms.transport.retry.pause", pass_time)

    async def once() -> Failure:
        clock.now += elapsed
        made.append(clock.now)
        return failure(3, 120.0)

    # What the gateway asked for does not count.
    await again(failure(3, 120.0), once, RetryBudget(clock=clock))
    assert len(made) == calls


async def test_a_refused_retry_costs_no_budget() -> None:
    budget = RetryBudget(capacity=1, clock=Clock())
    await again(failure(1), Script(), budget)
    assert budget.spend()
