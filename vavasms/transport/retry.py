"""Another attempt, where the outcome table allows one."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import define, field

from vavasms.transport.outcome import THRICE, Failure
from vavasms.wire.replies import Envelope

logger = logging.getLogger("vavasms")

#: The longest wait that a Retry-After can ask for, in seconds.
MAX_RETRY_AFTER = 120.0
#: Seconds after which no further attempt begins, waits asked for by the gateway not counted.
MAX_ELAPSED = 45.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0


@define
class RetryBudget:
    """A token bucket for retries, so that an outage does not triple the load."""

    capacity: float = 20.0
    #: Tokens a second.
    refill: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(init=False)
    _since: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.capacity
        self._since = self.clock()

    def spend(self) -> bool:
        """Take a token; False where none is left."""
        now = self.clock()
        self._tokens = min(self.capacity, self._tokens + (now - self._since) * self.refill)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@define
class _Pace:
    """Decide on another attempt and its delay, as stamina's backoff hook."""

    failure: Failure
    budget: RetryBudget
    started: float = field(factory=time.monotonic)
    attempt: int = 1
    waited: float = 0.0

    def __call__(self, _: Exception) -> bool | float:
        late = time.monotonic() - self.started - self.waited >= MAX_ELAPSED
        if self.attempt >= self.failure.attempts or late or not self.budget.spend():
            return False
        wait = self.failure.wait
        if wait is None:
            # Full jitter: clients that failed together must not come back together.
            wait = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (self.attempt - 1)))  # noqa: S311
        else:
            self.waited += wait
        self.attempt += 1
        return wait


async def again(
    first: Failure, once: Callable[[], Awaitable[Envelope | Failure]], budget: RetryBudget
) -> Envelope | Failure:
    """Attempt anew after `first`, as often as each failure allows; give the last result.

    The first attempt is the caller's: what succeeds at once pays nothing for this.
    """
    import stamina  # rarely needed: an import that no start of a program should pay for

    pace = _Pace(failure=first, budget=budget)
    last = first
    attempts = aiter(stamina.retry_context(on=pace, attempts=THRICE, timeout=None))
    while True:
        try:
            attempt = await anext(attempts)
        except _AgainError:
            return last
        except Exception as error:  # noqa: BLE001  a hook of stamina's, which is the whole program's
            logger.warning("A retry hook failed (%s); not retried.", type(error).__name__)
            return last
        # Outside of `with attempt`, which swallows whatever comes, a cancellation too, to try anew: a
        # send that was cancelled after its body left would leave a second time.
        if attempt.num > 1:
            result = await once()
            if isinstance(result, Envelope):
                return result
            pace.failure = last = result
        with attempt:
            raise _AgainError


class _AgainError(Exception):
    """Carries nothing: stamina's instrumentation sees it, and it must not see a request."""


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
