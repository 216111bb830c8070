"""The backend that prints: for a machine on which nobody wants an SMS."""

from __future__ import annotations

import sys
from secrets import token_hex
from threading import Lock

from vavasms.django.backends.keys import SentKeys
from vavasms.django.messages import SmsMessage
from vavasms.i18n import gettext as _
from vavasms.models import Lot

_printing = Lock()


class ConsoleBackend:
    """Prints each message on standard output, number and text."""

    def __init__(self) -> None:
        self._keys = SentKeys()

    def send(self, message: SmsMessage) -> Lot:
        """Print a message, once for its key while the process lives."""
        return self._keys.send_once(message, _print)


def _print(message: SmsMessage) -> Lot:
    head = _("SMS to {numbers}", numbers=", ".join(message.to))
    with _printing:
        sys.stdout.write(f"{head}\n{message.text}\n{'-' * 79}\n")
        sys.stdout.flush()
    return make_lot(message)


def make_lot(message: SmsMessage) -> Lot:
    """Return the lot of a message that went nowhere."""
    ids = tuple(f"SM-{token_hex(8)}" for _recipient in message.recipients)
    return Lot(lot_id=f"LOT-{token_hex(8)}", message_ids=ids, description="", recipients=message.recipients)
