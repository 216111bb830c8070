"""The real SQLite ledger on a connection of its own, without files, threads and waits.

Where several hosts share a ledger, whoever is silent for too long is taken for dead by the age of a claim. That
is PostgreSQL's way: here SQLite's transactions with PostgreSQL's statements for it, which both engines know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Coroutine, Mapping
from math import inf
from sqlite3 import Connection
from typing import Any, TypeVar, cast

from tests.model.effects import CAMPAIGN, CLAIMED_AT
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.postgres.claims import SQL as POSTGRES_SQL
from vavasms.ledger.postgres.sends import SQL as POSTGRES_SENDS
from vavasms.ledger.rows import DIED, dump_record
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.send_rows import SendRow, resolve_values
from vavasms.ledger.sqlite import claims as tx
from vavasms.ledger.sqlite import sends as send_tx
from vavasms.ledger.sqlite.ledger import SqliteLedger, reap_orphans
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.storage.sqlite.database import Database

T = TypeVar("T")


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        call.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("it waits for something")


class Members:
    """Which processes live, in the place of locks on a file."""

    def __init__(self) -> None:
        self.alive: set[int] = set()

    def lives(self, member: int) -> bool:
        """Return whether a process lives."""
        return member in self.alive


class DirectDatabase:
    """A connection: each write is taken back where it raises, and nothing waits."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.handle = connection, Members()

    def check_open(self) -> None:
        """Do nothing: it is open."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, as one of a common commit."""
        self.connection.execute("SAVEPOINT job")
        try:
            result = work(self.connection)
        except Exception:
            self.connection.execute("ROLLBACK TO job")
            self.connection.execute("RELEASE job")
            raise
        self.connection.execute("RELEASE job")
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`."""
        return work(self.connection)

    async def checkpoint(self, mode: str, *, wait: bool = True) -> bool:
        """Do nothing: there is no log."""
        return True


class DirectLedger(SqliteLedger):
    """`SqliteLedger`, of one runner at a time."""

    def __init__(self) -> None:
        # The schema, as its migrations make it.
        self._memory = MemoryLedger()
        with self._memory._database._connections.writing() as connection:
            self.direct = DirectDatabase(connection)
        super().__init__(cast("Database", _Named(self.direct)))
        self._sends = self.make_sends()

    def make_sends(self) -> SqliteSends:
        """Return its single sends."""
        return SqliteSends(cast("Database", self.direct))

    async def orphan_all(self) -> bool:
        """Take over as a new runner, under a lock that nobody else has here."""
        await self.direct.write(reap_orphans)
        return True

    async def purge_part(self, *, is_first: bool) -> bool:
        """Do one of the two transactions of a purge of few rows."""

        def work(connection: Connection) -> bool:
            campaign = tx.find(connection, CAMPAIGN)
            if is_first:
                tx.begin_purge(connection, campaign)
            else:
                tx.purge_rows(connection, campaign)
            return True

        return await self.direct.write(work)


class _Named:
    """A database with a path, which nobody opens."""

    path = None

    def __init__(self, direct: DirectDatabase) -> None:
        self._direct = direct

    def __getattr__(self, name: str) -> Any:
        return getattr(self._direct, name)


class SharedLedger(DirectLedger):
    """The same of any number of workers: by the age of a claim."""

    is_shared = True

    def make_sends(self) -> SqliteSends:
        return SharedSends(cast("Database", self.direct))

    async def orphan(self, number: int) -> bool:
        """Take a batch's worker for dead by the age of its claim; return whether it was old enough."""

        def work(connection: Connection) -> bool:
            campaign = tx.find(connection, CAMPAIGN)
            values = {"sent_before": CLAIMED_AT - ORPHAN_AFTER, "result": dump_record(DIED)}
            key = {"campaign": campaign.seq, "number": number}
            return connection.execute(REAP_BATCH, {**key, **values}).rowcount == 1

        return await self.direct.write(work)

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        latest = min(sent_before, CLAIMED_AT - RESEND_GRACE)
        return await super().resend(campaign_id, numbers, sent_before=latest)


class SharedSends(SqliteSends):
    """Single sends that many machines share: by the age of a claim, and by no lock."""

    def _lives(self, row: SendRow) -> bool:
        return not row.is_overdue(CLAIMED_AT)

    async def reap(self, *, now: float) -> int:
        values = {"result": dump_record(DIED), "now": now, "sent_before": now - ORPHAN_AFTER}
        return await self._database.write(lambda c: c.execute(REAP_SENDS, values).rowcount)

    async def resolve(
        self, account: str, key: str, *, sent: bool, again: bool, note: str, now: float
    ) -> SendRecord:
        def work(connection: Connection) -> SendRecord:
            row = send_tx._look(connection, account, key)
            row = row and self._find_reaped(connection, account, key, now)
            sent_before = inf if row is None else row.decidable_before(now)
            values = resolve_values(
                row, key, sent=sent, again=again, note=note, now=now, sent_before=sent_before
            )
            connection.execute(send_tx.SQL["resolve_send"], values)
            return send_tx._get(connection, account, key).public

        return await self._database.write(work)


def _translate(queries: Mapping[str, str], name: str) -> str:
    """Return a statement of PostgreSQL's in the words of SQLite."""
    return re.sub(r"%\((\w+)\)s", r":\1", queries[name]).replace("vavasms.", "")


REAP_BATCH = _translate(POSTGRES_SQL, "reap_batch")
REAP_SENDS = _translate(POSTGRES_SENDS, "reap_sends")
