"""The keys of backends that have no ledger: remembered while the process lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock

from attrs import evolve

from vavasms.django.messages import SmsMessage
from vavasms.errors import IdempotencyConflictError
from vavasms.forks import forget_at_fork
from vavasms.i18n import gettext as _
from vavasms.models import Lot


class SentKeys:
    """What was sent under which key."""

    def __init__(self) -> None:
        self._sent: dict[str, tuple[SmsMessage, Lot, float]] = {}
        self._lock = RLock()
        forget_at_fork(self, SentKeys._forget)

    def _forget(self) -> None:
        self._lock = RLock()

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._sent.clear()

    def send_once(self, message: SmsMessage, send: Callable[[SmsMessage], Lot]) -> Lot:
        """Send a message, or return the lot that its key stands for.

        Raises `IdempotencyConflictError` for a key that stands for another message.
        """
        key = message.idempotency_key
        if key is None:
            return send(message)
        with self._lock:
            if key not in self._sent:
                self._sent[key] = message, send(message), time.time()
                return self._sent[key][1]
            first, lot, at = self._sent[key]
        if first != message:
            raise IdempotencyConflictError(
                _("This idempotency_key stands for another message. Nothing was sent."), first_used_at=at
            )
        return evolve(lot, replayed=True)
