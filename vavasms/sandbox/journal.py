"""What the sandbox accepted: the ground truth of a test.

One entry a request, however many recipients it has: a million of them cost a few tens of megabytes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from itertools import islice, takewhile
from types import MappingProxyType

from attrs import frozen

from vavasms.sandbox.signals import Signal


class Kind(Enum):
    """What was sent."""

    TEXT = "text"
    OTP = "otp"


# How many entries are copied at once by who walks them backwards: most look at a few.
_BLOCK = 64
_PREFIX = {Kind.TEXT: "SM", Kind.OTP: "OTP"}


@frozen(kw_only=True)
class Entry:
    """One accepted request."""

    #: Position in the journal, from 1; never used again, not even after `Journal.clear`.
    sequence: int
    #: When it was accepted, in the gateway's clock (seconds).
    time: float
    kind: Kind
    #: `LOT-YYYYMMDD-N`; empty for a one-time code, whose documented reply has none.
    lot_id: str
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
    #: The one-time code in the text; empty for a text.
    otp: str = ""

    # Ids and numbers are kept folded and spread on demand: a million of each as text would be 140 MB.
    @property
    def phones(self) -> tuple[str, ...]:
        """Return the recipients in the order of the request."""
        return tuple(self.to.split(","))

    @property
    def recipients(self) -> int:
        """Count the recipients, repetitions too."""
        return self.to.count(",") + 1

    def phone(self, index: int) -> str:
        """Return the recipient at `index`."""
        return self.to.split(",", index + 1)[index]

    def backwards(self, below: int | None = None) -> Iterator[tuple[int, str]]:
        """Walk index and recipient from the last, or from the one before `below`, to the first, unspread."""
        index, end = self.recipients, len(self.to)
        while index > 0:
            start = self.to.rfind(",", 0, end) + 1
            index -= 1
            if below is None or index < below:
                yield index, self.to[start:end]
            end = start - 1

    @property
    def message_ids(self) -> tuple[str, ...]:
        """Return the message ids, one a recipient, in the same order."""
        stem = f"{_PREFIX[self.kind]}-{self.day}-"
        return tuple([f"{stem}{number}" for number in range(self.first_id, self.first_id + self.recipients)])

    def message_id(self, index: int) -> str:
        """Return the id of the message to the recipient at `index`."""
        return f"{_PREFIX[self.kind]}-{self.day}-{self.first_id + index}"

    def message_to(self, index: int, phone: str) -> InboxMessage:
        """Return the message to `phone`, the recipient at `index`, as its handset has it."""
        return InboxMessage(
            sequence=self.sequence,
            number=self.first_id + index,
            message_id=self.message_id(index),
            lot_id=self.lot_id,
            kind=self.kind,
            sender_id=self.sender_id,
            phone=phone,
            text=self.message,
            otp=self.otp,
            time=self.time,
            segments=self.segments,
            price=self.cost / self.recipients,
        )


@frozen(kw_only=True)
class InboxMessage:
    """One message as its recipient sees it."""

    #: The position of its request in the journal.
    sequence: int
    #: Its own number: messages accepted later have higher ones.
    number: int
    message_id: str
    #: Empty for a one-time code.
    lot_id: str
    kind: Kind
    sender_id: str
    #: The recipient, digits without `+`.
    phone: str
    text: str
    #: The one-time code in it; empty for a text.
    otp: str
    #: When it was accepted, in the gateway's clock (seconds).
    time: float
    segments: int
    #: What it cost, in XOF.
    price: Decimal


class Journal:
    """The entries in order; safe between threads."""

    def __init__(self) -> None:
        #: Emitted when an entry comes, when all are forgotten, and when the balance is set.
        self.signal = Signal()
        self._changed = threading.Condition()
        self._generation = 0
        self._entries: list[Entry] = []
        self._counts: dict[str, int] = {}
        self._counted = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return all entries, oldest first."""
        with self._changed:
            return tuple(self._entries)

    def entries_after(self, sequence: int, limit: int | None = None) -> tuple[Entry, ...]:
        """Return the entries later than `sequence`, oldest first, at most `limit`."""
        return self.read_after(sequence, limit)[1]

    def read_after(self, sequence: int, limit: int | None = None) -> tuple[int, tuple[Entry, ...]]:
        """Return how often the journal has been cleared, and what `entries_after` returns."""
        with self._changed:
            start = bisect_right(self._entries, sequence, key=lambda entry: entry.sequence)
            stop = None if limit is None else start + limit
            return self._generation, tuple(self._entries[start:stop])

    def backwards(self, below: int | None = None) -> Iterator[Entry]:
        """Walk the entries that hold a message numbered under `below` (any), newest first.

        A clearing ends the walk; what is added meanwhile is not seen.
        """
        with self._changed:
            generation = self._generation
            place = len(self._entries)
            if below is not None:
                place = bisect_left(self._entries, below, key=lambda entry: entry.first_id)
        while place > 0:
            start = max(0, place - _BLOCK)
            with self._changed:
                block = self._entries[start:place] if generation == self._generation else []
            yield from reversed(block)
            place = start

    @property
    def recipients(self) -> int:
        """Count the recipients of all entries, repetitions too."""
        return sum(entry.recipients for entry in self.entries)

    def add(self, entry: Entry) -> None:
        """Append an entry and wake whoever waits for it."""
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()
        self.signal.emit()

    def clear(self) -> None:
        """Forget everything; sequence numbers and ids go on."""
        with self._changed:
            self._entries.clear()
            self._generation += 1
            self._counts = {}
            self._counted = 0
            self._changed.notify_all()
        self.signal.emit()

    def wait_for(self, entries: int, *, timeout: float = 5.0) -> bool:
        """Wait in this thread until at least `entries` are held; return whether within `timeout` seconds."""
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
        """Return the entry of a message id and its recipient's position, or None."""
        number = message_id.rpartition("-")[2]
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        entry, index = self.find_number(int(number)) or (None, 0)
        return (entry, index) if entry is not None and entry.message_id(index) == message_id else None

    def find_number(self, number: int) -> tuple[Entry, int] | None:
        """Return the entry of a message's number and its recipient's position, or None."""
        with self._changed:
            place = bisect_right(self._entries, number, key=lambda entry: entry.first_id)
            entry = self._entries[place - 1] if place else None
        if entry is None or number - entry.first_id >= entry.recipients:
            return None
        return entry, number - entry.first_id

    def messages(
        self, phone: str | None = None, *, text: str = "", after: int = 0, limit: int | None = None
    ) -> tuple[InboxMessage, ...]:
        """Return what reached `phone` (None: anybody) and holds `text` in any case, newest first.

        Only of the entries later than the sequence `after`, and at most `limit`.
        """
        recipient, folded = None if phone is None else phone.removeprefix("+"), text.casefold()
        messages = (
            entry.message_to(index, to)
            for entry in takewhile(lambda entry: entry.sequence > after, self.backwards())
            if (recipient is None or recipient in entry.to) and folded in entry.message.casefold()
            for index, to in enumerate(entry.phones)
            if recipient in {None, to}
        )
        return tuple(islice(messages, limit))
