"""One batch on its way to the gateway: its turn, its attempts, and what became of it."""

from __future__ import annotations

import time

import anyio

from vavasms.bulk.breaker import CircuitBreaker
from vavasms.bulk.models import Batch, BatchResult
from vavasms.bulk.rate_limit import RateLimiter
from vavasms.endpoints import Transport, send_text
from vavasms.errors import (
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    VavaSMSError,
)
from vavasms.i18n import gettext as _
from vavasms.transport.http import Attempt
from vavasms.wire.requests import TextDraft

#: How often a batch that the gateway turns away unprocessed is tried.
MAX_TURNED_AWAY = 5


class BatchSender:
    """Send batches of one text, each when the rate limiter has room for it."""

    def __init__(
        self,
        *,
        transport: Transport,
        draft: TextDraft,
        rate_limiter: RateLimiter,
        breaker: CircuitBreaker,
        closing: anyio.Event,
        cleared: anyio.Event,
    ) -> None:
        self._transport, self._draft = transport, draft
        #: Shared by all batches, as is the breaker.
        self._rate_limiter = rate_limiter
        self._breaker = breaker
        #: Set once nothing more is to be sent.
        self._closing = closing
        #: Set once the first batch may leave.
        self._cleared = cleared

    async def send(self, number: int, batch: Batch, attempt: Attempt) -> BatchResult:
        """Wait for its turn, send it, and again where the gateway turned it away unprocessed."""
        error: VavaSMSError
        for turn in range(MAX_TURNED_AWAY):
            if not await self._may_send(len(batch)):
                return untried(number, batch, self._breaker)
            try:
                lot = await send_text(self._transport, self._draft, batch, attempt)
                return BatchResult(recipients=batch, outcome=Outcome.ACCEPTED, lot=lot, number=number)
            except VavaSMSError as caught:
                # A report must not keep frames alive, nor what stands in them.
                error = caught.with_traceback(None)
            if not (isinstance(error, RateLimitedError) and error.safe_to_retry):
                break
            self._rate_limiter.hold(error.retry_after, turn, time.monotonic())
            attempt.forget()
        return BatchResult(
            recipients=batch, outcome=error.outcome or Outcome.UNKNOWN, error=error, number=number
        )

    async def _may_send(self, messages: int) -> bool:
        """Wait for this batch's turn; False where sending was stopped in the meantime."""
        await self._cleared.wait()
        wait = self._rate_limiter.reserve(messages, time.monotonic())
        while wait > 0 and not self._closing.is_set():
            with anyio.move_on_after(wait):
                await self._closing.wait()
            now = time.monotonic()
            # The gateway may have asked for a pause in the meantime.
            wait = self._rate_limiter.reserve(messages, now) if self._rate_limiter.held(now) else 0.0
        return not self._closing.is_set()


def untried(number: int, batch: Batch, breaker: CircuitBreaker) -> BatchResult:
    """Build the result of a batch that nobody tried to send."""
    return BatchResult(recipients=batch, outcome=Outcome.NOT_SENT, error=breaker.not_sent(), number=number)


def is_refused_as_a_whole(result: BatchResult) -> bool:
    """Return whether a lot was refused for one of its numbers, and the owner knows that none went out."""
    refused = isinstance(result.error, RejectedNumberError) and result.outcome is Outcome.REJECTED
    return refused and len(result.recipients) > 1


def interrupted(number: int, batch: Batch, outcome: Outcome) -> BatchResult:
    """Build the result of a batch whose sending was cancelled, or broken off by a fault."""
    error: VavaSMSError
    if outcome is Outcome.NOT_SENT:
        text = _("Nothing was sent: the send was interrupted before.")
        error = NotSentError(text, error_code="not_sent.interrupted", outcome=outcome)
    else:
        text = _("The send was interrupted after the request had left: look before sending again.")
        error = OutcomeUnknownError(text, error_code="outcome.unknown.interrupted", outcome=outcome)
    return BatchResult(recipients=batch, outcome=outcome, error=error, number=number)
