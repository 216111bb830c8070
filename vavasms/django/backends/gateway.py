"""The backends that send: to the gateway, or to a sandbox on this machine."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from vavasms.django.client import find_client
from vavasms.django.messages import SmsMessage
from vavasms.ledger.send_record import SendRecord
from vavasms.models import Lot
from vavasms.sync.client import VavaSMS


class GatewayBackend:
    """Sends by the client of the process."""

    is_sandbox: ClassVar[bool] = False

    def send(self, message: SmsMessage) -> Lot:
        """Send a message: see `AsyncVavaSMS.send`."""
        return self._client().send(
            message.to, message.text, sender_id=message.sender_id, idempotency_key=message.idempotency_key
        )

    def enqueue(self, message: SmsMessage, not_before: datetime | None) -> SendRecord:
        """Keep a message for a worker: see `AsyncVavaSMS.enqueue`."""
        return self._client().enqueue(
            message.to,
            message.text,
            sender_id=message.sender_id,
            idempotency_key=message.idempotency_key,
            not_before=not_before,
        )

    def _client(self) -> VavaSMS:
        return find_client(is_sandbox=self.is_sandbox)


class SandboxBackend(GatewayBackend):
    """Sends to `vavasms sandbox`, whose page shows what came. Never to the gateway, whatever the settings."""

    is_sandbox: ClassVar[bool] = True
