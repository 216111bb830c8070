"""A file is ours and of the present version, or it is left as it was."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vavasms.errors import ConfigurationError, LedgerError, Outcome
from vavasms.ledger.sqlite.ledger import APPLICATION_ID, MIGRATIONS, SqliteLedger
from vavasms.storage.queries import Migration, load_migrations, load_queries
from vavasms.storage.sqlite.database import Database
from vavasms.storage.sqlite.schema import migrate

pytestmark = pytest.mark.anyio

ID = 77
FIRST = Migration(version=1, sql="-- One; table.\nCREATE TABLE a (\n  x TEXT\n);\n")
SECOND = Migration(version=2, sql="ALTER TABLE a ADD COLUMN y TEXT;\nUPDATE a SET y = x || ';';\n")
BROKEN = Migration(version=3, sql="CREATE TABLE b (x);\nDELETE FROM a;\nINSERT INTO nowhere VALUES (1);\n")


async def opened(path: Path, *migrations: Migration, upgrade: bool = False) -> None:
    database = await Database.open(path, migrations, application_id=ID, upgrade=upgrade)
    await database.aclose()


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(sql).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


async def test_a_new_file_has_the_latest_version(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path, FIRST, SECOND)
    assert ask(path, "PRAGMA user_version") == [(2,)]
    assert ask(path, "PRAGMA application_id") == [(ID,)]
    await opened(path, FIRST, SECOND)


async def test_an_older_one_is_refused_untouched_and_upgraded_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path, FIRST)
    ask(path, "INSERT INTO a VALUES ('kept')")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="older vavasms") as caught:
        await opened(path, FIRST, SECOND)
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)
    assert path.read_bytes() == before
    await opened(path, FIRST, SECOND, upgrade=True)
    assert ask(path, "SELECT x, y FROM a") == [("kept", "kept;")]
    assert ask(path, "PRAGMA user_version") == [(2,)]


async def test_a_newer_one_is_refused_untouched_even_where_an_upgrade_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path, FIRST, SECOND)
    before = path.read_bytes()
    for upgrade in (False, True):
        with pytest.raises(ConfigurationError, match="newer vavasms"):
            await opened(path, FIRST, upgrade=upgrade)
    assert path.read_bytes() == before
    assert not path.with_name("a.db-wal").exists()


async def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path):
        pass
    ask(path, f"PRAGMA user_version = {MIGRATIONS[-1].version + 1}")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="newer vavasms"):
        await SqliteLedger.open(path)
    assert path.read_bytes() == before
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.mark.parametrize("owner", [0, 78])
async def test_another_programs_database_is_refused_untouched(tmp_path: Path, owner: int) -> None:
    path = tmp_path / "a.db"
    ask(path, "CREATE TABLE theirs (x)")
    ask(path, f"PRAGMA application_id = {owner}")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="holds something else"):
        await opened(path, FIRST, upgrade=True)
    assert path.read_bytes() == before


async def test_what_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"phone\n2250757000001\n" * 200)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="holds something else"):
        await opened(path, FIRST)
    assert path.read_bytes() == b"phone\n2250757000001\n" * 200


async def test_an_empty_file_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch(0o600)
    await opened(path, FIRST)
    assert ask(path, "PRAGMA application_id") == [(ID,)]


async def test_a_migration_that_breaks_off_leaves_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path, FIRST, SECOND)
    ask(path, "INSERT INTO a VALUES ('kept', 'too')")
    with pytest.raises(LedgerError, match="nowhere"):
        await opened(path, FIRST, SECOND, BROKEN, upgrade=True)
    assert ask(path, "PRAGMA user_version") == [(2,)]
    assert ask(path, "SELECT * FROM a") == [("kept", "too")]
    assert ask(path, "SELECT name FROM sqlite_schema") == [("a",)]
    await opened(path, FIRST, SECOND)


class KilledError(BaseException):
    """Ends a program in the middle."""


def test_of_two_that_migrate_at_once_the_second_finds_it_done() -> None:
    class Late(sqlite3.Connection):
        """What another process migrates just before this one has its turn."""

        is_late = False

        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE" and not self.is_late:
                self.is_late = True
                migrate(self, (FIRST, SECOND), ID)
            return super().execute(sql, *arguments)

    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Late)
    migrate(connection, (FIRST, SECOND), ID)
    assert connection.is_late
    assert connection.execute("PRAGMA user_version").fetchall() == [(2,)]
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    connection.close()


async def test_a_program_that_dies_within_a_migration_leaves_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path, FIRST)
    ask(path, "INSERT INTO a VALUES ('kept')")

    class Dying(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith(("UPDATE", "ROLLBACK")):
                # Nothing is taken back by a dead program: the next one finds what it left.
                raise KilledError
            return super().execute(sql, *parameters)

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, **options, factory=Dying)

    with pytest.raises(KilledError):
        await Database.open(path, (FIRST, SECOND), application_id=ID, upgrade=True, connect=connect)
    assert ask(path, "PRAGMA user_version") == [(1,)]
    assert ask(path, "SELECT * FROM a") == [("kept",)]
    await opened(path, FIRST, SECOND, upgrade=True)
    assert ask(path, "SELECT * FROM a") == [("kept", "kept;")]


OPEN = """
import sys, anyio
from vavasms.ledger.sqlite.ledger import SqliteLedger

async def main():
    print("ready", flush=True)
    for line in sys.stdin:
        await (await SqliteLedger.open(line.strip())).aclose()
        print("open", flush=True)

anyio.run(main)
"""


@pytest.mark.slow
def test_processes_that_make_one_file_at_once_find_it_whole(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    try:
        for process in running:
            assert read_line(process) == "ready\n"
        for number in range(30):
            for process in running:
                assert process.stdin is not None
                process.stdin.write(f"{tmp_path / str(number)}.db\n")
                process.stdin.flush()
            assert [read_line(process) for process in running] == ["open\n"] * 8
    finally:
        for process in running:
            process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("times", [2, 1000])
async def test_a_file_that_another_one_opens_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    busy = [sqlite3.OperationalError("database is locked") for _ in range(times)]
    for error in busy:
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("PRAGMA journal_mode") and busy:
                raise busy.pop()
            return super().execute(sql, *parameters)

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, **options, factory=Busy)

    monkeypatch.setattr("vavasms.storage.sqlite.connections.BUSY_SECONDS", 0.2)
    opening = Database.open(tmp_path / "a.db", (FIRST,), application_id=ID, connect=connect)
    if times == 2:
        await (await opening).aclose()
        return
    with pytest.raises(LedgerError, match="database is locked"):
        await opening


def test_the_ledgers_own_files_are_read_in_order() -> None:
    migrations = load_migrations("vavasms.ledger.sqlite")
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert migrations == MIGRATIONS
    queries = load_queries("vavasms.ledger.sqlite", "queries.sql")
    assert queries["claim_batch"]
    assert all(sql and "-- name:" not in sql for sql in queries.values())
