"""The way of one single send: the committed intent, one call, the committed outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import TypeVar

import anyio
from attrs import define, field

from vavasms.errors import (
    ConfigurationError,
    InvalidInputError,
    LedgerError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    SendInProgressError,
    VavaSMSError,
)
from vavasms.forks import Process
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.attempts import call_once, error_event, measure_age, record_error
from vavasms.ledger.base import Ledger
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.leases import MAX_CLAIM_AGE
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.send_rows import FORGET_AT_ONCE, FORGET_EVERY
from vavasms.ledger.sends import NewSend, SendClaim, SendStore
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.models import Lot, OtpReceipt
from vavasms.transport.http import Attempt

AnswerT = TypeVar("AnswerT", Lot, OtpReceipt)

#: Called with the key of what was accepted and its message ids.
Watcher = Callable[[str, tuple[str, ...]], object]
_watchers: list[Watcher] = []

#: Seconds between two looks at what another call has under way, from the first to the later ones, and after
#: which it is asked whether whoever has it lives.
_FIRST_LOOK, _LAST_LOOK, _ASK_EVERY = 0.02, 0.25, 1.0

#: No clock that is right has a time before it: what was kept under one has no age that anybody knows.
_FIRST_TIME = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

logger = logging.getLogger("vavasms")


@define(kw_only=True, eq=False)
class SingleSender:
    """The single sends of one account, on one ledger, in one event loop."""

    ledger: Ledger
    #: Seconds to wait for what another call has under way.
    patience: float
    #: Seconds for which a send is kept beyond its outcome.
    keep: float
    #: The ledger's own time, where other machines use it: they go by the age of a claim.
    clock: SharedClock = field(factory=SharedClock)
    store: SendStore = field(init=False)
    pending: PendingWrites = field(factory=PendingWrites, init=False)
    _process: Process = field(factory=Process, init=False)
    _forgot_at: float = field(factory=time.monotonic, init=False)
    #: The time when it began, by the clock and by one that nobody sets.
    _began: tuple[float, float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.ledger.sends
        self._began = self.clock(), time.monotonic()

    async def set_clock(self) -> None:
        """Ask a ledger that others share for the time."""
        if self.ledger.is_shared:
            await self.clock.ask(self.ledger.now)
            self._began = self.clock(), time.monotonic()

    async def send(self, new: NewSend, call: Callable[[Attempt], Awaitable[AnswerT]]) -> AnswerT | SendRecord:
        """Return the gateway's answer, or the record of an earlier call with this key that was accepted.

        Raises the one error that fits: that of the call, or of what stands under the key.
        """
        answer = await self._send(new, call)
        # Last: the key that is asked for is never forgotten by the call that asks.
        await self._forget_old(new.account)
        return answer

    async def _send(
        self, new: NewSend, call: Callable[[Attempt], Awaitable[AnswerT]]
    ) -> AnswerT | SendRecord:
        deadline = time.monotonic() + self.patience
        while True:
            await self._write_pending()
            began = time.monotonic()
            found = await self._begin(new)
            if isinstance(found, SendClaim):
                return await self._send_claim(found, began, call)
            if found.state is BatchState.ACCEPTED:
                return found
            if found.state is BatchState.UNKNOWN:
                raise _unknown_error()
            await self._wait_for_others(new, deadline)

    async def _begin(self, new: NewSend) -> SendClaim | SendRecord:
        token = token_hex(16)
        try:
            return await self.store.begin(new, token=token, now=self.clock())
        except (ConfigurationError, InvalidInputError):
            # Refused before anything was written, or by the ledger's answer: nothing was claimed.
            raise
        except LedgerError as error:
            error.outcome = Outcome.NOT_SENT
            # One that is closed has claimed nothing, and takes nothing back.
            if error.error_code != "ledger.closed":
                await self._abandon(new, token)
            raise
        except BaseException:
            await self._abandon(new, token)
            raise

    async def _abandon(self, new: NewSend, token: str) -> None:
        """Take a claim back that may have been committed: its answer is lost, so nothing is sent on it."""
        with suppress(LedgerError):
            await self.pending.write_or_defer(
                lambda: self.store.abandon(new.account, new.key, token), lambda: self.store.give_up(token)
            )

    async def _send_claim(
        self, claim: SendClaim, began: float, call: Callable[[Attempt], Awaitable[AnswerT]]
    ) -> AnswerT:
        if self.ledger.is_shared and time.monotonic() - began > MAX_CLAIM_AGE:
            await self._settle(claim, BatchEvent.REQUEUE, BatchRecord())
            raise NotSentError(
                _("The ledger took too long. Nothing was sent."),
                error_code="not_sent.ledger_slow",
                outcome=Outcome.NOT_SENT,
            )
        # The loop of whoever claimed it may go on in a forked child.
        self._process.check()
        age = measure_age(claim.at, self.clock)
        answer = await call_once(call, age=age, settle=partial(self._settle, claim))
        if isinstance(answer, VavaSMSError):
            await self._settle(claim, error_event(answer), record_error(answer))
            raise answer
        record = record_answer(answer)
        await self._settle(claim, BatchEvent.ACCEPT, record)
        note_accepted(claim, record)
        return answer

    async def _settle(self, claim: SendClaim, event: BatchEvent, record: BatchRecord) -> None:
        """Write an outcome; one that the ledger does not take is written later, and told now all the same."""
        try:
            await self.pending.write_or_defer(
                lambda: self.store.settle(claim, event, record, now=self.clock()),
                lambda: self.store.give_up(claim.token),
            )
        except (LedgerError, ConfigurationError) as error:
            # Its own word, that nothing was sent, is about the write: the gateway has answered.
            logger.warning(N_("The outcome of a send could not be written yet: %s"), error.english)

    async def _wait_for_others(self, new: NewSend, deadline: float) -> None:
        """Wait until a send that another call has under way moves on; look for a second at most."""
        until, wait = min(time.monotonic() + _ASK_EVERY, deadline), _FIRST_LOOK
        while time.monotonic() < until:
            await anyio.sleep(wait)
            found = await self._find(new)
            if found is None or found.outcome is not None:
                return
            wait = min(2 * wait, _LAST_LOOK)
        if until == deadline:
            raise SendInProgressError(
                _(
                    "Another call is sending under this idempotency_key and has no outcome yet. This one "
                    "sent nothing: ask again with the same key."
                ),
                outcome=Outcome.UNKNOWN,
            )

    async def _find(self, new: NewSend) -> SendRecord | None:
        try:
            return await self.store.find(new.account, new.key)
        except LedgerError as error:
            # Of this call nothing left; of the one that has the key nobody knows yet.
            error.outcome = Outcome.UNKNOWN
            raise

    async def _write_pending(self) -> None:
        if len(self.pending):
            with suppress(Exception):
                await self.pending.flush()

    async def _forget_old(self, account: str) -> None:
        """Forget now and then what is old, and never what a clock that was set only makes look so."""
        now = time.monotonic()
        if now - self._forgot_at < FORGET_EVERY:
            return
        self._forgot_at = now
        with suppress(LedgerError):
            await self.set_clock()
        began, began_at = self._began
        # By how much the clock is further than the time that has passed: a machine without a battery begins
        # in 1970, and a wrong year is put right one day. One that slept keeps its sends for longer.
        jump = max(self.clock() - began - (now - began_at), 0.0)
        before = self.clock() - jump - self.keep
        with suppress(LedgerError):
            await self.store.purge(account=account, since=_FIRST_TIME, before=before, limit=FORGET_AT_ONCE)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Report what the gateway accepts of any client of this process to `watcher`, while the block runs."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def note_accepted(claim: SendClaim, record: BatchRecord) -> None:
    """Report what was accepted to who watches: a test, since the key itself never goes over the wire."""
    for watcher in tuple(_watchers):
        watcher(claim.key, record.message_ids)


def record_answer(answer: Lot | OtpReceipt) -> BatchRecord:
    """Return what a ledger keeps of an answer."""
    if isinstance(answer, Lot):
        return BatchRecord(
            lot_id=answer.lot_id, message_ids=answer.message_ids, description=answer.description
        )
    ids = (answer.message_id,) if answer.message_id else ()
    return BatchRecord(message_ids=ids, description=answer.description)


def _unknown_error() -> OutcomeUnknownError:
    """Build the error of a key whose send may have gone out."""
    return OutcomeUnknownError(
        _(
            "The earlier send under this idempotency_key may have gone out, and nobody knows. This call sent "
            "nothing: look it up, then `vavasms sends resolve`, or resolve(key, sent=…)."
        ),
        error_code="outcome.unknown.earlier_send",
        outcome=Outcome.UNKNOWN,
    )
