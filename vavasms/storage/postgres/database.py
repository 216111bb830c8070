"""A PostgreSQL database: a pool of connections, transactions, every wait with an end. asyncio only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any, Self, TypeVar

from anyio import CancelScope, fail_after
from attrs import frozen

from vavasms.config import Secret, misconfigured
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.event_loops import check_loop
from vavasms.forks import Process
from vavasms.i18n import gettext as _
from vavasms.storage.postgres.connection import (
    AsyncConnectionPool,
    Connection,
    Error,
    explain,
    is_alive,
    read_url,
    refuse,
)
from vavasms.storage.postgres.schema import prepare_schema
from vavasms.storage.queries import Migration

T = TypeVar("T")

#: Seconds to wait for a server that is gone, for a statement, and for one that goes over a whole campaign.
PATIENCE = 10.0
STATEMENT_SECONDS = 30.0
LONG_SECONDS = 900.0
#: Beyond the statements of a transaction and the wait for its connection.
_SPARE_SECONDS = 20.0

#: Seconds for which a write that was refused counts where none is tried after it: longer than one waits.
_REFUSAL_SECONDS = 45.0
#: Read-only, the disk is full, a lock that somebody else holds, a statement that took too long.
_REFUSALS = frozenset({"25006", "53100", "55P03", "57014"})
#: Whether a transaction has changed anything: without a change it has no number.
_HAS_CHANGED = "SELECT txid_current_if_assigned() IS NOT NULL"

#: `remote_apply` is more than `on`: it stays. A worker that was suspended must not hold its locks for ever.
_SESSION = f"""
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') <> 'remote_apply';
SELECT set_config('statement_timeout', '{STATEMENT_SECONDS:.0f}s', false),
    set_config('idle_in_transaction_session_timeout', '60s', false),
    set_config('default_transaction_isolation', 'read committed', false);
"""
#: What is looked up here has an index. Where a table was just filled the server knows nothing of it yet, and
#: would sort all of its rows to find the first.
_HASTY = """
SELECT set_config('synchronous_commit', 'off', false), set_config('enable_sort', 'off', false),
    set_config('enable_bitmapscan', 'off', false), set_config('enable_seqscan', 'off', false);
"""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LONG = f"SET LOCAL statement_timeout = '{LONG_SECONDS:.0f}s'"

Step = tuple[str, Mapping[str, Any]]
Rows = list[tuple[Any, ...]]


#: Prepares a schema beside ours, and upgrades it if so.
Prepare = Callable[[Connection, bool], Awaitable[None]]


@frozen(kw_only=True)
class _Link:
    """How to connect."""

    conninfo: Secret
    #: Run on each new connection.
    session: str
    patience: float

    async def connect(self) -> Connection:
        """Open a connection beside the pool, each statement of which is committed."""
        with CancelScope(shield=True):
            try:
                with fail_after(self.patience + _SPARE_SECONDS):
                    return await Connection.connect(self.conninfo.reveal(), autocommit=True)
            except (Error, TimeoutError) as error:
                failure = explain(error)
        raise failure

    async def open(self, connections: int, *, is_hasty: bool = False) -> AsyncConnectionPool[Connection]:
        async def configure(connection: Connection) -> None:
            await connection.execute(self.session.encode())
            if is_hasty:
                await connection.execute(_HASTY.encode())
            else:
                await connection.commit()

        pool = AsyncConnectionPool(
            self.conninfo.reveal(),
            connection_class=Connection,
            kwargs={"autocommit": is_hasty},
            min_size=1,
            max_size=connections,
            timeout=self.patience,
            # Then it gives up, and whoever comes next has it try anew: no long pause once the server is back.
            reconnect_timeout=self.patience,
            configure=configure,
            name="vavasms",
            open=False,
        )
        await pool.open()
        return pool


class PostgresDatabase:
    """One database, and the connections to it. Shows nothing of where it is."""

    def __init__(self, link: _Link, pool: AsyncConnectionPool[Connection]) -> None:
        self._link, self._pool, self._patience = link, pool, link.patience
        #: Until when a refused write counts, on the monotonic clock.
        self._refused_until = -inf
        self._process = Process()
        self._loop: Any = None

    def _check_use(self) -> None:
        """Raise `ConfigurationError` in a forked child, and beside another event loop that uses it."""
        self._process.check()
        self._loop = check_loop(self._loop)

    @classmethod
    async def open(
        cls,
        url: Secret,
        migrations: Sequence[Migration],
        *,
        upgrade: bool = False,
        create: bool = True,
        schema: str = "vavasms",
        beside: Prepare | None = None,
        search_path: str | None = None,
        connections: int = 8,
        patience: float = PATIENCE,
    ) -> Self:
        """Open a database with at most so many connections, and make the schema where there is none.

        `beside` prepares another one in the same transaction; in `search_path` names are looked up that
        stand without a schema. Without `create` no schema is made.

        Raises `ConfigurationError` under trio, where the server turns us away, for a schema of a newer
        version or, without `upgrade`, of an older one; `LedgerError` where the server is not at hand.
        """
        _need_asyncio()
        conninfo = read_url(url)

        async def prepare(connection: Connection) -> None:
            await prepare_schema(connection, migrations, upgrade=upgrade, create=create, schema=schema)
            if beside is not None:
                await beside(connection, upgrade)

        await _prepare(conninfo, prepare)
        session = _SESSION
        if search_path is not None:
            session += f"SELECT set_config('search_path', '{search_path}', false);"
        link = _Link(conninfo=conninfo, session=session, patience=patience)
        return cls(link, await link.open(connections))

    async def open_hasty(self, connections: int) -> AsyncConnectionPool[Connection]:
        """Open more connections, for look-ups by an index. Each statement is committed, and does not wait for
        the disk: it may be lost.
        """
        _need_asyncio()
        return await self._link.open(connections, is_hasty=True)

    async def write(self, work: Callable[[Connection], Awaitable[T]], *, is_long: bool = False) -> T:
        """Run `work` in a transaction (READ COMMITTED) and commit it. A cancellation waits for the end of it.

        Raises what `work` raises, after taking it back, and `LedgerError` where the server did not take it,
        or where nobody can tell.
        """
        changed = False

        async def watched(connection: Connection) -> T:
            nonlocal changed
            result = await work(connection)
            if self._is_refused:
                changed = (await (await connection.execute(_HAS_CHANGED)).fetchall())[0][0]
            return result

        result = await self._run(
            watched, _LONG if is_long else None, LONG_SECONDS if is_long else STATEMENT_SECONDS
        )
        if changed:
            self._refused_until = -inf
        return result

    def check_writes(self) -> None:
        """Raise `LedgerError` where the last write that was to change something was refused."""
        if self._is_refused:
            raise LedgerError(_("The ledger takes no write: nothing more is sent."))

    @property
    def _is_refused(self) -> bool:
        return time.monotonic() < self._refused_until

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` on one state of the database."""
        return await self._run(work, _SNAPSHOT, STATEMENT_SECONDS)

    async def call(self, sql: str, values: Mapping[str, Any]) -> Rows:
        """Run one statement and commit it, in one round trip; return its rows."""

        async def work(connection: Connection) -> Rows:
            await connection.set_autocommit(True)
            try:
                cursor = await connection.execute(sql.encode(), values)
                return await cursor.fetchall() if cursor.description else []
            finally:
                # A connection that is gone must not hide what ended the statement; the pool drops it.
                with suppress(Error):
                    await connection.set_autocommit(False)

        return await self._run(work, None, STATEMENT_SECONDS)

    @asynccontextmanager
    async def session_lock(self, sql: str, values: Mapping[str, Any]) -> AsyncIterator[bool]:
        """Try a lock that lives as long as a connection of its own; yield whether it was free.

        Raises `LedgerError` where the server is not at hand.
        """
        self._check_use()
        connection = await self._link.connect()
        try:
            yield await _try_lock(connection, sql, values)
        finally:
            with CancelScope(shield=True), suppress(Error):
                await connection.close()

    async def _run(self, work: Callable[[Connection], Awaitable[T]], first: str | None, seconds: float) -> T:
        self._check_use()
        with CancelScope(shield=True):
            try:
                with fail_after(self._patience + seconds + _SPARE_SECONDS):
                    async with self._connected() as connection:
                        if first is not None:
                            await connection.execute(first)
                        return await work(connection)
            except (Error, TimeoutError) as error:
                if first is not _SNAPSHOT and getattr(error, "sqlstate", None) in _REFUSALS:
                    self._refused_until = time.monotonic() + _REFUSAL_SECONDS
                failure = explain(error)
        raise failure

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Yield a connection that lives: where the server was restarted all of the pool are dead at once."""
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
        if not self._process.is_this:
            # It would say goodbye to the server on the parent's connections.
            return
        with CancelScope(shield=True):
            await self._pool.close()


async def ask(connection: Connection, *steps: Step) -> list[Rows]:
    """Run statements one after the other in one round trip; return the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(sql.encode(), values) for sql, values in steps]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


async def change(connection: Connection, sql: str, values: Mapping[str, Any]) -> int:
    """Run a statement; return how many rows it touched."""
    return (await connection.execute(sql.encode(), values)).rowcount


async def _try_lock(connection: Connection, sql: str, values: Mapping[str, Any]) -> bool:
    with CancelScope(shield=True):
        try:
            with fail_after(STATEMENT_SECONDS):
                cursor = await connection.execute(sql.encode(), values)
                return bool((await cursor.fetchall())[0][0])
        except (Error, TimeoutError) as error:
            failure = explain(error)
    raise failure


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
        return
    except RuntimeError:
        pass
    raise misconfigured(_("PostgreSQL needs asyncio, not trio."), "config.asyncio_only")


async def _prepare(conninfo: Secret, work: Callable[[Connection], Awaitable[None]]) -> None:
    with CancelScope(shield=True):
        try:
            with fail_after(LONG_SECONDS):
                async with await Connection.connect(conninfo.reveal()) as connection:
                    await work(connection)
            return
        except Error as error:
            failure: VavaSMSError = refuse(error)
        except TimeoutError as error:
            failure = explain(error)
    raise failure
