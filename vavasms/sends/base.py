"""What a client needs of its single sends before it has any: types alone, loaded with the client."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from vavasms.ledger.send_record import SendRecord
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.wire.requests import TextDraft


class OpenLedger(Protocol):
    """A ledger that is open: `SqliteLedger`, `PostgresLedger`, `MemoryLedger`."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...


class Sends(Protocol):
    """The single sends of a client that has a ledger: `vavasms.sends.client.ClientSends`."""

    async def send_text(
        self, draft: TextDraft, to: tuple[Msisdn, ...], content: tuple[str, str], key: str | None
    ) -> Lot:
        """Send a text once for its key; `content` is the sender ID and the text."""
        ...

    async def enqueue(
        self, to: tuple[Msisdn, ...], content: tuple[str, str], key: str | None, not_before: datetime | None
    ) -> SendRecord:
        """Keep a text for a worker."""
        ...

    async def find(self, key: str) -> SendRecord | None:
        """Return what is kept under a key."""
        ...

    async def resolve(self, key: str, *, sent: bool, note: str) -> SendRecord:
        """Write what a person found out."""
        ...

    async def aclose(self) -> None:
        """Close the ledger of this loop, where it was opened by the client. May be called twice."""
        ...
