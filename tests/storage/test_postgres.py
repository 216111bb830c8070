"""A PostgreSQL database is ours and of the present version, tells nobody where it is, and comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial

import anyio
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.storage.bridge import Bridge
from vavasms.config import Secret
from vavasms.errors import ConfigurationError, LedgerError, Outcome, VavaSMSError
from vavasms.ledger.postgres.ledger import MIGRATIONS, PostgresLedger
from vavasms.storage.postgres.database import PostgresDatabase
from vavasms.storage.queries import Migration, load_queries

pytestmark = pytest.mark.anyio

PASSWORD, USER, HOST = "s3cr3t-pass", "s3cr3t-user", "s3cr3t-host.invalid"
LATEST = MIGRATIONS[-1].version
NEXT = Migration(
    version=LATEST + 1, sql="CREATE TABLE vavasms.more (x INTEGER); INSERT INTO vavasms.more VALUES (1);"
)
BROKEN = Migration(
    version=LATEST + 2, sql="CREATE TABLE vavasms.other (x INTEGER); INSERT INTO vavasms.nowhere VALUES (1);"
)


@pytest.fixture
def anyio_backend() -> str:
    """psycopg is for asyncio."""
    return "asyncio"


@pytest.fixture
def url(bare_postgres: str) -> str:
    return bare_postgres


def run(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


async def opened(url: str, *migrations: Migration, upgrade: bool = False) -> None:
    database = await PostgresDatabase.open(Secret(url), migrations, upgrade=upgrade)
    await database.aclose()


def versions(url: str) -> list[tuple[object, ...]]:
    return run(url, "SELECT version FROM vavasms.schema_version ORDER BY version")


def known(latest: int) -> list[tuple[object, ...]]:
    return [(version,) for version in range(1, latest + 1)]


async def test_a_new_database_has_the_latest_version(url: str) -> None:
    await opened(url, *MIGRATIONS, NEXT)
    await opened(url, *MIGRATIONS, NEXT)
    assert versions(url) == known(LATEST + 1)


async def test_many_that_open_a_new_database_at_once_make_one_schema(url: str) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(partial(opened, url, *MIGRATIONS, NEXT))
    assert run(url, "SELECT x FROM vavasms.more") == [(1,)]


async def test_an_older_one_is_refused_untouched_and_upgraded_when_asked(url: str) -> None:
    await opened(url, *MIGRATIONS)
    with pytest.raises(ConfigurationError, match="older vavasms: run `vavasms ledger migrate`") as caught:
        await opened(url, *MIGRATIONS, NEXT)
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)
    assert versions(url) == known(LATEST)
    await opened(url, *MIGRATIONS, NEXT, upgrade=True)
    assert versions(url) == known(LATEST + 1)


async def test_a_newer_one_is_refused_untouched_even_where_an_upgrade_is_asked_for(url: str) -> None:
    await opened(url, *MIGRATIONS, NEXT)
    for upgrade in (False, True):
        with pytest.raises(
            ConfigurationError, match=rf"newer vavasms \(version {LATEST + 1}, this one knows {LATEST}\)"
        ):
            await PostgresLedger.open(url, upgrade=upgrade)
    assert versions(url) == known(LATEST + 1)


async def test_a_migration_that_breaks_off_leaves_the_version_before(url: str) -> None:
    await opened(url, *MIGRATIONS)
    with pytest.raises(LedgerError):
        await opened(url, *MIGRATIONS, NEXT, BROKEN, upgrade=True)
    assert versions(url) == known(LATEST)
    assert run(url, "SELECT to_regclass('vavasms.more')") == [(None,)]


async def test_another_programs_schema_is_refused_untouched(url: str) -> None:
    run(url, "CREATE SCHEMA vavasms; CREATE TABLE vavasms.theirs (x INTEGER)")
    with pytest.raises(ConfigurationError, match="is not ours"):
        await PostgresLedger.open(url, upgrade=True)
    assert run(url, "SELECT relname FROM pg_class WHERE relnamespace = 'vavasms'::regnamespace") == [
        ("theirs",)
    ]


@pytest.fixture
def guest(url: str) -> Iterator[str]:
    """Yield the connection string of a user who may do nothing."""
    name = conninfo_to_dict(url)["dbname"]
    run(url, f"CREATE ROLE {name}_guest LOGIN PASSWORD '{PASSWORD}'")
    yield make_conninfo(url, user=f"{name}_guest", password=PASSWORD)
    run(url, f"DROP OWNED BY {name}_guest; DROP ROLE {name}_guest")


async def test_a_worker_needs_no_right_to_make_tables(url: str, guest: str) -> None:
    for prepare in ("SELECT 1", "CREATE SCHEMA vavasms"):
        run(url, prepare)
        with pytest.raises(ConfigurationError, match="as their owner"):
            await PostgresLedger.open(guest)
    await opened(url, *MIGRATIONS)
    user = conninfo_to_dict(guest)["user"]
    run(url, f"GRANT USAGE ON SCHEMA vavasms TO {user}")
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vavasms"
    run(url, f"GRANT {rights} TO {user}; REVOKE INSERT, UPDATE, DELETE ON vavasms.schema_version FROM {user}")
    database = await PostgresDatabase.open(Secret(guest), MIGRATIONS)
    async with PostgresLedger(database) as ledger:
        assert await ledger.reserve("ops", 1, rate=1.0, now=1.0) == 0.0


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_under_trio_it_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(ConfigurationError, match="needs asyncio, not trio"):
        await PostgresLedger.open(url)


def _listen(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "psycopg", "psycopg.pool"):
        caplog.set_level(logging.DEBUG, name)


def _bad(url: str) -> Iterator[str]:
    """Yield connection strings that lead nowhere, each with a secret in it."""
    yield f"postgresql://{USER}:{PASSWORD}@{HOST}/db?{PASSWORD}"
    yield f"postgresql://{USER}:{PASSWORD}@[{HOST}/db"
    yield f"postgresql://{USER}:{PASSWORD}@{HOST}:nowhere/db"
    yield f"{PASSWORD} host={HOST}"
    yield f"postgresql://{USER}:{PASSWORD}@{HOST}/db"
    yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:1/db"
    yield make_conninfo(url, user=USER, password=PASSWORD)
    yield make_conninfo(url, password=PASSWORD, dbname=f"{USER}-{HOST}")


@pytest.mark.parametrize("which", range(8))
async def test_a_connection_string_is_in_no_error_and_in_no_log(
    url: str,
    which: int,
    caplog: pytest.LogCaptureFixture,
    all_tracebacks: Callable[[BaseException], Iterator[str]],
) -> None:
    _listen(caplog)
    bad = [*_bad(url)][which]
    with pytest.raises(VavaSMSError) as caught:
        await PostgresLedger.open(bad)
    assert isinstance(caught.value, ConfigurationError if which in (0, 1, 3, 6, 7) else LedgerError)
    for shown in (*all_tracebacks(caught.value), caplog.text):
        assert not [secret for secret in (PASSWORD, USER, HOST) if secret in shown]


async def test_an_open_ledger_shows_nothing_of_where_it_is(
    guest: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _listen(caplog)
    user, secret = str(conninfo_to_dict(guest)["user"]), PASSWORD
    run(url, f"GRANT CREATE ON DATABASE {conninfo_to_dict(url)['dbname']} TO {user}")
    database = await PostgresDatabase.open(Secret(guest), MIGRATIONS)
    async with PostgresLedger(database) as ledger:
        shown = [repr(ledger), repr(vars(ledger)), repr(database), repr(vars(database))]
        shown.append(await database.read(_show))
        # The pool logs what it thinks of a connection that died.
        await _cut(url)
        with suppress(LedgerError):
            await ledger.opted_out()
    for text in (*shown, caplog.text):
        assert user not in text
        assert secret not in text


async def _show(connection: object) -> str:
    return f"{connection!r} {connection}"


async def _cut(url: str) -> None:
    """End all connections of ledgers, at the server."""
    ours = "FROM pg_stat_activity WHERE application_name = 'vavasms' AND datname = current_database()"
    run(url, f"SELECT pg_terminate_backend(pid, 5000) {ours}")


async def test_what_ended_a_statement_is_said_though_its_connection_is_gone(url: str) -> None:
    async with await PostgresLedger.open(url) as ledger:
        database = ledger._database
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: database.call("SELECT pg_sleep(20)", {}),
            lambda: database.write(lambda connection: connection.execute("SELECT pg_sleep(20)")),
        ]
        for call in calls:
            task = asyncio.ensure_future(call())
            rows: list[tuple[object, ...]] = []
            with anyio.fail_after(20):
                while not rows:
                    sleeping = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                    rows = await anyio.to_thread.run_sync(run, url, f"{sleeping} AND state = 'active'")
            await anyio.to_thread.run_sync(run, url, f"SELECT pg_terminate_backend({rows[0][0]}, 5000)")
            with pytest.raises(LedgerError, match="the server was stopped"):
                await task


async def test_every_value_that_the_server_complains_of_stays_hidden(url: str) -> None:
    async with await PostgresLedger.open(url) as ledger:
        with pytest.raises(LedgerError) as caught:
            await ledger.hold("an account\x00", 1.0, now=0.0)
    assert "account" not in str(caught.value)


async def test_its_commits_reach_the_disk_and_its_waits_have_an_end(url: str) -> None:
    database = await PostgresDatabase.open(Secret(f"{url} options='-c synchronous_commit=off'"), MIGRATIONS)
    names = ("synchronous_commit", "application_name", "statement_timeout", "transaction_isolation")

    async def work(connection: psycopg.AsyncConnection[tuple[str, ...]]) -> list[str]:
        settings = ", ".join(f"current_setting('{name}')" for name in names)
        row = await (await connection.execute(f"SELECT {settings}".encode())).fetchone()
        assert row is not None
        return [*row]

    assert await database.write(work) == ["on", "vavasms", "30s", "read committed"]
    assert (await database.write(work, is_long=True))[2] == "15min"
    await database.aclose()


@pytest.fixture
async def bridge(url: str) -> AsyncIterator[tuple[Bridge, str]]:
    """Yield a way to the database, and the connection string of it."""
    bridge = Bridge(url)
    server = await asyncio.start_server(bridge.lead, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield bridge, make_conninfo(url, host="127.0.0.1", port=port, sslmode="disable")
    await bridge.cut()
    server.close()


async def test_a_server_that_is_gone_is_an_error_and_once_it_is_back_all_goes_on(
    bridge: tuple[Bridge, str],
) -> None:
    way, url = bridge
    database = await PostgresDatabase.open(Secret(url), MIGRATIONS, connections=2, patience=1.5)
    async with PostgresLedger(database) as ledger:
        assert await ledger.add_opt_outs([], source="cli", now=1.0) == 0
        await way.cut()
        with pytest.raises(LedgerError, match="did not take it") as caught:
            await ledger.opted_out()
        assert caught.value.__context__ is None
        way.mend()
        assert await ledger.opted_out() == frozenset()
    with pytest.raises(LedgerError):
        await ledger.opted_out()


async def test_connections_that_died_are_not_used_again(bridge: tuple[Bridge, str]) -> None:
    way, url = bridge
    async with await PostgresLedger.open(url, connections=4) as ledger:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(ledger.opted_out)
            await way.cut()
            way.mend()
        assert await ledger.opted_out() == frozenset()


def test_the_ledgers_own_queries_are_read_and_none_is_left_over() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    queries = load_queries("vavasms.ledger.postgres", "queries.sql")
    assert all(sql and "-- name:" not in sql for sql in queries.values())
