"""`OutboxWorker`: sends what was enqueued in a ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from inspect import iscoroutinefunction
from secrets import token_hex

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from vavasms.config import misconfigured, username_of
from vavasms.endpoints import HasAccount, send_text
from vavasms.errors import (
    InvalidInputError,
    LedgerError,
    Outcome,
    RateLimitedError,
    VavaSMSError,
    name_error,
)
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.attempts import call_once, error_event, measure_age, record_error, wait_after
from vavasms.ledger.base import Ledger, check_open
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.leases import MAX_CLAIM_AGE, check_timeouts
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import SendClaim
from vavasms.ledger.states import BatchEvent
from vavasms.models import Lot
from vavasms.sends.sender import note_accepted, record_answer
from vavasms.tracebacks import hide_frames_async
from vavasms.transport.hooks import await_hook, check_hook
from vavasms.transport.http import Attempt
from vavasms.wire.requests import draft_text

#: Sends under way at once.
SLOTS = 8
#: Seconds between two looks for what is due, and between two rounds of what is done beside.
POLL, _MAINTENANCE = 0.25, 5.0
#: Seconds without a send after the gateway refused the account: every other one would fare alike.
REFUSED_PAUSE = 60.0
#: Seconds after which whoever settled a send is not expected to report it any more.
_REPORTED_WITHIN = 60.0
#: Calls of `on_send` under way at once, and outcomes that wait for one; what is more waits in the ledger.
_REPORTS, _MAX_REPORTS = 8, 1_000
#: Seconds that these have after `stop`. What is cut off is told again, by whoever works next.
_REPORT_GRACE = 5.0

logger = logging.getLogger("vavasms")

OnSend = Callable[[SendRecord], object]


class OutboxWorker:
    """A worker that sends what was enqueued for an account, beside any number of others.

    `ledger` is open: a file's for processes of this machine, PostgreSQL's for any. A `CampaignWorker` and a
    running `CampaignRunner` have one of these; with no campaigns it works alone. `on_send`, plain or async,
    is called with the `SendRecord` of each outcome, beside the sending: once, and again where its process
    died in between, or where it is cut off, 5 seconds after `stop`. Several workers may each tell of what a
    dead one left.

    What was not sent is tried again, later each time, `MAX_ATTEMPTS` times in all; what is unknown never.
    """

    def __init__(
        self,
        client: HasAccount,
        ledger: Ledger,
        *,
        on_send: OnSend | None = None,
        rate: Callable[[], float | None] = lambda: None,
        pending: PendingWrites | None = None,
    ) -> None:
        check_open(ledger)
        self._account = client.account
        if ledger.is_shared:
            check_timeouts(self._account.timeouts)
        self._ledger, self._store = ledger, ledger.sends
        self._on_send = on_send if iscoroutinefunction(on_send) else check_hook("on_send", on_send)
        #: The messages a second that a campaign of the account is held to: what is sent here counts for it.
        self._rate = rate
        self._clock = SharedClock()
        self._pending = PendingWrites() if pending is None else pending
        #: What was lent is its owner's to give up.
        self._gives_up = pending is None
        self._slots = anyio.Semaphore(SLOTS)
        self._report_slots = anyio.Semaphore(_REPORTS)
        #: The keys of what is being told, or waits for it, or was told and is still to be noted.
        self._reporting: set[str] = set()
        self._unnoted: dict[str, SendRecord] = {}
        self._reports: TaskGroup
        self._stopping = anyio.Event()
        self._held_until = 0.0

    def stop(self) -> None:
        """Begin nothing further; `run` returns once what is under way is settled."""
        self._stopping.set()

    @hide_frames_async
    async def run(self) -> None:
        """Work until `stop`, through outages of the ledger; settle what is under way before returning.

        A cancellation cuts off what is under way: it is unknown where it had left. Raises `LedgerError` where
        the ledger cannot be reached to begin with.
        """
        await self._set_clock()
        await self._store.serve(self._account.name)
        async with self.running():
            await self._stopping.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work beside what the block does; after it settle what is under way."""
        problem: Exception | None = None
        try:
            async with anyio.create_task_group() as self._reports:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._maintain)
                    tasks.start_soon(self._work, tasks)
                    try:
                        yield
                    except Exception as error:  # noqa: BLE001  raised below, by itself and not in a group
                        problem = error
                    finally:
                        self.stop()
                self._reports.cancel_scope.deadline = anyio.current_time() + _REPORT_GRACE
        finally:
            with anyio.CancelScope(shield=True):
                await (self._pending.drain() if self._gives_up else self._pending.retry())
        if problem is not None:
            raise problem

    async def _set_clock(self) -> None:
        if self._ledger.is_shared:
            await self._clock.ask(self._ledger.now)

    async def _work(self, tasks: TaskGroup) -> None:
        while not self._stopping.is_set():
            begun = 0
            try:
                if time.monotonic() >= self._held_until:
                    begun = await self._begin_due(tasks)
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("The outbox waits for its ledger (%s)."), name_error(error))
                await self._pause(1.0)
            if not begun:
                await self._pause(POLL)

    async def _begin_due(self, tasks: TaskGroup) -> int:
        """Claim what is due and begin to send it, as much as there is room for; return how much."""
        free = self._slots.value
        if not free:
            return 0
        claims = await self._claim_due(free)
        for claim in claims:
            self._slots.acquire_nowait()
            tasks.start_soon(self._send, claim, measure_age(claim.at, self._clock))
        return len(claims)

    async def _claim_due(self, limit: int) -> list[SendClaim]:
        account, token = self._account.name, token_hex(16)
        try:
            return [*await self._store.claim_due(account, token=token, now=self._clock(), limit=limit)]
        except BaseException:
            # The commit may have happened; its answer is lost, so nothing is sent on the strength of it.
            with suppress(LedgerError):
                await self._pending.write_or_defer(
                    lambda: self._store.abandon_due(account, token, limit=limit),
                    lambda: self._store.give_up(*(f"{token}-{number}" for number in range(limit))),
                )
            raise

    async def _send(self, claim: SendClaim, age: Callable[[], float]) -> None:
        async def call(attempt: Attempt) -> Lot:
            sender_id = claim.sender_id or self._account.sender_id
            if sender_id is None:
                raise misconfigured(
                    _("No sender ID: neither the send nor its worker has one."), "sender_id.missing"
                )
            draft = draft_text(claim.text, sender_id, username=username_of(self._account.name))
            return await send_text(self._account.transport, draft, claim.recipients, attempt)

        try:
            if self._ledger.is_shared and age() > MAX_CLAIM_AGE:
                # Others go by the age of a claim: what the ledger took too long for is begun anew.
                await self._settle(claim, BatchEvent.REQUEUE, BatchRecord(), due=0.0)
                return
            answer = await call_once(call, age=age, settle=partial(self._settle, claim, due=0.0))
            await self._settle_answer(claim, answer)
            # Begun in a group that is cut off, a report goes round in circles until the last write is done.
            await checkpoint_if_cancelled()
            self._report_soon([claim.key])
        except LedgerError as error:
            logger.warning(N_("The outcome of a send could not be written yet: %s"), error.english)
        except Exception as error:  # noqa: BLE001  raised, it would cut off what else is under way
            logger.warning(
                N_("An enqueued send failed by a fault of the worker's own (%s)."), name_error(error)
            )
        finally:
            self._slots.release()

    async def _settle_answer(self, claim: SendClaim, answer: Lot | VavaSMSError) -> None:
        if isinstance(answer, Lot):
            record = record_answer(answer)
            await self._settle(claim, BatchEvent.ACCEPT, record, due=0.0)
            note_accepted(claim, record)
            with suppress(LedgerError):
                await self._count_for_rate(claim)
            return
        # The account is refused, not this message: it is sent once that is mended.
        refused = _is_refused(answer)
        event = BatchEvent.REQUEUE if refused and answer.outcome is Outcome.REJECTED else error_event(answer)
        wait = wait_after(claim.attempt, answer)
        # By a clock that nobody sets.
        if refused:
            self._held_until = time.monotonic() + REFUSED_PAUSE
        elif isinstance(answer, RateLimitedError):
            self._held_until = time.monotonic() + wait
        await self._settle(claim, event, record_error(answer), due=self._clock() + wait)

    async def _settle(self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, due: float) -> None:
        await self._pending.write_or_defer(
            lambda: self._store.settle(claim, event, record, now=self._clock(), not_before=due),
            lambda: self._store.give_up(claim.token),
        )

    async def _count_for_rate(self, claim: SendClaim) -> None:
        """Take it off the rate of the account's campaigns, without waiting for it: they wait instead."""
        rate = self._rate()
        if rate is not None:
            await self._ledger.reserve(
                self._account.name, len(claim.recipients), rate=rate, now=self._clock()
            )

    async def _maintain(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._set_clock()
                await self._pending.flush()
                await self._store.reap(now=self._clock())
                await self._note_told()
                await self._report_left()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("The outbox waits for its ledger (%s)."), name_error(error))
            await self._pause(_MAINTENANCE)

    async def _report_left(self) -> None:
        """Report what a process did not that died, and what became of a send without a worker."""
        if self._on_send is None:
            return
        before = self._clock() - _REPORTED_WITHIN
        limit = 100 + len(self._reporting)
        records = await self._store.untold(self._account.name, before=before, limit=limit)
        self._report_soon(record.key for record in records)

    def _report_soon(self, keys: Iterable[str]) -> None:
        """Begin to tell of these beside the sending, of each once at a time."""
        if self._on_send is None:
            return
        for key in keys:
            if key not in self._reporting and len(self._reporting) < _MAX_REPORTS:
                self._reporting.add(key)
                self._reports.start_soon(self._report, key)

    async def _report(self, key: str) -> None:
        try:
            async with self._report_slots:
                record = await self._store.find(self._account.name, key)
                if record is not None and record.outcome is not None and self._on_send is not None:
                    warning = N_("Whoever was told of a send's outcome failed (%s).")
                    await await_hook(partial(self._on_send, record), warning)
                    self._unnoted[key] = record
                    await self._note(record)
        except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
            logger.warning(N_("The outbox waits for its ledger (%s)."), name_error(error))
        finally:
            # What was told and could not be noted is not told again meanwhile.
            if key not in self._unnoted:
                self._reporting.discard(key)

    async def _note_told(self) -> None:
        """Note what was told while the ledger took no write."""
        for key, record in [*self._unnoted.items()]:
            await self._note(record)
            self._reporting.discard(key)

    async def _note(self, record: SendRecord) -> None:
        # Cut off, it would be told again.
        with anyio.CancelScope(shield=True):
            await self._store.note_told(record)
        self._unnoted.pop(record.key, None)

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopping.wait()


def _is_refused(error: VavaSMSError) -> bool:
    """Return whether every other send would be refused alike: the account, not the message."""
    return error.halts and not isinstance(error, InvalidInputError)
