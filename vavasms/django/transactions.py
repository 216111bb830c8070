"""`enqueue`: one text that goes out if the transaction commits, and only then. No crash loses it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from attrs import define, field
from django.db import DEFAULT_DB_ALIAS, Error, connections, router, transaction
from django.db.models import Q
from django.utils import timezone

from vavasms import outbox
from vavasms.config import misconfigured
from vavasms.django.backends.base import OutboxBackend, SmsBackend
from vavasms.django.backends.console import ConsoleBackend
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.backends.locmem import LocmemBackend
from vavasms.django.client import find_client
from vavasms.django.location import find_server, find_server_of
from vavasms.django.messages import SmsMessage, read_message
from vavasms.django.models import TABLE, PendingSend
from vavasms.django.sends import deliver, find_backend
from vavasms.django.settings import AppSettings, read_settings
from vavasms.endpoints import Account
from vavasms.errors import IdempotencyConflictError, InvalidInputError, LedgerError, name_error
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.numbers import Msisdn

logger = logging.getLogger("vavasms")

#: After so long nobody is expected any more who wrote a text down and was to take it to the ledger.
LEFT_BEHIND = timedelta(seconds=10)
#: After so many in a row that the ledger did not take, it is not asked for the others of a round.
_AWAY_AFTER = 10
#: The last second that a datetime has: a float beside it may be rounded up to one that none has.
_LAST_SECOND = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()
#: What a key stands for.
_CONTENT = ("recipient", "text", "sender_id", "account")


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
    alias = using or _find_alias(found.get("DATABASE"))
    _enqueue(found, message, not_before, alias, backend or found.backend)


def _find_alias(own: str | None) -> str:
    """Return the database whose transaction is meant: the ledger's own if it has one, else the default.

    In a project without a default one it is the router's; raises `ConfigurationError` where that is none.
    """
    if own is not None and connections[own].in_atomic_block:
        return own
    default = next(filter(_is_real, (DEFAULT_DB_ALIAS, router.db_for_write(PendingSend))), None)
    if default is None:
        others = [alias for alias in connections if _is_real(alias) and alias != own]
        if others and (own is None or any(_is_open(connections[alias]) for alias in others)):
            raise misconfigured(
                _("No database is the default one: name that of the transaction by `using=`."),
                "config.django",
            )
        return own or str(DEFAULT_DB_ALIAS)
    # What is rolled back there must not have been kept here.
    return own if own is not None and not _is_open(connections[default]) else default


def _is_real(alias: str) -> bool:
    """Return whether a database is one: a project without any has one that is none."""
    return bool(connections[alias].vendor != "unknown")


def _is_open(connection: Any) -> bool:
    """Return whether a transaction is open, or would be by the next statement. Asks no database."""
    if connection.connection is None:
        return not connection.settings_dict["AUTOCOMMIT"]
    return connection.in_atomic_block or not connection.autocommit


def _enqueue(
    found: AppSettings, message: SmsMessage, not_before: datetime | None, alias: str, name: str
) -> None:
    backend, connection = find_backend(name), connections[alias]
    if isinstance(backend, ConsoleBackend | LocmemBackend):
        # No SMS reaches a phone: nobody misses one that a crash after the commit took with it.
        transaction.on_commit(partial(deliver, message, backend), using=alias)
    elif not isinstance(backend, OutboxBackend):
        raise misconfigured(
            _(
                "{setting} has no method `enqueue`: a crash after the commit would lose the SMS. "
                "Nothing was enqueued.",
                setting=name,
            ),
            "config.django",
        )
    elif _is_plain(backend) and (account := _find_account(backend)) and has_ledger(found, connection, alias):
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
    elif not _is_open(connection):
        # It would be committed at once.
        backend.enqueue(message, not_before)
    else:
        _write(message, not_before, alias, name, _find_account(backend))


def _find_account(backend: SmsBackend) -> Account | None:
    """Return whose account a backend sends by; None for one that is not the gateway's."""
    if not isinstance(backend, GatewayBackend):
        return None
    return find_client(is_sandbox=backend.is_sandbox).account


def _is_plain(backend: SmsBackend) -> bool:
    """Return whether a backend keeps a message as `GatewayBackend` does: then SQL may do it instead."""
    return getattr(type(backend), "enqueue", None) is GatewayBackend.enqueue


def has_ledger(found: AppSettings, connection: Any, alias: str) -> bool:
    """Return whether the ledger is the very database of a connection, as far as their settings say so."""
    if connection.vendor != "postgresql":
        return False
    if found.get("DATABASE") is not None:
        return bool(found.get("DATABASE") == alias)
    server = find_server(str(found.get("LEDGER")))
    return server is not None and server == find_server_of(connection.settings_dict)


def _write(
    message: SmsMessage, not_before: datetime | None, alias: str, name: str, account: Account | None
) -> None:
    """Write a text down in the transaction, and take it to the ledger after its commit."""
    rows = PendingSend.objects.using(alias)
    values = {
        "recipient": str(message.recipients[0]),
        "text": message.text,
        "sender_id": message.sender_id or (account and account.sender_id),
        "account": account.name if account else "",
        "not_before": None if not_before is None else min(not_before.timestamp(), _LAST_SECOND),
        "backend": name,
    }
    waiting = rows.filter(idempotency_key=message.idempotency_key, is_refused=False)
    # Databases there are that take two cases of a letter for one.
    same = next((row for row in waiting if row.idempotency_key == message.idempotency_key), None)
    if same is not None and any(getattr(same, name) != values[name] for name in _CONTENT):
        raise IdempotencyConflictError(
            _("This idempotency_key stands for another message. Nothing was enqueued."),
            first_used_at=same.created_at.timestamp(),
        )
    if same is not None:
        return
    row = rows.create(idempotency_key=message.idempotency_key, **values)
    if connections[alias].in_atomic_block:
        transaction.on_commit(partial(forward, row.pk, alias), using=alias)
    # A transaction that is managed by hand has no callbacks: a worker takes the row.


def forward(row_id: int, alias: str) -> bool:
    """Take what was written down to the ledger; return whether it is there. Raises nothing.

    May be repeated, by any number of processes: the ledger keeps a key once.
    """
    try:
        return _forward(row_id, alias)
    except Exception as error:  # noqa: BLE001  raised, it would keep others from what they do at the commit
        logger.warning(_WAITS, name_error(error))
        return False


_WAITS = N_("What was enqueued waits for its ledger (%s).")


def _forward(row_id: int, alias: str) -> bool:
    row = PendingSend.objects.using(alias).filter(pk=row_id, is_refused=False).first()
    if row is None:
        return False
    try:
        _keep(row)
    except InvalidInputError as error:
        # It will never be kept: somebody must know.
        refused = PendingSend.objects.using(alias).filter(pk=row_id)
        refused.update(is_refused=True, error_code=error.error_code)
        logger.error(N_("What was enqueued in a transaction cannot be sent: %s"), error.english)  # noqa: TRY400
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
    if not isinstance(backend, OutboxBackend):
        # It is another one since. Nobody would know whether a try before this one had sent.
        raise misconfigured(_("{setting} names no backend.", setting=row.backend), "config.django")
    account = _find_account(backend)
    if row.account != (account.name if account else ""):
        # A try before this one may have kept it there: under another account its key would be another.
        raise misconfigured(
            _("It was enqueued for another account than that of the settings."), "config.django"
        )
    backend.enqueue(message, None if row.not_before is None else _read_time(row.not_before))


def _read_time(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidInputError(
            _("not_before is a datetime with a time zone. Nothing was enqueued."),
            error_code="input.not_before",
            argument="not_before",
        ) from None


def forward_left(alias: str, *, limit: int = 100) -> int:
    """Take to the ledger what processes left behind that died after their commit; return how much.

    What the ledger does not take now holds up no other. Raises what the project's own database raises.
    """
    now = timezone.now()
    # The clock of whoever wrote it may have been ahead.
    is_left = Q(created_at__lt=now - LEFT_BEHIND) | Q(created_at__gt=now)
    waiting = PendingSend.objects.using(alias).filter(is_left, is_refused=False).order_by("pk")
    taken, last = _Round(), 0
    while not taken.is_over and (page := [*waiting.filter(pk__gt=last).values_list("pk", flat=True)[:limit]]):
        last = page[-1]
        for row_id in page:
            taken.forward(row_id, alias)
    for problem in sorted(taken.problems):
        logger.warning(_WAITS, problem)
    return taken.count


@define
class _Round:
    """What became of the rows that are forwarded in one go."""

    count: int = 0
    #: The rows in a row that the ledger did not take.
    refused: int = 0
    #: What went wrong, each once.
    problems: set[str] = field(factory=set)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to gain by going on."""
        return self.count > 0 or self.refused >= _AWAY_AFTER

    def forward(self, row_id: int, alias: str) -> None:
        """Forward a row, unless the ledger is away."""
        if self.refused >= _AWAY_AFTER:
            return
        try:
            self.count += _forward(row_id, alias)
            self.refused = 0
        except Error:
            raise
        except Exception as error:  # noqa: BLE001  one row must not hold up the others
            self.refused += isinstance(error, LedgerError)
            self.problems.add(name_error(error))


def forward_all() -> int:
    """Do so for every database of the project; return how much. Raises what one raised, after the others."""
    count, problem = 0, None
    for alias in list_databases():
        try:
            count += forward_left(alias) if has_table(alias) else 0
        except Error as error:
            problem = error
    if problem is not None:
        raise problem
    return count


def list_databases() -> list[str]:
    """Return the databases of the project that may have the app's table. Asks none of them."""
    return [
        alias for alias in connections if _is_real(alias) and router.allow_migrate_model(alias, PendingSend)
    ]


def has_table(alias: str) -> bool:
    """Return whether a database has the app's table."""
    return TABLE in connections[alias].introspection.table_names()
