"""A PostgreSQL database: a pool of connections, transactions, every wait with an end. asyncio only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from anyio import CancelScope, fail_after

from vavasms.config import Secret, misconfigured
from vavasms.storage.postgres_link import (
    AsyncConnectionPool,
    Connection,
    Error,
    explain,
    is_alive,
    read_url,
    refuse,
)
from vavasms.storage.postgres_schema import prepare_schema
from vavasms.storage.queries import Migration

T = TypeVar("T")

#: Seconds to wait for a server that is gone, for a statement, and for one that goes over a whole campaign.
PATIENCE = 10.0
STATEMENT_SECONDS = 30.0
LONG_SECONDS = 900.0
#: Beyond the statements of a transaction and the wait for its connection.
_SPARE_SECONDS = 20.0

#: `remote_apply` is more than `on`: it stays. A worker that was suspended must not hold its locks for ever.
_SESSION = f"""
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') <> 'remote_apply';
SELECT set_config('statement_timeout', '{STATEMENT_SECONDS:.0f}s', false),
    set_config('idle_in_transaction_session_timeout', '60s', false),
    set_config('default_transaction_isolation', 'read committed', false);
"""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LONG = f"SET LOCAL statement_timeout = '{LONG_SECONDS:.0f}s'"

Step = tuple[str, Mapping[str, Any]]


class PostgresDatabase:
    """One database, and the connections to it. Shows nothing of where it is."""

    def __init__(self, pool: AsyncConnectionPool[Connection], patience: float) -> None:
        self._pool, self._patience = pool, patience

    @classmethod
    async def open(
        cls,
        url: Secret,
        migrations: Sequence[Migration],
        *,
        upgrade: bool = False,
        connections: int = 8,
        patience: float = PATIENCE,
    ) -> Self:
        """Open a database with at most so many connections, and make our schema where there is none.

        Raises `ConfigurationError` under trio, where the server turns us away, for a schema of a newer
        version or, without `upgrade`, of an older one; `LedgerError` where the server is not at hand.
        """
        _need_asyncio()
        conninfo = read_url(url)
        await _prepare(conninfo, migrations, upgrade=upgrade)
        pool = AsyncConnectionPool(
            conninfo.reveal(),
            connection_class=Connection,
            min_size=1,
            max_size=connections,
            timeout=patience,
            # Then it gives up, and whoever comes next has it try anew: no long pause once the server is back.
            reconnect_timeout=patience,
            configure=_configure,
            name="vavasms",
            open=False,
        )
        await pool.open()
        return cls(pool, patience)

    async def write(self, work: Callable[[Connection], Awaitable[T]], *, is_long: bool = False) -> T:
        """Run `work` in a transaction (READ COMMITTED) and commit it. A cancellation waits for the end of it.

        Raises what `work` raises, after taking it back, and `LedgerError` where the server did not take it,
        or where nobody can tell.
        """
        return await self._run(
            work, _LONG if is_long else None, LONG_SECONDS if is_long else STATEMENT_SECONDS
        )

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` on one state of the database."""
        return await self._run(work, _SNAPSHOT, STATEMENT_SECONDS)

    async def _run(self, work: Callable[[Connection], Awaitable[T]], first: str | None, seconds: float) -> T:
        with CancelScope(shield=True):
            try:
                with fail_after(self._patience + seconds + _SPARE_SECONDS):
                    async with self._connected() as connection:
                        if first is not None:
                            await connection.execute(first)
                        return await work(connection)
            except (Error, TimeoutError) as error:
                failure = explain(error)
        raise failure

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Give a connection that lives: where the server was restarted all of the pool are dead at once."""
        async with self._pool.connection() as connection:
            if is_alive(connection):
                yield connection
                return
            await connection.close()
        await self._pool.check()
        async with self._pool.connection() as connection:
            yield connection

    async def aclose(self) -> None:
        """Close the connections. May be called twice."""
        with CancelScope(shield=True):
            await self._pool.close()


async def ask(connection: Connection, *steps: Step, is_last: bool = False) -> list[list[tuple[Any, ...]]]:
    """Run statements one after the other in one round trip, with the commit if so; give the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(sql.encode(), values) for sql, values in steps]
        if is_last:
            await connection.commit()
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


async def change(connection: Connection, sql: str, values: Mapping[str, Any]) -> int:
    """Run a statement; give how many rows it touched."""
    return (await connection.execute(sql.encode(), values)).rowcount


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
        return
    except RuntimeError:
        pass
    raise misconfigured("A ledger on PostgreSQL needs asyncio, not trio.")


async def _prepare(conninfo: Secret, migrations: Sequence[Migration], *, upgrade: bool) -> None:
    with CancelScope(shield=True):
        try:
            with fail_after(LONG_SECONDS):
                async with await Connection.connect(conninfo.reveal()) as connection:
                    await prepare_schema(connection, migrations, upgrade=upgrade)
            return
        except Error as error:
            failure = refuse(error)
    raise failure


async def _configure(connection: Connection) -> None:
    await connection.execute(_SESSION)
    await connection.commit()
