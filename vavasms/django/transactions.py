"""`enqueue`: one text that goes out if the transaction commits, and only then. No crash loses it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.utils import timezone

from vavasms import outbox
from vavasms.django.backends.base import OutboxBackend
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.client import find_client
from vavasms.django.messages import SmsMessage, read_message
from vavasms.django.models import TABLE, PendingSend
from vavasms.django.sends import deliver, find_backend
from vavasms.django.settings import AppSettings, read_settings
from vavasms.errors import IdempotencyConflictError, InvalidInputError, VavaSMSError, name_error
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.numbers import Msisdn

logger = logging.getLogger("vavasms")

#: After so long nobody is expected any more who wrote a text down and was to take it to the ledger.
LEFT_BEHIND = timedelta(seconds=10)
#: What a key stands for.
_CONTENT = ("recipient", "text", "sender_id")


def enqueue_text(
    to: str,
    text: str,
    *,
    idempotency_key: str,
    sender_id: str | None,
    not_before: datetime | None,
    using: str | None,
    backend: str | None,
) -> None:
    """Enqueue one text: see `vavasms.django.enqueue`."""
    found = read_settings()
    message = read_message(found, to, text, sender_id=sender_id, idempotency_key=idempotency_key)
    if len(message.recipients) > 1:
        raise InvalidInputError(
            _("enqueue takes one number: each SMS has a key of its own. Nothing was enqueued."),
            error_code="input.recipients",
        )
    if not_before is not None and (not isinstance(not_before, datetime) or not_before.tzinfo is None):
        raise InvalidInputError(
            _("not_before is a datetime with a time zone. Nothing was enqueued."),
            error_code="input.not_before",
            argument="not_before",
        )
    name = backend or found.backend
    _enqueue(found, message, not_before, using or found.get("DATABASE") or DEFAULT_DB_ALIAS, name)


def _enqueue(
    found: AppSettings, message: SmsMessage, not_before: datetime | None, alias: str, name: str
) -> None:
    backend, connection = find_backend(name), connections[alias]
    if not isinstance(backend, OutboxBackend):
        transaction.on_commit(partial(deliver, message, backend), using=alias)
    elif isinstance(backend, GatewayBackend) and has_ledger(found, connection, alias):
        account = find_client(is_sandbox=backend.is_sandbox).account
        outbox.enqueue(
            connection,
            message.to[0],
            message.text,
            idempotency_key=message.idempotency_key or "",
            # That of the settings, as `send_sms` has it: a key stands for one sender.
            sender_id=message.sender_id or account.sender_id,
            not_before=not_before,
            account=account.name,
        )
    elif not connection.in_atomic_block:
        # It would be committed at once.
        backend.enqueue(message, not_before)
    else:
        _write(message, not_before, alias, name)


def has_ledger(found: AppSettings, connection: Any, alias: str) -> bool:
    """Return whether the ledger is the very database of a connection, as far as their settings say so."""
    if connection.vendor != "postgresql":
        return False
    if found.get("DATABASE") is not None:
        return bool(found.get("DATABASE") == alias)
    return _find_server(str(found.get("LEDGER"))) == _find_server_of(connection.settings_dict)


def _find_server(url: str) -> tuple[str, str, str, str] | None:
    """Return host, port, user and name of a connection string of a form that can be compared."""
    if "://" not in url:
        return None
    parts = urlsplit(url)
    more = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return (
        unquote(parts.hostname or "") or more.get("host", ""),
        str(parts.port or more.get("port", "") or 5432),
        unquote(parts.username or "") or more.get("user", ""),
        unquote(parts.path.lstrip("/")) or more.get("dbname", ""),
    )


def _find_server_of(database: dict[str, Any]) -> tuple[str, str, str, str]:
    return (database["HOST"], str(database["PORT"] or 5432), database["USER"], database["NAME"])


def _write(message: SmsMessage, not_before: datetime | None, alias: str, name: str) -> None:
    """Write a text down in the transaction, and take it to the ledger after its commit."""
    rows = PendingSend.objects.using(alias)
    values = {
        "recipient": str(message.recipients[0]),
        "text": message.text,
        "sender_id": message.sender_id,
        "not_before": None if not_before is None else not_before.timestamp(),
        "backend": name,
    }
    same = rows.filter(idempotency_key=message.idempotency_key, error_code="").first()
    if same is not None and any(getattr(same, name) != values[name] for name in _CONTENT):
        raise IdempotencyConflictError(
            _("This idempotency_key stands for another message. Nothing was enqueued."),
            first_used_at=same.created_at.timestamp(),
        )
    if same is not None:
        return
    row = rows.create(idempotency_key=message.idempotency_key, **values)
    transaction.on_commit(partial(forward, row.pk, alias), using=alias)


def forward(row_id: int, alias: str) -> bool:
    """Take what was written down to the ledger; return whether it is there. Raises nothing of the ledger's.

    May be repeated, by any number of processes: the ledger keeps a key once.
    """
    row = PendingSend.objects.using(alias).filter(pk=row_id, error_code="").first()
    if row is None:
        return False
    try:
        _keep(row)
    except InvalidInputError as error:
        # It will never be kept: somebody must know.
        PendingSend.objects.using(alias).filter(pk=row_id).update(error_code=error.error_code)
        logger.error(N_("What was enqueued in a transaction cannot be sent: %s"), error.english)  # noqa: TRY400
        return False
    except VavaSMSError as error:
        logger.warning(N_("What was enqueued waits for its ledger (%s)."), name_error(error))
        return False
    PendingSend.objects.using(alias).filter(pk=row_id).delete()
    return True


def _keep(row: PendingSend) -> None:
    backend = find_backend(row.backend)
    message = SmsMessage(
        recipients=(Msisdn(row.recipient),),
        text=row.text,
        sender_id=row.sender_id,
        idempotency_key=row.idempotency_key,
    )
    if isinstance(backend, OutboxBackend):
        due = None if row.not_before is None else datetime.fromtimestamp(row.not_before, UTC)
        backend.enqueue(message, due)
    else:
        # The settings name another one since.
        deliver(message, backend)


def forward_left(alias: str, *, limit: int = 100) -> int:
    """Take to the ledger what processes left behind that died after their commit; return how much."""
    before = timezone.now() - LEFT_BEHIND
    waiting = PendingSend.objects.using(alias).filter(error_code="", created_at__lt=before).order_by("pk")
    return sum(forward(row_id, alias) for row_id in [*waiting.values_list("pk", flat=True)[:limit]])


def find_aliases() -> list[str]:
    """Return the databases of the project that have the app's table."""
    return [
        alias
        for alias in connections
        if router.allow_migrate_model(alias, PendingSend)
        and TABLE in connections[alias].introspection.table_names()
    ]
