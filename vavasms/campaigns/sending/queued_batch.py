"""The way of one batch: its turn, the committed intent, one call, the committed outcome.

This is the protocol that keeps a campaign at most once; whoever decides which batch is next (the runner of
one machine, a worker among several) goes through here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from secrets import token_hex

import anyio
from attrs import define, field, frozen

from vavasms.bulk.breaker import CircuitBreaker
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.sending.balance_floor import RECHECK, BalanceFloor, BalanceReader
from vavasms.config import username_of
from vavasms.endpoints import Transport, send_text
from vavasms.errors import (
    GatewayError,
    InvalidInputError,
    Outcome,
    RateLimitedError,
    RejectedNumberError,
    ServerError,
    UnexpectedReplyError,
    VavaSMSError,
)
from vavasms.ledger.attempts import (
    call_once,
    describe_error,
    measure_age,
    name_reason,
    record_error,
    wait_after,
)
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import MAX_CLAIM_AGE
from vavasms.ledger.models import (
    LONGEST_DELAY,
    RESERVE_AHEAD,
    BatchRecord,
    Campaign,
    Claim,
    QueuedBatch,
)
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.states import BatchEvent
from vavasms.models import Lot
from vavasms.telemetry import TraceSpan, record_wait
from vavasms.transport.http import Attempt
from vavasms.wire.requests import draft_text

#: How often a batch that goes nowhere is tried before its campaign is paused.
MAX_TURNS = 5


OnWait = Callable[[float], object]


class SendStatus(Enum):
    """How a turn of a batch ended."""

    #: It has an outcome.
    SETTLED = "settled"
    #: Nothing was sent: it is queued again, or in halves.
    REQUEUED = "requeued"
    #: It could not be claimed: done, paused, taken, or not the time for it.
    NOT_CLAIMED = "not_claimed"


@frozen(kw_only=True)
class SendResult:
    """What a turn of a batch came to."""

    status: SendStatus
    #: What went wrong; None for a success and where nothing was tried.
    error: VavaSMSError | None = None
    #: Why the campaign should be paused; None where it may go on.
    stop: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether a reply was read."""
        if self.error is None:
            return self.status is SendStatus.SETTLED
        return isinstance(self.error, _REPLIES)


#: Errors that a reply ends in.
_REPLIES = (GatewayError, RateLimitedError, ServerError, UnexpectedReplyError)
_NOT_CLAIMED = SendResult(status=SendStatus.NOT_CLAIMED)


@define(kw_only=True)
class QueuedBatchSender:
    """The sender of one campaign's batches."""

    transport: Transport
    ledger: Ledger
    campaign: Campaign
    worker: str
    reader: BalanceReader
    #: Seconds since the epoch.
    clock: Callable[[], float]
    #: Set where no further batch is to be begun.
    stopping: anyio.Event
    pending: PendingWrites
    #: Called with the seconds that a batch waited for the rate, or since the gateway asked for a pause.
    on_wait: OnWait = lambda _seconds: None
    policy: Policy = field(init=False)
    balance: BalanceFloor = field(init=False)
    #: The gateway asked for a pause until then.
    _held_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.policy = load_policy(self.campaign.policy)
        self.balance = BalanceFloor(reader=self.reader, ledger=self.ledger, campaign=self.campaign)

    @property
    def is_open(self) -> bool:
        """Whether messages may leave at this hour."""
        return self.policy.is_open(self.clock())

    async def send(self, batch: QueuedBatch, answered: Callable[[], object] = lambda: None) -> SendResult:
        """Send a batch once; nothing is retried in here once it left.

        `answered` is called when the gateway has accepted it and that is about to be written: whatever is
        claimed from then on is committed with that outcome or after it, never before.
        """
        claim = await self._claim_in_turn(batch)
        if claim is None:
            return _NOT_CLAIMED
        age = measure_age(claim.at, self.clock)
        if age() > MAX_CLAIM_AGE:
            return await self._requeue(claim)
        return await self._send_claim(claim, age, answered)

    async def _claim_in_turn(self, batch: QueuedBatch) -> Claim | None:
        """Claim a batch at its turn; None where it cannot be claimed, or should not be now."""
        while await self._wait_for_turn(batch):
            if not self.is_open:
                # Nobody asks for a balance that pays for nothing: what it says could pause the campaign.
                await self._release_rate(batch)
                return None
            async with self.balance.reserve(batch, self.policy, self.stopping) as is_paid:
                claim = await self._claim(batch.number) if is_paid and self.is_open else None
            if claim is None:
                await self._release_rate(batch)
            if is_paid or not self.is_open:
                return claim
            # Its turn is over: those that wait for the balance must not leave all at once.
            await self._pause(RECHECK)
        return None

    async def _wait_for_turn(self, batch: QueuedBatch) -> bool:
        """Wait for the rate, before the claim: nothing is `sending` meanwhile. False where stopped."""
        # Bounded: a clock that was put back must not make a pause of seconds one of hours.
        wait = min(max(self._held_until - self.clock(), 0.0), LONGEST_DELAY)
        rate_wait = await self._reserve(batch)
        while rate_wait > RESERVE_AHEAD and not self.stopping.is_set():
            # Nothing was taken: what is waited for could be spent by nobody else.
            await self._wait(rate_wait - RESERVE_AHEAD)
            rate_wait = await self._reserve(batch)
        await self._wait(max(wait, rate_wait))
        if self.stopping.is_set() and rate_wait <= RESERVE_AHEAD:
            await self._release_rate(batch)
        return not self.stopping.is_set()

    async def _reserve(self, batch: QueuedBatch) -> float:
        if self.policy.rate is None:
            return 0.0
        return await self.ledger.reserve(
            self.campaign.account, batch.messages, rate=self.policy.rate, now=self.clock()
        )

    async def _wait(self, seconds: float) -> None:
        """Pause, and report for how long."""
        if seconds > 0:
            began = time.monotonic()
            await self._pause(seconds)
            waited = time.monotonic() - began
            record_wait(waited)
            self.on_wait(waited)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self.stopping.wait()

    async def _release_rate(self, batch: QueuedBatch) -> None:
        """Return the room in the rate that was reserved and is not used."""
        if self.policy.rate is not None:
            await self.ledger.release(self.campaign.account, batch.messages, rate=self.policy.rate)

    async def _claim(self, number: int) -> Claim | None:
        token = token_hex(16)
        try:
            return await self.ledger.claim(
                self.campaign.id,
                number,
                token=token,
                worker=self.worker,
                now=self.clock(),
                balance=self.reader.latest,
                revision=self.campaign.revision,
            )
        except BaseException:
            # The commit may have happened; its answer is lost, so nothing is sent on the strength of it.
            with suppress(VavaSMSError):
                await self.pending.write_or_defer(
                    lambda: self.ledger.abandon(self.campaign.id, number, token)
                )
            raise

    async def _send_claim(
        self, claim: Claim, age: Callable[[], float], answered: Callable[[], object]
    ) -> SendResult:
        size, about = len(claim.recipients), {"campaign.id": claim.campaign_id}
        counts = {"recipients": size, "segments": claim.segments * size}
        with TraceSpan("vavasms.batch", {**about, **counts}, campaign_id=claim.campaign_id) as span:
            result = await self._carry(claim, age, answered)
            outcome = Outcome.ACCEPTED if result.error is None else result.error.outcome
            span.settle((outcome or Outcome.UNKNOWN).value, result.error)
            return result

    async def _carry(
        self, claim: Claim, age: Callable[[], float], answered: Callable[[], object]
    ) -> SendResult:
        async def call(attempt: Attempt) -> Lot:
            username = username_of(self.campaign.account)
            draft = draft_text(claim.message, self.campaign.sender_id, username=username)
            return await send_text(self.transport, draft, claim.recipients, attempt)

        lot = await call_once(call, age=age, settle=partial(self._settle, claim))
        if isinstance(lot, VavaSMSError):
            # No sign of an answer here: the next batch is begun only once it is known what this error means.
            return await self._settle_error(claim, lot)
        answered()
        record = BatchRecord(lot_id=lot.lot_id, message_ids=lot.message_ids)
        await self._settle(claim, BatchEvent.ACCEPT, record)
        return SendResult(status=SendStatus.SETTLED)

    async def _settle_error(self, claim: Claim, error: VavaSMSError) -> SendResult:
        """Do what the outcome table says of this error."""
        if error.outcome is Outcome.REJECTED and error.halts:
            # The account is refused, not these numbers: they are sent to once it is mended.
            return await self._requeue(claim, error)
        if error.outcome is Outcome.REJECTED:
            if isinstance(error, RejectedNumberError) and len(claim.recipients) > 1:
                await self.pending.write_or_defer(lambda: self.ledger.split(claim))
                return SendResult(status=SendStatus.REQUEUED, error=error)
            await self._settle(claim, BatchEvent.REJECT, record_error(error))
        elif error.outcome is Outcome.NOT_SENT:
            return await self._requeue(claim, error)
        else:
            await self._settle(claim, BatchEvent.MARK_UNKNOWN, record_error(error))
        return SendResult(
            status=SendStatus.SETTLED, error=error, stop=describe_error(error) if error.halts else None
        )

    async def _requeue(self, claim: Claim, error: VavaSMSError | None = None) -> SendResult:
        wait = wait_after(claim.attempt, error)
        if isinstance(error, RateLimitedError):
            self._held_until = max(self._held_until, self.clock() + wait)
        record, due = BatchRecord(), self.clock() + wait
        await self.pending.write_or_defer(
            lambda: self.ledger.settle(claim, BatchEvent.REQUEUE, record, not_before=due)
        )
        # After the outcome: a ledger that fails here must not leave the batch as being sent.
        if isinstance(error, RateLimitedError):
            await self.ledger.hold(self.campaign.account, self._held_until, now=self.clock())
        tired = claim.attempt >= MAX_TURNS
        hopeless = error is not None and (error.halts or isinstance(error, InvalidInputError))
        stop = describe_error(error) if error is not None and (tired or hopeless) else None
        return SendResult(status=SendStatus.REQUEUED, error=error, stop=stop)

    async def _settle(self, claim: Claim, event: BatchEvent, record: BatchRecord) -> None:
        await self.pending.write_or_defer(lambda: self.ledger.settle(claim, event, record))
        self.balance.answered(claim.number)


def stop_reason(breaker: CircuitBreaker, result: SendResult) -> str | None:
    """Return why every further batch would fare like this one; None where that need not be.

    `breaker` is told of each batch in the order they settle; it keeps the error that stopped it.
    """
    if result.status is SendStatus.NOT_CLAIMED:
        return None
    halted = breaker.record(result.error)
    stop = result.stop
    if stop is None and halted and result.error is not None:
        stop = name_reason(result.error)
    if stop is not None:
        breaker.cause = breaker.cause or result.error
    return stop
