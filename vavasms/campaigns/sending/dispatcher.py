"""Which batch is next: hand the queued batches of a campaign to their sender, so many at once."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from vavasms.bulk.breaker import CircuitBreaker
from vavasms.campaigns.sending.queued_batch import QueuedBatchSender, SendResult, stop_reason
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.attempts import name_reason
from vavasms.ledger.models import QueuedBatch
from vavasms.ledger.states import CampaignState

#: Batches looked up at once.
_PAGE = 256
#: Seconds after which a wait is broken to see whether somebody paused the campaign meanwhile.
_STATE_CHECK_SECONDS = 5.0
_RETRY_SECONDS = 0.05
#: Kept in the ledger, as a reason.
INTERRUPTED = N_("interrupted")


@define(kw_only=True)
class Dispatcher:
    """The dispatcher of one campaign's batches."""

    sender: QueuedBatchSender
    #: The most calls the transport can have under way.
    slots: int
    breaker: CircuitBreaker = field(factory=CircuitBreaker)
    #: Why the campaign is to be paused; None where it is not.
    reason: str | None = field(default=None, init=False)
    #: By their numbers.
    _in_flight: set[int] = field(factory=set, init=False)
    _settled: anyio.Event = field(factory=anyio.Event, init=False)
    #: An error of the ledger's: nothing is begun after it.
    _failure: Exception | None = field(default=None, init=False)
    #: The balance was read before the first batch; a batch was answered. Until then one goes at a time.
    _is_balance_read: bool = field(default=False, init=False)
    _is_answered: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Send until nothing is queued or somebody stopped it; settle what is in flight before returning.

        Raises the `LedgerError` that ended it.
        """
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(self._watch_state)
            async with anyio.create_task_group() as tasks:
                try:
                    await self._dispatch(tasks)
                except Exception as error:  # noqa: BLE001  raised below: it must not cancel what is in flight
                    self._fail(error)
            watchers.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        if self.sender.stopping.is_set() and self.reason is None:
            self.reason = INTERRUPTED

    async def _watch_state(self) -> None:
        """Break whatever is waited for once somebody else paused or cancelled the campaign."""
        try:
            while not self._ended and await self._is_running():
                await self._pause(_STATE_CHECK_SECONDS)
        except Exception as error:  # noqa: BLE001  the ledger's: raised once all is settled
            self._fail(error)
        self.sender.stopping.set()

    async def _dispatch(self, tasks: TaskGroup) -> None:
        limiter = anyio.CapacityLimiter(min(self.sender.policy.concurrency, self.slots))
        is_unfinished = True
        while is_unfinished and not self._ended and await self._is_running():
            is_unfinished = await self._dispatch_queued(tasks, limiter)

    @property
    def _ended(self) -> bool:
        return self.sender.stopping.is_set() or self._failure is not None

    async def _dispatch_queued(self, tasks: TaskGroup, limiter: anyio.CapacityLimiter) -> bool:
        """Begin what is queued, from the first to the last; False where nothing is left to wait for."""
        after, due = -1, float("inf")
        sender = self.sender
        while not self._ended:
            await self._wait_for_window()
            page = await sender.ledger.queued(sender.campaign.id, after=after, limit=_PAGE)
            if not page:
                break
            for batch in page:
                after = batch.number
                if not batch.is_due(sender.clock()):
                    due = min(due, batch.not_before)
                elif batch.number not in self._in_flight and not await self._start(batch, tasks, limiter):
                    return not self._ended
        return await self._wait_for_more(due)

    async def _start(self, batch: QueuedBatch, tasks: TaskGroup, limiter: anyio.CapacityLimiter) -> bool:
        """Start a batch once there is a slot; False where its campaign is to be looked at first."""
        if not self._is_answered:
            await self._await_first_answer()
        slot = object()
        await limiter.acquire_on_behalf_of(slot)
        if self._ended:
            limiter.release_on_behalf_of(slot)
            return False
        self._in_flight.add(batch.number)
        tasks.start_soon(self._send, batch, limiter, slot)
        return True

    async def _await_first_answer(self) -> None:
        """Read the balance before the first batch, and let nothing go beside it until there is an answer.

        A wrong address costs nothing then, and a gateway that answers nonsense one unknown batch.
        """
        if not self._is_balance_read:
            error = await self.sender.reader.look_ahead(self.sender.stopping)
            self._is_balance_read = True
            if error is not None:
                self.breaker.end_early(error)
                self._stop(name_reason(error))
        while self._in_flight and not (self._is_answered or self._ended):
            await self._wait_for_settled()

    async def _send(self, batch: QueuedBatch, limiter: anyio.CapacityLimiter, slot: object) -> None:
        release = partial(_release_slot, limiter, slot)

        def answered() -> None:
            self._is_answered = True
            release()
            self._settled.set()

        try:
            # The slot goes to the next batch as soon as there is an answer: both commits are then one.
            self._record_result(await self.sender.send(batch, answered))
        except Exception as error:  # noqa: BLE001  the ledger's, or a fault of our own: raised once all is settled
            self._fail(error)
        finally:
            release()
            self._in_flight.remove(batch.number)
            self._settled.set()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.sender.stopping.set()

    def _record_result(self, result: SendResult) -> None:
        """Stop where every further batch would fare alike."""
        self._is_answered = self._is_answered or result.is_answered
        stop = stop_reason(self.breaker, result)
        if stop is not None:
            self._stop(stop)

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.sender.stopping.set()

    async def _wait_for_window(self) -> None:
        """Wait for the hours in which sending is allowed, as long as the campaign runs.

        The ledger is not asked: `_watch_state` does that, whatever is waited for. The clock is, now and then:
        it may be set meanwhile, and a machine that was asleep wakes late.
        """
        policy, clock = self.sender.policy, self.sender.clock
        while not (policy.is_open(clock()) or self._ended):
            await self._pause(policy.opens_at(clock()) - clock())

    async def _wait_for_more(self, due: float) -> bool:
        """Wait for a batch in flight, which may come back, or for one that is not due yet."""
        if self._in_flight:
            await self._wait_for_settled()
            return True
        if due == float("inf"):
            # What could not be claimed a moment ago is queued still: the window closed, or a clock jumped.
            await self._pause(_RETRY_SECONDS)
            return bool(await self.sender.ledger.queued(self.sender.campaign.id, after=-1, limit=1))
        await self._pause(due - self.sender.clock())
        return True

    async def _wait_for_settled(self) -> None:
        if self._in_flight:
            self._settled = anyio.Event()
            with anyio.move_on_after(_STATE_CHECK_SECONDS):
                await self._settled.wait()

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(min(max(seconds, 0.0), _STATE_CHECK_SECONDS)):
            await self.sender.stopping.wait()

    async def _is_running(self) -> bool:
        """Return whether it runs, by the limits that are kept here: they may change while it is paused."""
        ours = self.sender.campaign
        campaign = await self.sender.ledger.campaign(ours.id)
        return campaign.state is CampaignState.RUNNING and campaign.revision == ours.revision


def _release_slot(limiter: anyio.CapacityLimiter, slot: object) -> None:
    """Release a slot; once more is no fault."""
    with suppress(RuntimeError):
        limiter.release_on_behalf_of(slot)
