"""A seen store in a PostgreSQL database, for any number of processes on any host. asyncio only."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Self

from vavasms.config import Secret
from vavasms.errors import LedgerError
from vavasms.inbound.seen import base
from vavasms.inbound.seen.base import DAY, KEEP_DAYS, LEASE, ClaimStatus, ContextSeenStore, compare
from vavasms.storage.postgres.database import PostgresDatabase
from vavasms.storage.queries import load_migrations, load_queries

#: Of its own: a database may hold a ledger, a seen store, or both.
SCHEMA = "vavasms_inbound"
MIGRATIONS = load_migrations("vavasms.inbound.seen", "sql/postgres")
SQL = load_queries("vavasms.inbound.seen", "sql/postgres/queries.sql")


class PostgresSeenStore(ContextSeenStore):
    """A store in a database. Open it with `PostgresSeenStore.open`; an async context manager.

    Leases run by the server's clock: the hosts' clocks need not agree.
    """

    def __init__(self, database: PostgresDatabase, *, keep: float, lease: float) -> None:
        self.lease = lease
        self._database, self._keep = database, keep
        self._forgot_at = float("-inf")

    @classmethod
    async def open(
        cls, url: str, *, keep_days: float = KEEP_DAYS, lease: float = LEASE, connections: int = 4
    ) -> Self:
        """Open a seen store by its connection string; ids are kept for `keep_days` days.

        Raises `ConfigurationError` under trio, for a connection string that cannot be read, or where the
        server turns us away; `LedgerError` where the server is not at hand.
        """
        secret = Secret(url)
        # No local that an error's traceback could show.
        del url
        database = await PostgresDatabase.open(
            secret, MIGRATIONS, upgrade=True, schema=SCHEMA, connections=connections
        )
        return cls(database, keep=keep_days * DAY, lease=lease)

    async def aclose(self) -> None:
        """Close the connections. May be called twice."""
        await self._database.aclose()

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        values = {"message_id": message_id, "digest": digest, "owner": owner, "lease": self.lease}
        rows = await self._database.call(SQL["claim"], values)
        if not rows:
            return ClaimStatus.BUSY
        is_claimed, kept, is_handled = rows[0]
        if is_claimed:
            await self._forget()
            return ClaimStatus.CLAIMED
        return compare(kept, digest) if is_handled else ClaimStatus.BUSY

    async def renew(self, message_id: str, owner: str) -> None:
        values = {"message_id": message_id, "owner": owner, "lease": self.lease}
        await self._database.call(SQL["renew"], values)

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        del owner
        await self._database.call(SQL["commit"], {"message_id": message_id, "digest": digest})

    async def release(self, message_id: str, owner: str) -> None:
        await self._database.call(SQL["release"], {"message_id": message_id, "owner": owner})

    async def _forget(self) -> None:
        now = time.monotonic()
        if now - self._forgot_at < base.FORGET_EVERY:
            return
        self._forgot_at = now
        # The claim is made: a clean-up that fails must not be in its way.
        with suppress(LedgerError):
            await self._database.call(SQL["forget"], {"keep": self._keep, "limit": base.FORGET_AT_ONCE})
