"""What a backend is."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from vavasms.django.messages import SmsMessage
from vavasms.models import Lot


class SmsBackend(Protocol):
    """What messages are handed to. Made without arguments, one for the process; called in any thread."""

    def send(self, message: SmsMessage) -> Lot:
        """Send a message, once for its key; return what was made of it.

        Raises the one `VavaSMSError` that fits, with its `outcome`.
        """
        ...


@runtime_checkable
class OutboxBackend(SmsBackend, Protocol):
    """A backend that keeps a message for a worker: `enqueue` and `vavasms_worker` refuse any other.

    `console` and `locmem` alone take what is enqueued at the commit: from them no SMS reaches a phone.
    """

    def enqueue(self, message: SmsMessage, not_before: datetime | None) -> object:
        """Keep a message, once for its key. May be repeated."""
        ...
