"""A seen store in one SQLite file, for any number of processes on one machine. asyncio and trio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Self

from anyio.to_thread import run_sync

from vavasms.inbound.seen import base
from vavasms.inbound.seen.base import DAY, KEEP_DAYS, LEASE, ClaimStatus, ContextSeenStore, compare
from vavasms.inbound.seen.process_lock import ProcessLock
from vavasms.storage.queries import load_migrations, load_queries
from vavasms.storage.sqlite.database import Database
from vavasms.storage.sqlite.files import resolve

#: Marks a file as a seen store: "VAVI".
APPLICATION_ID = 0x56415649
MIGRATIONS = load_migrations("vavasms.inbound.seen", "sql/sqlite")
SQL = load_queries("vavasms.inbound.seen", "sql/sqlite/queries.sql")


class SqliteSeenStore(ContextSeenStore):
    """A store in a file (mode 0600). Open it with `SqliteSeenStore.open`; an async context manager.

    The first process to open it knows that all claims it finds are of the dead. Where others live beside
    it, the claims of one that was killed run out with their lease.
    """

    def __init__(
        self, database: Database, lock: ProcessLock, *, keep: float, lease: float, clock: Callable[[], float]
    ) -> None:
        self.path = database.path
        self.lease = lease
        self._database, self._lock = database, lock
        self._keep, self._clock = keep, clock
        self._forgot_at = 0.0

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        keep_days: float = KEEP_DAYS,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open a seen store, or make one where there is no file yet; ids are kept for `keep_days` days.

        Raises `ConfigurationError` for what names no file, or one of something else; `LedgerError` where it
        cannot be read or made.
        """
        resolved = await run_sync(resolve, path)
        database = await Database.open(resolved, MIGRATIONS, application_id=APPLICATION_ID, upgrade=True)
        try:
            lock = await ProcessLock.acquire(
                resolved,
                lambda: database.write(lambda connection: connection.execute(SQL["release_all"]).rowcount),
            )
        except BaseException:
            await database.aclose()
            raise
        return cls(database, lock, keep=keep_days * DAY, lease=lease, clock=clock)

    async def aclose(self) -> None:
        """Close the file. May be called twice."""
        await self._database.aclose()
        self._lock.release()

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        def work(connection: Connection) -> ClaimStatus:
            # The time as it is now that the file is ours: what waited for it must not judge by an older one.
            values = self._values(message_id, digest=digest, owner=owner)
            if connection.execute(SQL["claim"], values).rowcount:
                self._forget(connection)
                return ClaimStatus.CLAIMED
            kept, is_handled = connection.execute(SQL["look"], values).fetchone()
            return compare(kept, digest) if is_handled else ClaimStatus.BUSY

        return await self._database.write(work)

    async def renew(self, message_id: str, owner: str) -> None:
        await self._change("renew", message_id, owner=owner)

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        del owner
        await self._change("commit", message_id, digest=digest)

    async def release(self, message_id: str, owner: str) -> None:
        await self._change("release", message_id, owner=owner)

    def _values(self, message_id: str, **more: object) -> Mapping[str, Any]:
        return {"message_id": message_id, "now": self._clock(), "lease": self.lease, **more}

    async def _change(self, name: str, message_id: str, **more: object) -> None:
        await self._database.write(
            lambda connection: connection.execute(SQL[name], self._values(message_id, **more)).rowcount
        )

    def _forget(self, connection: Connection) -> None:
        now = self._clock()
        if abs(now - self._forgot_at) < base.FORGET_EVERY:
            return
        self._forgot_at = now
        values = {"now": now, "before": now - self._keep, "limit": base.FORGET_AT_ONCE}
        connection.execute(SQL["forget"], values)
