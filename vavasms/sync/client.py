"""`VavaSMS`: the same client without await.

All instances wait on their `AsyncVavaSMS` through one shared portal: a thread with an asyncio event loop,
started with the first user and stopped after the last. It works inside a running event loop, asyncio
or trio, which is then blocked for the length of the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Self, TypeVar

from vavasms.bulk.models import BulkReport, OnProgress
from vavasms.bulk.recipients import IN_MEMORY, Recipients
from vavasms.calls import CallGroup, PortalCall, Step, cancel_steps, close, finish_steps, inherit_account, run
from vavasms.client import AsyncVavaSMS
from vavasms.config import Timeouts, misconfigured
from vavasms.endpoints import Account
from vavasms.errors import VavaSMSError
from vavasms.forks import forget_at_fork
from vavasms.i18n import gettext as _
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.ledger.send_record import SendRecord
from vavasms.models import Balance, DeliveryReport, Lot, OtpReceipt, OtpVerification
from vavasms.portal import shared
from vavasms.profile.models import GatewayProfile
from vavasms.sends.base import OpenLedger
from vavasms.sync.bulk import BulkResults
from vavasms.sync.caller_thread import CallerThreadReader
from vavasms.tracebacks import hide_frames
from vavasms.transport.hooks import Hook
from vavasms.transport.http import AsyncBaseTransport
from vavasms.transport.tls import TLS

T = TypeVar("T")


class VavaSMS:
    """A client of the VavaSMS gateway, without await. Thread-safe. In async code use `AsyncVavaSMS`.

    A call in a coroutine would hold up everything else that runs in its event loop until it returns.

    The names and arguments are those of `AsyncVavaSMS`, which says what each of them means. Ctrl-C
    while something is being sent waits for the calls in flight, a second one cuts them off: they are
    unknown then. Hooks and `on_progress` run in the thread that does the work and cannot use a `VavaSMS`.
    """

    @hide_frames
    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        sender_id: str | None = None,
        base_url: str | None = None,
        status_path: str | None = None,
        region: str = "CI",
        max_connections: int = 32,
        transport: AsyncBaseTransport | None = None,
        timeouts: Timeouts | None = None,
        proxy: str | None = None,
        tls: TLS = None,
        trust_env: bool = True,
        profile: GatewayProfile | str | Path | None = None,
        lots_are_atomic: bool | None = None,
        retry_refused: bool = True,
        refusals_are_final: bool = False,
        ledger: str | Path | OpenLedger | None = None,
        keep: timedelta = timedelta(days=30),
        keep_texts: bool = False,
        otp_limits: OtpLimits | None = None,
        on_request: Hook | None = None,
        on_response: Hook | None = None,
    ) -> None:
        self._client = AsyncVavaSMS(
            username,
            password,
            sender_id=sender_id,
            base_url=base_url,
            status_path=status_path,
            region=region,
            max_connections=max_connections,
            transport=transport,
            timeouts=timeouts,
            proxy=proxy,
            tls=tls,
            trust_env=trust_env,
            profile=profile,
            lots_are_atomic=lots_are_atomic,
            retry_refused=retry_refused,
            refusals_are_final=refusals_are_final,
            ledger=ledger,
            keep=keep,
            keep_texts=keep_texts,
            otp_limits=otp_limits,
            on_request=on_request,
            on_response=on_response,
        )
        # Reentrant: a signal handler may close the client in the middle of a call.
        self._lock = RLock()
        self._group: CallGroup | None = None
        self._closed = False
        #: The parent's: what collects it would look after its thread.
        self._lost: list[object] = []
        forget_at_fork(self, VavaSMS._forget)

    def _forget(self) -> None:
        """Begin afresh in a forked child, which has no copy of the portal's thread."""
        self._lost.append(self._group)
        self._lock, self._group = RLock(), None

    def __repr__(self) -> str:
        return repr(getattr(self, "_client", "AsyncVavaSMS(not made)")).strip("'").removeprefix("Async")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        try:
            self.close()
        except BaseException as interrupt:
            inherit_account(interrupt, error)
            raise

    def close(self) -> None:
        """Close the connections, once what other threads have under way is over. May be called twice.

        What begins from now on is a `ConfigurationError`. A stream is stopped, and its batches in flight are
        settled. An interrupt does not wait for what others have under way: the closing goes on without it.
        """
        with self._lock:
            group, self._closed = self._group, True
        if group is not None:
            close(group, self._client.aclose)

    @property
    def account(self) -> Account:
        """What campaigns need of this client: see `AsyncVavaSMS.account`."""
        return self._client.account

    @hide_frames
    def balance(self) -> Balance:
        """Return the credit: see `AsyncVavaSMS.balance`."""
        return self._call(self._client.balance)

    @hide_frames
    def send(
        self,
        to: str | Iterable[str],
        message: str,
        *,
        sender_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Lot:
        """Send one text to one number or a few: see `AsyncVavaSMS.send`."""
        call = partial(self._client.send, to, message, sender_id=sender_id, idempotency_key=idempotency_key)
        return self._call(call, sends=True)

    @hide_frames
    def enqueue(
        self,
        to: str | Iterable[str],
        message: str,
        *,
        sender_id: str | None = None,
        idempotency_key: str | None = None,
        not_before: datetime | None = None,
    ) -> SendRecord:
        """Keep one text for a worker: see `AsyncVavaSMS.enqueue`."""
        call = partial(
            self._client.enqueue,
            to,
            message,
            sender_id=sender_id,
            idempotency_key=idempotency_key,
            not_before=not_before,
        )
        # Where it is cut off nobody knows whether it is kept: asked again with its key it is kept once.
        return self._call(call, sends=True)

    @hide_frames
    def sent(self, idempotency_key: str) -> SendRecord | None:
        """Return what the ledger has of a send: see `AsyncVavaSMS.sent`."""
        return self._call(partial(self._client.sent, idempotency_key))

    @hide_frames
    def resolve(self, idempotency_key: str, *, sent: bool, note: str = "") -> SendRecord:
        """Decide on a send that is unknown: see `AsyncVavaSMS.resolve`."""
        return self._call(partial(self._client.resolve, idempotency_key, sent=sent, note=note))

    @hide_frames
    def delivery_reports(self, message_id: str, *, lot_id: str | None = None) -> tuple[DeliveryReport, ...]:
        """Return how far a message came: see `AsyncVavaSMS.delivery_reports`."""
        return self._call(partial(self._client.delivery_reports, message_id, lot_id=lot_id))

    @hide_frames
    def send_otp(
        self,
        to: str,
        *,
        length: int | None = None,
        valid_for: timedelta | None = None,
        template: str | None = None,
        sender_id: str | None = None,
        language: str | None = None,
        idempotency_key: str | None = None,
        client: str | None = None,
    ) -> OtpReceipt:
        """Send a one-time code that the gateway makes: see `AsyncVavaSMS.send_otp`."""
        call = partial(
            self._client.send_otp,
            to,
            length=length,
            valid_for=valid_for,
            template=template,
            sender_id=sender_id,
            language=language,
            idempotency_key=idempotency_key,
            client=client,
        )
        return self._call(call, sends=True)

    @hide_frames
    def verify_otp(self, to: str, code: str, *, sender_id: str | None = None) -> OtpVerification:
        """Verify a one-time code by the gateway: see `AsyncVavaSMS.verify_otp`."""
        return self._call(partial(self._client.verify_otp, to, code, sender_id=sender_id), sends=True)

    @hide_frames
    def send_bulk(
        self,
        recipients: Recipients,
        message: str,
        *,
        sender_id: str | None = None,
        batch_size: int | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        dedupe: bool = True,
        on_progress: OnProgress | None = None,
    ) -> BulkReport:
        """Send one text to any number of recipients: see `AsyncVavaSMS.send_bulk`.

        An iterable is read in this thread; `on_progress` is called in the portal's.
        """
        results = self.stream_bulk(
            recipients,
            message,
            sender_id=sender_id,
            batch_size=batch_size,
            concurrency=concurrency,
            rate=rate,
            dedupe=dedupe,
            on_progress=on_progress,
        )
        return results.collect()

    @hide_frames
    def stream_bulk(
        self,
        recipients: Recipients,
        message: str,
        *,
        sender_id: str | None = None,
        batch_size: int | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        dedupe: bool = True,
        on_progress: OnProgress | None = None,
    ) -> BulkResults:
        """Send in bulk, with the results as they come: see `AsyncVavaSMS.stream_bulk`."""
        group = self._open()
        reader = None
        if isinstance(recipients, Iterable) and not isinstance(recipients, (*IN_MEMORY, str, bytes)):
            recipients = reader = CallerThreadReader(recipients)
        stream = self._client.stream_bulk(
            recipients,
            message,
            sender_id=sender_id,
            batch_size=batch_size,
            concurrency=concurrency,
            rate=rate,
            dedupe=dedupe,
            on_progress=on_progress,
        )
        return BulkResults(group, stream, reader)

    def _open(self) -> CallGroup:
        with self._lock:
            if self._closed:
                raise misconfigured(_("The client is closed: make a new one."), "config.closed")
            group = self._group = self._group or CallGroup(shared.lease())
        group.check_thread()
        return group

    def _call(self, work: Callable[[], Awaitable[T]], *, sends: bool = False) -> T:
        call = PortalCall(self._open(), work, sends=sends)
        if not sends:
            return run(call, cancel_steps(call))
        # As in a bulk send: what this thread was interrupted by is not the call's own end.
        return run(call, finish_steps(call), annotate=partial(_add_note, call))


def wait_for(
    client: VavaSMS, work: Callable[[], Awaitable[T]], *, on_interrupt: Callable[[], object] | None = None
) -> T:
    """Run something async in the portal that all clients share, and wait for its result.

    An interrupt of this thread cancels it; with `on_interrupt`, which is called in the portal's thread,
    the first one waits for its end instead.
    """
    call = PortalCall(open_group(client), work)
    steps = cancel_steps(call) if on_interrupt is None else (Step(on_interrupt), *cancel_steps(call))
    return run(call, steps)


def open_group(client: VavaSMS) -> CallGroup:
    """Return where a client has its work done. Raises `ConfigurationError` where it can have none done."""
    return client._open()  # noqa: SLF001  the client's own names are those of the async one


def _add_note(call: PortalCall[T], interrupt: BaseException) -> None:
    if not call.done:
        ended: str = _("not yet, its outcome is unknown: look before sending again.")
    elif isinstance(call.error, VavaSMSError):
        ended = call.error.args[0]
    else:
        # Its words, not the exception: that would keep its frames.
        ended = str(call.error) if call.error else _("the gateway took it.")
    interrupt.add_note(_("vavasms: the call under way ended: {ended}", ended=ended))
