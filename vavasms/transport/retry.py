"""Another attempt, where the outcome table allows one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

import anyio

from vavasms.config import Timeouts
from vavasms.transport.backoff import backoff
from vavasms.transport.outcome import ONCE, TWICE, Failure
from vavasms.wire.requests import CallKind
from vavasms.wire.responses import Envelope

#: The longest wait that a Retry-After can ask for, in seconds.
MAX_RETRY_AFTER = 120.0
#: Seconds after which no further attempt begins, waits asked for by the gateway not counted.
MAX_ELAPSED = 45.0


class RetryBudget:
    """A token bucket for retries, so that an outage does not triple the load; `refill` in tokens a second."""

    def __init__(
        self, *, capacity: float = 20.0, refill: float = 2.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._capacity, self._refill, self._clock = capacity, refill, clock
        self._tokens = capacity
        self._since = clock()

    def spend(self) -> bool:
        """Spend a token; return False where none is left."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._since) * self._refill)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


async def again(
    first: Failure, once: Callable[[], Awaitable[Envelope | Failure]], budget: RetryBudget
) -> Envelope | Failure:
    """Attempt anew after `first`, as often as each failure allows and thrice in all; return the last result.

    The first attempt is the caller's: what succeeds at once pays nothing for this. What an attempt raises is
    never tried anew: a send that was cancelled after its body left would leave a second time.
    """
    last, ends = first, monotonic() + MAX_ELAPSED
    for attempt in (ONCE, TWICE):
        if last.attempts <= attempt or monotonic() >= ends or not budget.spend():
            break
        if last.wait is None:
            await pause(backoff(attempt))
        else:
            ends += last.wait
            await pause(last.wait)
        result = await once()
        if isinstance(result, Envelope):
            return result
        last = result
    return last


async def pause(seconds: float) -> None:
    """Wait before the next attempt."""
    await anyio.sleep(seconds)


def read_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header, seconds or a date (RFC 9110, 10.2.3); None where it is nonsense."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def deadlines_of(timeouts: Timeouts, kind: CallKind) -> tuple[dict[str, float], float]:
    """Return httpx's timeouts, each for one read or write, and the deadline of the whole attempt; seconds."""
    reply = timeouts.send if kind is CallKind.SEND else timeouts.read
    steps = {"connect": timeouts.connect, "write": timeouts.write, "pool": timeouts.pool, "read": reply}
    return steps, timeouts.connect + timeouts.write + reply
