"""What stops a campaign: an error that would befall every further batch."""

from __future__ import annotations

from vavasms.bulk.breaker import CircuitBreaker
from vavasms.campaigns.sending.queued_batch import SendResult, SendStatus
from vavasms.errors import VavaSMSError


def stop_reason(halt: CircuitBreaker, carried: SendResult) -> str | None:
    """Give why every further batch would fare like this one; None where that need not be.

    `halt` is told of each batch in the order they settle; it keeps the error that stopped it.
    """
    if carried.way is SendStatus.NOT_CLAIMED:
        return None
    halted = halt.watch(carried.error)
    stop = carried.stop
    if stop is None and halted and carried.error is not None:
        stop = name_reason(carried.error)
    if stop is not None:
        halt.cause = halt.cause or carried.error
    return stop


def name_reason(error: VavaSMSError) -> str:
    """Return an error as the reason of a pause."""
    return f"{type(error).__name__}: {error}"
