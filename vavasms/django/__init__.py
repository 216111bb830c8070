"""vavasms as a Django app: `INSTALLED_APPS = […, "vavasms.django"]`, `VAVASMS = {…}`, `send_sms(…)`.

Needs the extra: `pip install "vavasms[django]"`.
"""

from __future__ import annotations

from datetime import datetime

from vavasms.django.backends.locmem import outbox
from vavasms.django.client import get_sms
from vavasms.django.messages import SmsMessage
from vavasms.django.sends import asend_sms, send_sms
from vavasms.tracebacks import hide_all_frames

__all__ = ["SmsMessage", "asend_sms", "enqueue", "get_sms", "outbox", "send_sms"]


@hide_all_frames
def enqueue(
    to: str,
    text: str,
    *,
    idempotency_key: str,
    sender_id: str | None = None,
    not_before: datetime | None = None,
    using: str | None = None,
    backend: str | None = None,
) -> None:
    """Enqueue one text in the transaction of `using`: what is rolled back was never there.

    Without it, of the database that is the ledger, if there is one and a transaction is open there or none is
    open in the default database; else of the default database.

    `manage.py vavasms_worker` sends it, at once or from `not_before` on (with a time zone). May be repeated:
    a key stands for one message, and is sent once.

    Where the ledger is that very database of PostgreSQL it is written there in the same transaction. With any
    other it is written into a table of the app in the same transaction, and taken to the ledger right after
    the commit; a process that dies in between loses nothing, for the worker takes what is left behind.
    Backends that keep nothing (console, locmem) send at the commit.

    Raises `InvalidInputError` and `ConfigurationError` before the database is asked;
    `IdempotencyConflictError` for a key that is known to stand for something else.
    """
    # The app's models are there once Django is set up, and this package before.
    from vavasms.django.transactions import enqueue_text

    enqueue_text(
        to,
        text,
        idempotency_key=idempotency_key,
        sender_id=sender_id,
        not_before=not_before,
        using=using,
        backend=backend,
    )
