"""Fifty thousand messages: the work of a page and of a stream does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.inbox import PHONE, listening, send
from vavasms.sandbox import Entry, Gateway, Journal, SandboxServer

MANY = 50_000


class CountingJournal(Journal):
    """Count the entries that are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        self.looked += len(super().entries)
        return super().entries

    def read_after(self, sequence: int, limit: int | None = None) -> tuple[int, tuple[Entry, ...]]:
        generation, entries = super().read_after(sequence, limit)
        self.looked += len(entries)
        return generation, entries

    def backwards(self, below: int | None = None) -> Iterator[Entry]:
        for entry in super().backwards(below):
            self.looked += 1
            yield entry

    def find_number(self, number: int) -> tuple[Entry, int] | None:
        self.looked += 1
        return super().find_number(number)


def phone_of(number: int) -> str:
    return f"22505000{number % 5_000:05d}"


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway(balance=10**9)


@pytest.fixture(scope="module")
def entries(gateway: Gateway) -> tuple[Entry, ...]:
    for number in range(MANY):
        send(gateway, phone_of(number), f"Bonjour {number}")
    return gateway.journal.entries


@pytest.fixture
def journal(entries: tuple[Entry, ...]) -> CountingJournal:
    """Return a journal of the same entries for each test: some add to it."""
    journal = CountingJournal()
    for entry in entries:
        journal.add(entry)
    return journal


@pytest.fixture
def full(gateway: Gateway, journal: CountingJournal) -> Iterator[SandboxServer]:
    gateway.journal = journal
    with SandboxServer(gateway) as server:
        yield server


def version(html: str) -> str:
    return html.partition('data-version="')[2].partition('"')[0]


def get(server: SandboxServer, path: str) -> str:
    return httpx.get(server.origin + path, trust_env=False, timeout=10).text


def test_the_first_page_of_all_looks_at_each_entry_once(
    full: SandboxServer, journal: CountingJournal
) -> None:
    html = get(full, "/")
    assert html.count('data-testid="conversation"') == 51  # and the pattern for the script
    assert len(html) < 100_000
    assert journal.looked <= MANY + 100  # once in a life


@pytest.mark.parametrize(
    "path",
    ["/", f"/?to={phone_of(7)}", f"/sandbox/inbox/conversations/{phone_of(7)}", "/?q=Bonjour", "/?q=0007"],
)
def test_a_page_looks_at_a_page_of_entries(full: SandboxServer, journal: CountingJournal, path: str) -> None:
    get(full, "/")
    before = journal.looked
    get(full, path)
    # A search for a part of a number looks until its page is full: every thousandth fits here.
    assert journal.looked - before <= (MANY + 100 if "q=0007" in path else 200)


def test_the_end_of_a_long_list_costs_no_more(full: SandboxServer, journal: CountingJournal) -> None:
    get(full, "/")
    oldest = MANY - 5_000
    before = journal.looked
    reply = get(full, f"/sandbox/inbox/conversations?below={1_000_001 + oldest + 20}")
    assert journal.looked - before == 20
    assert reply.count('"phone"') == 20


def test_the_stream_tells_of_one_message_by_looking_at_it_alone(
    full: SandboxServer, journal: CountingJournal
) -> None:
    since = version(get(full, "/"))
    with listening(full, since) as events:
        events.next("faults")
        quiet = events.size
        assert quiet < 1_000
        before = journal.looked
        send(full.gateway, PHONE, "Une de plus")
        event = events.next("messages")
    assert [one["text"] for one in event.data["messages"]] == ["Une de plus"]
    assert journal.looked - before <= 5
    assert events.size - quiet < 2_000


def test_a_lot_of_tens_of_thousands_is_told_by_one_page(
    full: SandboxServer, journal: CountingJournal
) -> None:
    since = version(get(full, "/"))
    with listening(full, since) as events:
        events.next("faults")
        before, read = journal.looked, events.size
        send(full.gateway, ",".join([f"22505{number:08d}" for number in range(40_000)]))
        event = events.next("messages")
    assert (len(event.data["messages"]), event.data["more"]) == (50, True)
    assert journal.looked - before < 100  # looked at again for each slice of it
    assert events.size - read < 60_000
