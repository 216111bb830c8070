"""Writes share commits, a failing one takes back only itself, and no cancellation leaves one half done."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from attrs import define, field

from vavasms.errors import ConfigurationError, LedgerError
from vavasms.i18n import gettext as _
from vavasms.i18n import language_set
from vavasms.storage.queries import Migration
from vavasms.storage.sqlite.database import Database

pytestmark = pytest.mark.anyio

SCHEMA = (Migration(version=1, sql="CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE);\n"),)


@define
class Disk:
    """Makes connections whose commits are counted, and fail when they are told to."""

    commits: int = 0
    #: What the next commits raise.
    failures: list[Exception] = field(factory=list)

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        disk = self

        class Counted(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    disk.commits += 1
                    if disk.failures:
                        raise disk.failures.pop(0)
                return super().execute(sql, *parameters)

        return sqlite3.connect(*args, **options, factory=Counted)


@pytest.fixture
def disk() -> Disk:
    """Return a disk that fails at nothing yet."""
    return Disk()


@pytest.fixture
async def database(disk: Disk, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Database]:
    """Yield an open file with one table."""
    opened = await Database.open(tmp_path / "a.db", SCHEMA, application_id=77, connect=disk.connect)
    disk.commits = 0
    yield opened
    await opened.aclose()


def insert(text: str) -> Callable[[sqlite3.Connection], int]:
    return lambda c: c.execute("INSERT INTO note (text) VALUES (?)", (text,)).rowcount


async def texts(database: Database) -> list[str]:
    rows = await database.read(lambda c: c.execute("SELECT text FROM note ORDER BY id").fetchall())
    return [text for (text,) in rows]


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Yield a piece of work that holds up its thread, and never for good."""
    gate = Gate()
    yield gate
    gate.go.set()


@define
class Gate:
    """Work that waits to be let go."""

    begun: threading.Event = field(factory=threading.Event)
    go: threading.Event = field(factory=threading.Event)

    def __call__(self, connection: sqlite3.Connection) -> int:
        return self.hold(connection) and insert("gate")(connection)

    def hold(self, _connection: sqlite3.Connection) -> int:
        """Write nothing."""
        self.begun.set()
        assert self.go.wait(10)
        return 1

    async def wait(self) -> None:
        assert await run_sync(partial(self.begun.wait, 10))


async def test_writes_that_come_together_share_a_commit(database: Database, disk: Disk, gate: Gate) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            await gate.wait()
            for index in range(200):
                tasks.start_soon(database.write, insert(f"{index}"))
            await anyio.wait_all_tasks_blocked()
            gate.go.set()
    assert sorted(await texts(database)) == sorted(["gate", *map(str, range(200))])
    # The first one's own, and one for all that waited behind it; a few more are no harm.
    assert disk.commits <= 4


async def test_what_write_returns_is_committed(database: Database, tmp_path: Path) -> None:
    assert await database.write(insert("a")) == 1
    other = sqlite3.connect(tmp_path / "a.db")
    assert other.execute("SELECT text FROM note").fetchall() == [("a",)]
    other.close()


async def test_a_write_that_fails_takes_back_only_itself(database: Database, disk: Disk, gate: Gate) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        insert("half")(connection)
        raise KeyError("mine")

    def clash(connection: sqlite3.Connection) -> None:
        insert("other half")(connection)
        insert("gate")(connection)

    errors: list[Exception] = []

    async def attempt(work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            await database.write(work)
        except Exception as error:
            errors.append(error)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            await gate.wait()
            for work in (insert("a"), fail, insert("b"), clash, insert("c")):
                tasks.start_soon(attempt, work)
            await anyio.wait_all_tasks_blocked()
            gate.go.set()
    assert sorted(await texts(database)) == ["a", "b", "c", "gate"]
    assert sorted(type(error).__name__ for error in errors) == ["KeyError", "LedgerError"]
    assert disk.commits <= 4


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database or disk is full"), MemoryError()], ids=["full", "memory"]
)
async def test_a_commit_that_fails_fails_for_all_and_nothing_of_it_is_there(
    database: Database, disk: Disk, gate: Gate, error: Exception
) -> None:
    failed: list[LedgerError] = []

    async def attempt(work: Callable[[sqlite3.Connection], int]) -> None:
        with pytest.raises(LedgerError) as caught:
            await database.write(work)
        failed.append(caught.value)

    def last(connection: sqlite3.Connection) -> int:
        disk.failures = [error]
        return insert("c")(connection)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            await gate.wait()
            for work in (insert("a"), insert("b"), last):
                tasks.start_soon(attempt, work)
            await anyio.wait_all_tasks_blocked()
            gate.go.set()
    # Each has one of its own: what one caller notes in it is not said to another.
    assert len({id(error) for error in failed}) == 3
    assert await texts(database) == ["gate"]


async def test_each_error_is_in_the_language_of_the_task_that_wrote(
    database: Database, disk: Disk, gate: Gate
) -> None:
    said: dict[str, list[str]] = {"en": [], "fr": []}

    def refuse(connection: sqlite3.Connection) -> None:
        raise LedgerError(_("The ledger is closed: nothing more is sent."))

    async def attempt(language: str, work: Callable[[sqlite3.Connection], object]) -> None:
        with language_set(language), pytest.raises(LedgerError) as caught:
            await database.write(work)
        said[language].append(str(caught.value))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            await gate.wait()
            for work in (refuse, insert("gate")):
                for language in ("fr", "en"):
                    tasks.start_soon(attempt, language, work)
            await anyio.wait_all_tasks_blocked()
            gate.go.set()
    assert sorted(sentence.partition(" ")[0] for sentence in said["en"]) == ["The", "The"]
    assert sorted(sentence.partition(" ")[0] for sentence in said["fr"]) == ["La", "Le"]


async def test_after_a_failed_commit_the_next_one_is_taken(database: Database, disk: Disk) -> None:
    disk.failures = [sqlite3.OperationalError("disk I/O error")]
    with pytest.raises(LedgerError, match="disk I/O error"):
        await database.write(insert("a"))
    await database.write(insert("b"))
    assert await texts(database) == ["b"]


async def test_a_cancelled_write_is_waited_for(database: Database, gate: Gate) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            tasks.start_soon(database.write, insert("behind it"))
            await gate.wait()
            tasks.cancel_scope.cancel()
            gate.go.set()
    assert sorted(await texts(database)) == ["behind it", "gate"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_cancellation_leaves_the_order_as_it_was(database: Database, gate: Gate) -> None:
    first = asyncio.create_task(database.write(gate))
    await gate.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(database.write(insert("second")))
    third = asyncio.create_task(database.write(insert("third")))
    await anyio.wait_all_tasks_blocked()
    third.cancel()
    gate.go.set()
    with anyio.fail_after(20):
        await second
        await database.write(insert("fourth"))
    assert await texts(database) == ["gate", "second", "third", "fourth"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_commits_for_others_may_be_cut_off_by_asyncio_and_they_are_not(
    database: Database, disk: Disk, gate: Gate
) -> None:
    first = asyncio.create_task(database.write(gate))
    await gate.wait()
    rest = [asyncio.create_task(database.write(insert(f"{index}"))) for index in range(20)]
    await anyio.wait_all_tasks_blocked()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    # One of them is at it now, in a thread that waits for the first one's.
    rest[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest[0]
    gate.go.set()
    with anyio.fail_after(20):
        assert await asyncio.gather(*rest[1:]) == [1] * 19
    assert await texts(database) == ["gate", *map(str, range(20))]
    assert disk.commits == 2


async def test_reading_goes_on_beside_a_write(database: Database, gate: Gate) -> None:
    await database.write(insert("a"))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate)
            await gate.wait()
            assert await texts(database) == ["a"]
            gate.go.set()
    assert await texts(database) == ["a", "gate"]


async def test_a_read_that_fails_says_so_in_our_words(database: Database) -> None:
    with pytest.raises(LedgerError, match="no such table"):
        await database.read(lambda c: c.execute("SELECT 1 FROM nowhere"))


def holding(folder: Path, words: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if words in file.read_bytes()]


async def test_what_was_erased_is_gone_from_the_files(database: Database, tmp_path: Path) -> None:
    await database.write(insert("a secret of somebody"))
    assert holding(tmp_path, b"a secret of")
    await database.write(lambda c: c.execute("DELETE FROM note").rowcount)
    await database.flush()
    assert not holding(tmp_path, b"a secret of")


async def test_it_is_closed_once_and_takes_nothing_after(disk: Disk, tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "b.db", SCHEMA, application_id=77)
    await database.aclose()
    await database.aclose()
    with pytest.raises(LedgerError):
        await database.write(insert("a"))
    with pytest.raises(LedgerError):
        await texts(database)


async def test_its_commits_reach_the_disk(database: Database) -> None:
    def pragma(name: str) -> Callable[[sqlite3.Connection], object]:
        return lambda c: c.execute(f"PRAGMA {name}").fetchone()[0]

    assert await database.write(pragma("journal_mode")) == "wal"
    assert await database.write(pragma("synchronous")) == 2


async def test_what_a_reader_keeps_in_the_log_is_not_called_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten seconds in earnest.
    monkeypatch.setattr("vavasms.storage.sqlite.database.BUSY_SECONDS", 0.05)
    path = tmp_path / "notes.db"
    database = await Database.open(path, SCHEMA, application_id=77)
    await database.write(insert("secret"))
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM sqlite_master").fetchall()
        await database.write(insert("more"))
        with pytest.raises(
            LedgerError, match="still in the log: close what reads the ledger and purge again"
        ):
            await database.flush()
        reader.execute("ROLLBACK")
        await database.flush()
    finally:
        reader.close()
        await database.aclose()


@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), MemoryError()])
async def test_an_interrupt_in_a_shared_commit_leaves_nobody_believing_in_it(
    database: Database, gate: Gate, error: BaseException
) -> None:
    raised: dict[str, BaseException | None] = {}

    async def write(name: str, work: Callable[[sqlite3.Connection], int]) -> None:
        try:
            await database.write(work)
            raised[name] = None
        except BaseException as failure:
            raised[name] = failure

    def stop(connection: sqlite3.Connection) -> int:
        insert("stopped")(connection)
        if isinstance(error, MemoryError):
            connection.execute("ROLLBACK")
        raise error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(database.write, gate)
        await gate.wait()
        for name, work in (("before", insert("before")), ("stop", stop), ("after", insert("after"))):
            tasks.start_soon(write, name, work)
        await anyio.wait_all_tasks_blocked()
        gate.go.set()
    assert set(raised) == {"before", "stop", "after"}
    # One of them has the interrupt itself.
    assert all(isinstance(failure, (LedgerError, type(error))) for failure in raised.values())
    assert await texts(database) == ["gate"]
    assert await database.write(insert("next")) == 1


async def test_a_write_for_which_there_is_no_thread_is_refused_and_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def no_thread(*_args: object, **_options: object) -> None:
        start(threading.current_thread())

    with monkeypatch.context() as patch:
        patch.setattr("vavasms.storage.sqlite.database.run_sync", no_thread)
        with pytest.raises(LedgerError, match=r"can't start new thread\): nothing more is sent"):
            await database.write(insert("refused"))
    assert await database.write(insert("later")) == 1
    assert await texts(database) == ["later"]


async def test_a_read_under_way_is_waited_for_before_anything_is_closed(
    disk: Disk, tmp_path: Path, gate: Gate
) -> None:
    database = await Database.open(tmp_path / "b.db", SCHEMA, application_id=77)
    found: list[object] = []

    def look(connection: sqlite3.Connection) -> object:
        gate.begun.set()
        assert gate.go.wait(10)
        return connection.execute("SELECT count(*) FROM note").fetchone()

    async def read() -> None:
        found.append(await database.read(look))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await gate.wait()
        tasks.start_soon(database.aclose)
        await anyio.wait_all_tasks_blocked()
        gate.go.set()
    assert found == [(0,)]
    with pytest.raises(LedgerError, match="closed database"):
        await texts(database)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_after_a_read_that_asyncio_cut_off_the_next_one_sees_what_is_committed(
    database: Database, gate: Gate
) -> None:
    def look(connection: sqlite3.Connection) -> object:
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT count(*) FROM note").fetchone()
            gate.begun.set()
            return gate.go.wait(10)
        finally:
            connection.execute("COMMIT")

    reading = asyncio.create_task(database.read(look))
    await gate.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await database.write(insert("a"))
    async with asyncio.TaskGroup() as tasks:
        after = tasks.create_task(texts(database))
        await asyncio.sleep(0.05)
        gate.go.set()
    assert after.result() == ["a"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_close_that_was_cut_off_is_made_up_for(database: Database) -> None:
    handle = database.handle
    assert handle is not None
    closing = asyncio.create_task(database.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await database.aclose()
    with pytest.raises(LedgerError):
        await database.write(insert("a"))
    assert handle.users == 0


@pytest.mark.parametrize("what", ["write", "read"])
def test_what_a_loop_had_under_way_as_it_ended_holds_up_no_other(
    tmp_path: Path, gate: Gate, what: str
) -> None:
    """A loop that is dropped, not cancelled: its tasks never end."""
    opened: list[Database] = []

    async def begin() -> None:
        opened.append(await Database.open(tmp_path / "a.db", SCHEMA, application_id=77))
        work = opened[0].write(gate) if what == "write" else opened[0].read(gate.hold)
        tasks.append(asyncio.ensure_future(work))
        await gate.wait()

    async def go_on() -> list[str]:
        assert await opened[0].write(insert("next")) == 1
        found = await texts(opened[0])
        await opened[0].aclose()
        return found

    tasks: list[asyncio.Future[int]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    gate.go.set()
    found = asyncio.run(asyncio.wait_for(go_on(), 10))
    assert found == (["gate", "next"] if what == "write" else ["next"])
    loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_two_event_loops_at_a_time_are_refused(tmp_path: Path, gate: Gate, backend: str, second: str) -> None:
    opened: list[Database] = []

    async def first() -> None:
        opened.append(await Database.open(tmp_path / "a.db", SCHEMA, application_id=77))
        await opened[0].write(gate)

    async def other() -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await opened[0].write(insert("other"))

    async def afterwards() -> None:
        await opened[0].write(insert("later"))
        assert await texts(opened[0]) == ["gate", "later"]
        await opened[0].aclose()

    thread = threading.Thread(target=anyio.run, args=(first,), kwargs={"backend": backend})
    thread.start()
    assert gate.begun.wait(10)
    anyio.run(other, backend=second)
    gate.go.set()
    thread.join()
    # Its loop has ended: any other may have it.
    anyio.run(afterwards, backend=second)
