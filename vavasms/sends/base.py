"""What a client needs of its single sends before it has any: types alone, loaded with the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from attrs import field, frozen

from vavasms.ledger.send_record import SendRecord
from vavasms.models import Lot, OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn
from vavasms.wire.requests import Request, TextDraft

#: What a code is asked for with, by name; None: the gateway's default.
OtpOptions: TypeAlias = Mapping[str, str | int | timedelta | None]


@frozen(kw_only=True)
class OtpDraft:
    """A one-time code to be sent, checked."""

    request: Request
    recipient: Msisdn
    sender_id: str
    #: What makes two calls with one key the same.
    options: OtpOptions = field(repr=False)


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


class Otps(Protocol):
    """The one-time codes of a client that has a ledger or limits: see `vavasms.sends.otps`."""

    async def send(self, draft: OtpDraft, key: str | None, client: str | None) -> OtpReceipt:
        """Send a code, once for its key, where the limits let it through."""
        ...

    async def verify(self, to: Msisdn, call: Callable[[], Awaitable[OtpVerification]]) -> OtpVerification:
        """Verify a code, where not too many wrong ones were tried."""
        ...
