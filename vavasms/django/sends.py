"""`send_sms`: one text by the backend of the settings, as Django sends a mail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from asgiref.sync import sync_to_async

from vavasms.config import misconfigured
from vavasms.django.backends.base import SmsBackend
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.environment import in_test
from vavasms.django.messages import SmsMessage, read_message
from vavasms.django.process import ProcessValue
from vavasms.django.settings import BACKENDS, find_class, read_settings
from vavasms.django.signals import announce, sent, unknown
from vavasms.errors import Outcome, SendInProgressError, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.ledger.attempts import describe_error
from vavasms.models import Lot
from vavasms.tracebacks import hide_frames, hide_frames_async

#: Sends that go on though whoever asked for them was cancelled.
_under_way: set[asyncio.Task[Lot]] = set()


@hide_frames
def send_sms(
    to: str | Iterable[str],
    text: str,
    *,
    idempotency_key: str | None = None,
    sender_id: str | None = None,
    backend: str | None = None,
) -> Lot:
    """Send one text to one number or a few, by the backend of `VAVASMS["BACKEND"]` or the one named here.

    With an `idempotency_key` it may be called again at will: a view that is posted twice sends once
    (`Lot.replayed`). Without one it is not repeatable. Costs segments x numbers; raises what
    `AsyncVavaSMS.send` does, each with its `outcome`. The signals `sent` and `unknown` tell of it.

    It blocks until the gateway has answered, and is not part of a transaction of the database: see `enqueue`.
    """
    return deliver(*_prepare(to, text, idempotency_key, sender_id, backend))


@hide_frames_async
async def asend_sms(
    to: str | Iterable[str],
    text: str,
    *,
    idempotency_key: str | None = None,
    sender_id: str | None = None,
    backend: str | None = None,
) -> Lot:
    """Send as `send_sms` does, from an async view: others go on in its event loop meanwhile.

    Where the view is cancelled, as by a browser that goes away, the send goes on to its outcome.
    """
    prepared = _prepare(to, text, idempotency_key, sender_id, backend)
    task = asyncio.ensure_future(_send_async(*prepared))
    _under_way.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


def _forget(task: asyncio.Task[Lot]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        # Somebody has looked: whoever was cancelled does not.
        task.exception()


def _prepare(
    to: str | Iterable[str], text: str, key: str | None, sender_id: str | None, backend: str | None
) -> tuple[SmsMessage, SmsBackend]:
    found = read_settings()
    message = read_message(found, to, text, sender_id=sender_id, idempotency_key=key)
    return message, find_backend(backend or found.backend)


def deliver(message: SmsMessage, backend: SmsBackend) -> Lot:
    """Send a message by a backend, and notify the receivers of the signals. Raises what the backend does."""
    try:
        lot = backend.send(message)
    except VavaSMSError as error:
        report_error(message, error)
        raise
    report_lot(message, lot)
    return lot


async def _send_async(message: SmsMessage, backend: SmsBackend) -> Lot:
    try:
        lot = await sync_to_async(backend.send, thread_sensitive=False)(message)
    except VavaSMSError as error:
        # Where Django runs plain views: receivers have its database.
        await sync_to_async(report_error)(message, error)
        raise
    await sync_to_async(report_lot)(message, lot)
    return lot


def report_lot(message: SmsMessage, lot: Lot) -> None:
    """Notify the receivers of `sent`, once for a key."""
    if not lot.replayed:
        announce(sent, recipients=message.recipients, idempotency_key=message.idempotency_key, lot=lot)


def report_error(message: SmsMessage, error: VavaSMSError) -> None:
    """Notify the receivers of `unknown` where this very call may have sent something."""
    is_of_another = isinstance(error, SendInProgressError) or error.error_code == _EARLIER
    if error.outcome is Outcome.UNKNOWN and not is_of_another:
        announce(
            unknown,
            recipients=message.recipients,
            idempotency_key=message.idempotency_key,
            error=describe_error(error),
        )


_EARLIER = "outcome.unknown.earlier_send"


def find_backend(name: str) -> SmsBackend:
    """Return the backend of a name or a path. In a test `gateway` is `locmem`, by any name that it has.

    Raises `ConfigurationError` for what is none.
    """
    path = BACKENDS.get(name, name)
    # As Django does with mails.
    if in_test() and _is_gateway(path):
        path = BACKENDS["locmem"]
    return _make_backend(path)


def _is_gateway(path: str) -> bool:
    backend = find_class(path)
    return isinstance(backend, type) and issubclass(backend, GatewayBackend) and not backend.is_sandbox


def _make_backend(path: str) -> SmsBackend:
    made = _backends.get()
    if path not in made:
        backend = find_class(path)
        if backend is None:
            raise misconfigured(_("{setting} names no backend.", setting=path), "config.django")
        # Two threads may come to it at once: one of them wins.
        made.setdefault(path, backend())
    return made[path]


def _make_backends() -> dict[str, SmsBackend]:
    return {}


_backends = ProcessValue(_make_backends, dict.clear)
