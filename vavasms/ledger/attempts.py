"""One call on the strength of a claim, and what it came to, for batches and single sends alike."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vavasms.errors import GatewayError, Outcome, OutcomeUnknownError, RateLimitedError, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.ledger.leases import SEND_DEADLINE
from vavasms.ledger.models import LONGEST_DELAY, BatchRecord
from vavasms.ledger.states import BatchEvent
from vavasms.transport.backoff import backoff
from vavasms.transport.http import Attempt

T = TypeVar("T")

#: What TX2 writes.
Settle = Callable[[BatchEvent, BatchRecord], Awaitable[object]]


def measure_age(claimed_at: float, clock: Callable[[], float]) -> Callable[[], float]:
    """Return a measure of the seconds since a claim, by two clocks: one may be set back, one sleep."""
    returned = time.monotonic()
    return lambda: max(clock() - claimed_at, time.monotonic() - returned)


async def call_once(
    call: Callable[[Attempt], Awaitable[T]], *, age: Callable[[], float], settle: Settle
) -> T | VavaSMSError:
    """Make a call and return its result or its error; settle it here only where it was interrupted.

    Nothing is retried in here once it left.
    """
    # A machine may sleep between any two steps: what was resent meanwhile must not leave once more.
    attempt = Attempt(may_leave=lambda: age() < SEND_DEADLINE)
    try:
        return await call(attempt)
    except VavaSMSError as caught:
        # Neither frames nor what stands in them.
        return caught.with_traceback(None)
    except BaseException as interrupt:
        # Cancelled, or a fault of our own: the body knows how far it came.
        await settle(*_interrupted(attempt.outcome, type(interrupt).__name__))
        raise


def _interrupted(outcome: Outcome, name: str) -> tuple[BatchEvent, BatchRecord]:
    if outcome is not Outcome.UNKNOWN:
        return BatchEvent.REQUEUE, BatchRecord()
    error = OutcomeUnknownError(
        _("It was interrupted ({name}) while it was being sent.", name=name),
        error_code="outcome.unknown.interrupted",
    )
    return BatchEvent.MARK_UNKNOWN, record_error(error)


def error_event(error: VavaSMSError) -> BatchEvent:
    """Return what an error does to what was claimed (the outcome table)."""
    if error.outcome is Outcome.REJECTED:
        return BatchEvent.REJECT
    return BatchEvent.REQUEUE if error.outcome is Outcome.NOT_SENT else BatchEvent.MARK_UNKNOWN


def record_error(error: VavaSMSError) -> BatchRecord:
    """Return what a ledger keeps of an error."""
    return BatchRecord(error=describe_error(error), code=error.error_code)


def describe_error(error: VavaSMSError) -> str:
    """Return an error as a ledger writes it: its type, its English sentence, the gateway's own words."""
    description = error.description if isinstance(error, GatewayError) else None
    added = f" ({description})" if description and description not in error.english else ""
    return f"{name_reason(error)}{added}"


def name_reason(error: VavaSMSError) -> str:
    """Return an error as the reason of a pause, in English."""
    return f"{type(error).__name__}: {error.english}"


def wait_after(attempt: int, error: VavaSMSError | None) -> float:
    """Return the seconds before the next attempt; none for what was merely late."""
    if error is None:
        return 0.0
    retry_after = error.retry_after if isinstance(error, RateLimitedError) else None
    return backoff(attempt) if retry_after is None else min(retry_after, LONGEST_DELAY)
