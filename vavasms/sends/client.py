"""The single sends of a client that has a ledger: opened in each event loop that the client is used in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, TypeAlias, cast

import anyio
from attrs import define, field, frozen

from vavasms import endpoints
from vavasms.config import Secret, Timeouts, misconfigured
from vavasms.endpoints import Transport
from vavasms.errors import InvalidInputError, LedgerError, Outcome
from vavasms.forks import forget_at_fork
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import check_timeouts
from vavasms.ledger.otp import OtpStore
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import OWN_KEY, NewSend, check_key
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.sends.base import OpenLedger, OtpDraft, OtpOptions, Sends
from vavasms.sends.otp_counter import count_otp_segments
from vavasms.sends.sender import SingleSender
from vavasms.storage.location import Place, read_place
from vavasms.text.segments import count_segments
from vavasms.transport.pool import PerLoop, Users
from vavasms.transport.retry import deadlines_of
from vavasms.wire.requests import CallKind, TextDraft

#: Where single sends are kept: the path of a file, `postgresql://…`, or a ledger that is open.
LedgerPlace: TypeAlias = "str | Path | OpenLedger"

_DAY = 86_400.0

#: What a ledger keeps where a person gives no note.
_TAKEN_FOR_SENT = N_("A person took it for sent.")
_TAKEN_FOR_UNSENT = N_("A person took it for not sent.")


async def open_ledger(place: Place) -> Ledger:
    """Open a ledger, or make it where there is none. Raises what its `open` does."""
    if isinstance(place, Path):
        return await SqliteLedger.open(place)
    # It needs an extra, and says so.
    from vavasms.ledger.postgres.ledger import PostgresLedger

    return await PostgresLedger.open(place.reveal())


@frozen(kw_only=True)
class SendOptions:
    """How a client keeps its single sends."""

    ledger: LedgerPlace = field(repr=False)
    keep: timedelta
    keep_texts: bool

    @property
    def place(self) -> Place | Ledger:
        """Where the ledger is, or the ledger. Raises `ConfigurationError` for what is neither."""
        if isinstance(self.ledger, str):
            return read_place(self.ledger, "ledger")
        if isinstance(self.ledger, Path):
            return self.ledger
        if hasattr(self.ledger, "sends"):
            # Any object with the methods of one: whoever passes it says that it is one.
            return cast("Ledger", self.ledger)
        raise misconfigured(
            _("ledger is the path of a file, postgresql://user@host/name, or an open ledger."),
            "config.ledger_place",
        )

    @property
    def keep_seconds(self) -> float:
        """For how long a send is kept. Raises `ConfigurationError` for what is no time."""
        if not isinstance(self.keep, timedelta) or self.keep < timedelta(days=1):
            raise misconfigured(
                _("keep is a timedelta of a day or more: a key protects for as long."), "config.argument"
            )
        return self.keep.total_seconds()


class OpenSends(NamedTuple):
    """What is at hand once the ledger of a loop is open."""

    sender: SingleSender
    #: Where its one-time codes are counted.
    otp: OtpStore


class ClientSends(Sends):
    """The single sends of one client."""

    def __init__(
        self, options: SendOptions, *, account: str, transport: Transport, timeouts: Timeouts
    ) -> None:
        self._account, self._transport, self._timeouts = account, transport, timeouts
        self._place, self._keep, self._keeps_text = options.place, options.keep_seconds, options.keep_texts
        self._by_loop = self._make_ledgers()
        #: The parent's: they must be neither used nor closed here.
        self._lost: list[object] = []
        forget_at_fork(self, ClientSends._forget)

    def _forget(self) -> None:
        """Begin afresh in a forked child; a ledger that was opened elsewhere refuses by itself."""
        self._lost.append(self._by_loop)
        self._by_loop = self._make_ledgers()

    def _make_ledgers(self) -> PerLoop[_LoopLedger]:
        return PerLoop(lambda: _LoopLedger(place=self._place, make=self._make_sender))

    async def send_text(
        self, draft: TextDraft, to: tuple[Msisdn, ...], content: tuple[str, str], key: str | None
    ) -> Lot:
        new = self._new_text(to, content, key)
        async with self.use() as (sender, _otp):
            found = await sender.send(new, partial(endpoints.send_text, self._transport, draft, to))
        lot = found.lot if isinstance(found, SendRecord) else found
        assert lot is not None
        return lot

    async def enqueue(
        self, to: tuple[Msisdn, ...], content: tuple[str, str], key: str | None, not_before: datetime | None
    ) -> SendRecord:
        due = 0.0 if not_before is None else _read_time(not_before)
        new = self._new_text(to, content, key, is_enqueued=True, not_before=due)
        async with self.use() as (sender, _otp):
            return await sender.store.enqueue(new, now=sender.clock())

    async def find(self, key: str) -> SendRecord | None:
        _need_text(key)
        async with self.use() as (sender, _otp):
            return await sender.store.find(self._account, key)

    async def resolve(self, key: str, *, sent: bool, note: str) -> SendRecord:
        _need_text(key)
        words = note or (_TAKEN_FOR_SENT if sent else _TAKEN_FOR_UNSENT)
        async with self.use() as (sender, _otp):
            return await sender.store.resolve(
                self._account, key, sent=sent, again=False, note=words, now=sender.clock()
            )

    async def aclose(self) -> None:
        own = self._by_loop.current()
        if own is not None:
            await own.aclose()

    def new_otp(self, draft: OtpDraft, key: str | None) -> NewSend:
        """Return a code as the ledger keeps it. Raises `InvalidInputError` for what is no key."""
        return NewSend(
            account=self._account,
            key=_check_or_make_key(key),
            kind=SendKind.OTP,
            recipients=(draft.recipient,),
            sender_id=draft.sender_id,
            segments=count_otp_segments(draft),
            text=_dump_options(draft.options),
            keeps_text=self._keeps_text,
        )

    def _new_text(
        self, to: tuple[Msisdn, ...], content: tuple[str, str], key: str | None, **more: Any
    ) -> NewSend:
        sender_id, text = content
        return NewSend(
            account=self._account,
            key=_check_or_make_key(key),
            recipients=to,
            sender_id=sender_id,
            segments=count_segments(text).segments,
            text=text,
            keeps_text=self._keeps_text,
            **more,
        )

    @asynccontextmanager
    async def use(self) -> AsyncIterator[OpenSends]:
        """Yield what this loop sends with, which is closed after the block only.

        Its ledger is opened at the first call. Raises what that does, and `ConfigurationError` once it is
        closed.
        """
        if self._transport.is_closed:
            raise misconfigured(_("The client is closed: make a new one."), "config.closed")
        refusal = self._by_loop.refusal()
        if refusal is not None:
            raise misconfigured(_(refusal), "config.event_loop")
        own = self._by_loop.get()
        own.users.enter()
        try:
            yield await own.open()
        finally:
            own.users.leave()

    def _make_sender(self, ledger: Ledger) -> SingleSender:
        if ledger.is_shared:
            check_timeouts(self._timeouts)
        return SingleSender(
            ledger=ledger,
            patience=self._timeouts.pool + deadlines_of(self._timeouts, CallKind.SEND)[1],
            keep=self._keep,
        )


@define(kw_only=True, eq=False)
class _LoopLedger:
    """The ledger in one event loop, opened when it is first asked for."""

    place: Place | Ledger
    make: Callable[[Ledger], SingleSender]
    _ledger: Ledger | None = field(default=None, init=False)
    _sends: OpenSends | None = field(default=None, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    #: The calls under way: an outcome that is known must be written.
    users: Users = field(factory=Users, init=False)

    async def open(self) -> OpenSends:
        """Return what is sent with on it. Raises what opening it does."""
        if self._sends is None:
            async with self._lock:
                if self._sends is None:
                    self._sends = await self._set_up()
        return self._sends

    async def _set_up(self) -> OpenSends:
        try:
            ledger = await self._open()
            sender = self.make(ledger)
            await sender.set_clock()
        except BaseException as error:
            if isinstance(error, LedgerError):
                # Before anything was sent. The next call opens it anew.
                error.outcome = Outcome.NOT_SENT
            with anyio.CancelScope(shield=True):
                await self._close()
            raise
        return OpenSends(sender, ledger.otp)

    async def aclose(self) -> None:
        """Wait for the calls under way, write what is pending, and close a ledger that was opened here.

        May be called twice. Cancelled, it waits no more.
        """
        try:
            await self.users.wait_for_none()
        finally:
            sends, self._sends = self._sends, None
            try:
                if sends is not None and len(sends.sender.pending):
                    await sends.sender.pending.drain()
            finally:
                await self._close()

    async def _close(self) -> None:
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            with suppress(LedgerError):
                await ledger.aclose()

    async def _open(self) -> Ledger:
        if not isinstance(self.place, Path | Secret):
            return self.place
        self._ledger = await open_ledger(self.place)
        return self._ledger


def _check_or_make_key(key: str | None) -> str:
    return f"{OWN_KEY}{token_hex(12)}" if key is None else check_key(key)


def _dump_options(options: OtpOptions) -> str:
    """Return the options of a code as one text: the same for two calls that ask for the same."""
    values = {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in options.items()
    }
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _read_time(at: datetime) -> float:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InvalidInputError(
            _("not_before is a datetime with a time zone; nothing was kept."),
            error_code="input.not_before",
            argument="not_before",
        )
    return at.timestamp()


def _need_text(key: str) -> None:
    """Raise `InvalidInputError` for what is no text; a key that is kept may be of any other form."""
    # Half a character is none, and no ledger keeps one.
    if not isinstance(key, str) or not key or any("\ud800" <= letter <= "\udfff" for letter in key):
        check_key(key)
