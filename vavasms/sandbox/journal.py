"""Keep what the sandbox accepted: the ground truth of a test.

One entry a request, however many recipients it has: a million of them cost a few tens of megabytes.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from attrs import frozen

__all__ = ["Entry", "InboxMessage", "Journal", "Kind"]


class Kind(Enum):
    """Name what was sent."""

    TEXT = "text"
    OTP = "otp"


_PREFIX = {Kind.TEXT: "SM", Kind.OTP: "OTP"}


@frozen(kw_only=True)
class Entry:
    """Describe one accepted request."""

    #: Position in the journal, from 1; never used again, not even after `Journal.clear`.
    sequence: int
    #: When it was accepted, in the gateway's clock (seconds).
    time: float
    #: A text or a one-time code.
    kind: Kind
    #: `LOT-YYYYMMDD-N`; empty for a one-time code, whose documented reply has none.
    lot_id: str
    #: The sender ID it was sent under.
    sender_id: str
    #: The recipients as accepted: digits without `+`, joined by commas, repetitions kept.
    to: str
    #: The text, with the code in its place.
    message: str
    #: Segments of the text, for one recipient.
    segments: int
    #: What the whole request cost, in XOF.
    cost: Decimal
    #: `YYYYMMDD` (UTC), the middle of the ids.
    day: str
    #: Number of the first message id; the others follow one by one.
    first_id: int

    # Ids and numbers are kept folded and spread on demand: a million of each as text would be 140 MB.
    @property
    def phones(self) -> tuple[str, ...]:
        """List the recipients in the order of the request."""
        return tuple(self.to.split(","))

    @property
    def recipients(self) -> int:
        """Count the recipients, repetitions too."""
        return self.to.count(",") + 1

    @property
    def message_ids(self) -> tuple[str, ...]:
        """List the message ids, one a recipient, in the same order."""
        stem = f"{_PREFIX[self.kind]}-{self.day}-"
        return tuple([f"{stem}{number}" for number in range(self.first_id, self.first_id + self.recipients)])

    def message_id(self, index: int) -> str:
        """Write the id of the message to the recipient at `index`."""
        return f"{_PREFIX[self.kind]}-{self.day}-{self.first_id + index}"


@frozen(kw_only=True)
class InboxMessage:
    """Describe one message as its recipient sees it."""

    #: The id given to the sender.
    message_id: str
    #: The lot it was part of; empty for a one-time code.
    lot_id: str
    #: A text or a one-time code.
    kind: Kind
    #: Who it seems to come from.
    sender_id: str
    #: The recipient, digits without `+`.
    phone: str
    #: The text.
    text: str
    #: When it was accepted, in the gateway's clock (seconds).
    time: float
    #: In how many segments it travels.
    segments: int


class Journal:
    """Hold the entries in order; safe between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[Entry] = []
        self._counts: dict[str, int] = {}
        self._counted = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """List all entries, oldest first."""
        with self._changed:
            return tuple(self._entries)

    def entries_after(self, sequence: int) -> tuple[Entry, ...]:
        """List the entries later than `sequence`, oldest first."""
        with self._changed:
            start = bisect_right(self._entries, sequence, key=lambda entry: entry.sequence)
            return tuple(self._entries[start:])

    @property
    def recipients(self) -> int:
        """Count the recipients of all entries, repetitions too."""
        return sum(entry.recipients for entry in self.entries)

    def add(self, entry: Entry) -> None:
        """Append an entry and wake whoever waits for it."""
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything; sequence numbers and ids go on."""
        with self._changed:
            self._entries.clear()
            self._counts = {}
            self._counted = 0
            self._changed.notify_all()

    def wait_for(self, entries: int, *, timeout: float = 5.0) -> bool:
        """Wait in this thread until at least `entries` are held; tell whether within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._entries) >= entries, timeout)

    def accepted_count(self, phone: str) -> int:
        """Count how often a message to `phone` (with or without `+`) was accepted."""
        return self.counts().get(phone.removeprefix("+"), 0)

    def counts(self) -> Mapping[str, int]:
        """Count the acceptances of every recipient: a live, read-only view."""
        with self._changed:
            # Counted when asked, not when accepting: 100 recipients must be accepted in far less than 1 ms.
            for entry in self._entries[self._counted :]:
                for phone in entry.phones:
                    self._counts[phone] = self._counts.get(phone, 0) + 1
            self._counted = len(self._entries)
            return MappingProxyType(self._counts)

    def find(self, message_id: str) -> tuple[Entry, int] | None:
        """Find the entry of a message id and its recipient's position, or None."""
        number = message_id.rpartition("-")[2]
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        with self._changed:
            place = bisect_right(self._entries, int(number), key=lambda entry: entry.first_id)
            entry = self._entries[place - 1] if place else None
        if entry is None:
            return None
        index = int(number) - entry.first_id
        known = index < entry.recipients and entry.message_id(index) == message_id
        return (entry, index) if known else None

    def messages(self, phone: str | None = None, *, limit: int | None = None) -> tuple[InboxMessage, ...]:
        """List what reached `phone` (None: anybody), newest first, at most `limit`."""
        wanted = None if phone is None else phone.removeprefix("+")
        found: list[InboxMessage] = []
        for entry in reversed(self.entries):
            if limit is not None and len(found) >= limit:
                break
            if wanted is None or wanted in entry.to:
                found.extend(_inbox(entry, wanted))
        return tuple(found[:limit])


def _inbox(entry: Entry, wanted: str | None) -> list[InboxMessage]:
    """Spread an entry over the recipients that are wanted."""
    return [
        InboxMessage(
            message_id=entry.message_id(index),
            lot_id=entry.lot_id,
            kind=entry.kind,
            sender_id=entry.sender_id,
            phone=phone,
            text=entry.message,
            time=entry.time,
            segments=entry.segments,
        )
        for index, phone in enumerate(entry.phones)
        if wanted is None or phone == wanted
    ]
