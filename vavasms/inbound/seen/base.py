"""What every seen store does: at least once, and never again once it was acknowledged.

The id of a message is claimed, the handler runs, the claim is committed, then the platform gets its 200. A
claim is a lease: whoever handles a message renews it, and one that is not renewed (the process was killed)
can be taken over.
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import Protocol, Self

from vavasms.models import InboundMessage

#: Seconds that a claim holds without being renewed.
LEASE = 15.0
DAY = 86_400.0
#: Days after which a handled id is forgotten.
KEEP_DAYS = 90.0
#: Old ids are looked for this often, in seconds, and so many of them at most are forgotten then.
FORGET_EVERY = 60.0
FORGET_AT_ONCE = 10_000


class ClaimStatus(Enum):
    """What became of an attempt to claim an id."""

    #: It is ours: handle it.
    CLAIMED = "claimed"
    #: Another is handling it.
    BUSY = "busy"
    #: It was handled, and says the same.
    HANDLED = "handled"
    #: It was handled, and said something else.
    CONFLICT = "conflict"


class SeenStore(Protocol):
    """Which messages were handled. Raises `LedgerError` where it cannot be read or written."""

    #: Seconds that a claim holds without being renewed.
    lease: float

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        """Claim an id for `owner`, a text nobody else has, if it is new or released or its lease ran out."""
        ...

    async def renew(self, message_id: str, owner: str) -> None:
        """Renew a claim for another lease, if it is still the owner's."""
        ...

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        """Note for good that a message was handled, even if the claim was lost meanwhile."""
        ...

    async def release(self, message_id: str, owner: str) -> None:
        """Release a claim, if it is still the owner's: the message was not handled."""
        ...

    async def aclose(self) -> None:
        """Close what is open. May be called twice."""
        ...


class ContextSeenStore(SeenStore, Protocol):
    """A seen store that is closed at the end of an `async with` block."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def digest_of(message: InboundMessage) -> bytes:
    """Return 16 bytes that tell two contents apart: sender and text, not the date, which a retry may renew.

    Stores keep this instead of the text; a text that can be guessed can be recognised by it.
    """
    parts = (message.message_id, message.sender, message.text)
    return sha256(b"".join(sha256(part.encode("utf-8", "replace")).digest() for part in parts)).digest()[:16]


def compare(kept: bytes, digest: bytes) -> ClaimStatus:
    """Return the status of an id that was handled."""
    return ClaimStatus.HANDLED if kept == digest else ClaimStatus.CONFLICT
