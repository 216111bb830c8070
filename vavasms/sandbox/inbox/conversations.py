"""Conversations by number, in order of their last message, at the cost of what is new."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from itertools import dropwhile, islice

from anyio.lowlevel import checkpoint

from vavasms.sandbox.journal import Entry, InboxMessage, Journal

#: How many conversations or messages are shown at once.
PAGE = 50
# How many recipients are spread between two looks of the event loop: a few milliseconds.
_SLICE = 4096
_ENTRIES = 256
# A number has 15 digits at most, and a comma.
_WIDEST = 16


class Version(tuple[str, int, int]):
    """How far somebody has seen: which sandbox, how often cleared, the highest message number."""

    __slots__ = ()

    def __str__(self) -> str:
        return "{}.{}.{}".format(*self)

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Return the version that `str` wrote; None for anything else."""
        name, *numbers = text.split(".")
        if len(numbers) != 2 or not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
            return None
        return cls((name, int(numbers[0]), int(numbers[1])))


class Index:
    """The last message to each number and, of each message, the one before it.

    It follows the journal when asked to, an entry's recipients in slices: a million of them are not spread
    at once, and nothing is spread as long as nobody looks. Safe between threads.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._name = secrets.token_hex(4)
        self._sequence = 0
        self._forget(0)

    def _forget(self, generation: int) -> None:
        self._generation = generation
        # Numbers of phones and of messages as int: half the memory of text. In order of the last message.
        self._last: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._messages = 0
        self._top = 0
        self._offset = 0
        self._within = 0

    @property
    def version(self) -> Version:
        """Return how far the index has come."""
        return Version((self._name, self._generation, self._top))

    @property
    def totals(self) -> dict[str, int]:
        """Count messages and conversations."""
        return {"messages": self._messages, "conversations": len(self._last)}

    async def catch_up(self) -> None:
        """Take in all that is in the journal, and let others work in between."""
        while self.step():
            await checkpoint()

    def step(self, most: int = _SLICE) -> bool:
        """Take in at most so many recipients of what is new; return whether there may be more."""
        with self._lock:
            generation, entries = self._journal.read_after(self._sequence, _ENTRIES)
            if generation != self._generation:
                self._forget(generation)
            left = most
            for entry in entries:
                left -= self._spread(entry, left)
                if left <= 0:
                    return True
            return len(entries) == _ENTRIES

    def _spread(self, entry: Entry, most: int) -> int:
        """Take in recipients of an entry from where the last step stopped; return how many."""
        start, end = self._offset, self._offset + most * _WIDEST
        cut = len(entry.to) if end >= len(entry.to) else entry.to.rfind(",", start, end)
        phones = entry.to[start:cut].split(",")
        first = entry.first_id + self._within
        for number, phone in enumerate(map(int, phones), first):
            before = self._last.pop(phone, None)
            if before is not None:
                self._before[number] = before
            self._last[phone] = number
        self._messages += len(phones)
        self._top = first + len(phones) - 1
        whole = cut == len(entry.to)
        self._sequence = entry.sequence if whole else self._sequence
        self._offset, self._within = (0, 0) if whole else (cut + 1, self._within + len(phones))
        return len(phones)

    def conversations(self, below: int | None = None) -> list[InboxMessage]:
        """Return the last message of each conversation, newest first: a page, of those under `below`."""
        with self._lock:
            latest: Iterator[tuple[int, int]] = reversed(self._last.items())
            if below is not None:
                latest = dropwhile(lambda pair: pair[1] >= below, latest)
            page = list(islice(latest, PAGE))
        return self._read(page)

    def thread(self, phone: str, below: int | None = None) -> list[InboxMessage]:
        """Return the messages to `phone`, newest first: a page, from the one before number `below` on."""
        to = int(phone)
        page: list[tuple[int, int]] = []
        with self._lock:
            number = self._last.get(to) if below is None else self._before.get(below)
            while number is not None and len(page) < PAGE:
                page.append((to, number))
                number = self._before.get(number)
        return self._read(page)

    def newer(self, seen: Version | None, known: Version) -> list[InboxMessage] | None:
        """Return what came in between, newest first, a page at most; None: look at everything instead."""
        if seen is None or seen[:2] != known[:2] or seen[2] > known[2]:
            return None
        newer: list[InboxMessage] = []
        for entry in self._journal.backwards(known[2] + 1):
            for index, phone in entry.backwards(known[2] + 1 - entry.first_id):
                if entry.first_id + index <= seen[2] or len(newer) == PAGE:
                    return newer
                newer.append(entry.message_to(index, phone))
        return newer

    def _read(self, page: list[tuple[int, int]]) -> list[InboxMessage]:
        """Return messages by number; what was cleared meanwhile is left out."""
        positions = ((phone, self._journal.find_number(number)) for phone, number in page)
        return [at[0].message_to(at[1], str(phone)) for phone, at in positions if at is not None]
