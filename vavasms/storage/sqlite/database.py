"""A SQLite file for asyncio and trio: work runs in threads, writes share commits.

A commit waits for the disk, so writes that come while another is being committed are gathered and
committed together. Each has a savepoint of its own: one that fails takes back itself only. Where the
common commit fails, all of them do.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from contextvars import Context, copy_context
from math import inf
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import anyio
from anyio.lowlevel import current_token
from anyio.to_thread import run_sync
from attrs import define, field

from vavasms.config import misconfigured
from vavasms.errors import LedgerError
from vavasms.forks import Process
from vavasms.i18n import gettext as _
from vavasms.storage.queries import Migration
from vavasms.storage.sqlite.files import make_private
from vavasms.storage.sqlite.locks import FileHandle, hold_file
from vavasms.storage.sqlite.schema import check_schema, migrate

T = TypeVar("T")

#: Looks at what is committed, and says whether its log is to be kept.
KeepsLog = Callable[[sqlite3.Connection], bool]

#: Seconds to wait for another process that is writing.
BUSY_SECONDS = 10.0
#: Seconds for which a write that was refused counts where none is tried after it: longer than one waits.
_REFUSAL_SECONDS = 45.0
#: Between two tries at what SQLite does not wait for.
_PAUSE = 0.02


@define(eq=False)
class _Job(Generic[T]):
    """One piece of work that waits for a commit."""

    work: Callable[[sqlite3.Connection], T]
    #: The one that gave it: its errors speak the language of that task, whichever task commits.
    context: Context = field(factory=copy_context)
    done: bool = False
    result: T | None = None
    error: Exception | None = None

    def take(self) -> T:
        """Return the result, or raise what went wrong."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set where there is no error


class Database:
    """One file with two connections: one writes, one reads beside it."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        #: None where there is no file.
        self.handle: FileHandle | None = None
        self._on_commit: str | None = None
        self._writer, self._reader = writer, reader
        self._waiting: deque[_Job[Any]] = deque()
        #: Set at the end of the commit that is under way.
        self._committed: anyio.Event | None = None
        self._reading = anyio.Lock()
        self._limiter = anyio.CapacityLimiter(2)
        # A native cancellation leaves a thread at work: the next one waits for it here.
        self._guard = threading.Lock()
        self._closed = False
        #: Until when a refused write counts, on the monotonic clock.
        self._refused_until = -inf
        self._process = Process()
        self._loop: Any = None
        self._finalizer: weakref.finalize[..., Database] | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        migrations: Sequence[Migration],
        *,
        application_id: int,
        upgrade: bool = False,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
        check: Callable[[Path], None] | None = None,
        on_commit: str | None = None,
    ) -> Self:
        """Open a file, or make it where there is none.

        `check` is called before the first connection of this process; what it raises leaves the file as it
        is. `on_commit` is a statement for every commit that changes anything.

        Raises `ConfigurationError` for a file of something else, of a newer version, or, without
        `upgrade`, of an older one; `LedgerError` where it cannot be read or made, or has two names.
        """

        def make() -> tuple[sqlite3.Connection, sqlite3.Connection]:
            writer = _connect(path, connect)
            try:
                check_schema(writer, path, migrations, application_id, upgrade=upgrade)
                _prepare(writer)
                migrate(writer, migrations, application_id)
                return writer, _connect(path, connect)
            except BaseException:
                writer.close()
                raise

        def hold() -> tuple[FileHandle, sqlite3.Connection, sqlite3.Connection]:
            make_private(path)
            handle = hold_file(path)
            try:
                if check is not None:
                    handle.check(check)
                return handle, *make()
            except BaseException:
                handle.release()
                raise

        handle, writer, reader = await run_sync(_translated(hold))
        database = cls(path, writer, reader)
        # Where nobody closes it: at the latest as the process ends.
        database._finalizer = weakref.finalize(database, _abandon, path, reader, writer, handle)
        database.handle, database._on_commit = handle, on_commit
        return database

    @classmethod
    def in_memory(cls, migrations: Sequence[Migration], *, application_id: int) -> Self:
        """Return a database that goes with the object: one connection reads and writes."""
        connection = _connect(Path(":memory:"), sqlite3.connect)
        migrate(connection, migrations, application_id)
        database = cls(Path(":memory:"), connection, connection)
        # Nobody has to close it, and Python 3.13 warns of a connection that is left open.
        weakref.finalize(database, connection.close)
        return database

    def check_open(self) -> None:
        """Raise `ConfigurationError` in a forked child, `LedgerError` where it was closed."""
        self._process.check()
        if self._closed:
            raise LedgerError(_("The ledger is closed: nothing more is sent."), error_code="ledger.closed")

    def _check_loop(self) -> None:
        """Raise `ConfigurationError` in a forked child, and beside another event loop that uses it.

        What it waits with belongs to one loop: in two at once both would wait for ever.
        """
        self._process.check()
        loop = current_token().native_token
        if loop is not self._loop:
            if getattr(self._loop, "is_running", bool)():
                raise misconfigured(
                    _("The ledger is used in another event loop: open one for each."), "config.event_loop"
                )
            self._loop = loop

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction and commit it.

        A cancellation waits for the end of it. One that cannot be held back (asyncio's own) leaves the work
        in the queue, before anything that is given later.

        Raises what `work` raises, after taking it back, and `LedgerError` where the disk or another process
        did not let it through.
        """
        self._check_loop()
        job = _Job(work)
        self._waiting.append(job)
        with anyio.CancelScope(shield=True):
            while not job.done:
                await self._commit_or_wait()
        return job.take()

    async def _commit_or_wait(self) -> None:
        """Commit what waits, or wait for the end of the commit under way.

        That wakes all who wait at once. A lock would go through their hands one after the other, those whose
        work is done too, with the disk at rest meanwhile.
        """
        if self._committed is not None:
            await self._committed.wait()
            return
        self._committed = committed = anyio.Event()
        try:
            await run_sync(self._run_waiting, limiter=self._limiter)
        finally:
            self._committed = None
            committed.set()

    def check_writes(self) -> None:
        """Raise `LedgerError` where the last write that was to change something was refused."""
        if time.monotonic() < self._refused_until:
            raise LedgerError(_("The ledger takes no write: nothing more is sent."))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on what is committed, beside the writing."""
        self._check_loop()
        with anyio.CancelScope(shield=True):
            async with self._reading:
                result = await run_sync(_translated(lambda: self._read(work)), limiter=self._limiter)
        return result

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._reader is not self._writer:
            return work(self._reader)
        with self._guard:
            return work(self._reader)

    async def flush(self) -> None:
        """Move everything from the log into the file itself, and cut the log: what was erased is gone.

        Raises `LedgerError` where someone who reads keeps the log from being cut.
        """
        if not await self.checkpoint("TRUNCATE"):
            raise LedgerError(
                _("It is forgotten, but still in the log: close what reads the ledger and purge again."),
                error_code="ledger.being_read",
            )

    async def checkpoint(self, mode: Literal["FULL", "TRUNCATE"], *, wait: bool = True) -> bool:
        """Move everything from the log into the file itself, durably; `TRUNCATE` also cuts the log.

        Return False where someone else is in the way, for `BUSY_SECONDS` if it may `wait`.
        """

        def work() -> bool:
            with self._guard:
                return self._checkpoint(mode, BUSY_SECONDS if wait else 0.0)

        with anyio.CancelScope(shield=True):
            is_done = await run_sync(_translated(work), limiter=self._limiter)
        return is_done  # noqa: RET504  a scope may swallow, for all that mypy knows

    def _checkpoint(self, mode: str, patience: float) -> bool:
        self._writer.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        try:
            # Where it is busy it says so in its first column, and does not fail.
            (busy, *_) = self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        return not busy

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or belongs to the parent of this process."""
        return self._closed or not self._process.is_this

    async def aclose(self, *, keeps_log: KeepsLog | None = None) -> None:
        """Close both connections. May be called twice.

        SQLite moves the log into the file and deletes it as the last connection of all is closed, unless
        `keeps_log` says at that moment that it is to be kept.
        """
        if self.is_closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await run_sync(self._close, keeps_log)

    def _close(self, keeps_log: KeepsLog | None) -> None:
        with self._guard:
            _close(self.path, self._reader, self._writer, keeps_log)
            if self._finalizer is not None:
                self._finalizer.detach()
            if self.handle is not None:
                # The last of all: closing a file drops SQLite's locks on it.
                self.handle.release()

    def _run_waiting(self) -> None:
        with self._guard:
            jobs = [self._waiting.popleft() for _job in range(len(self._waiting))]
            if not jobs:
                return
            try:
                self._commit(jobs)
            except Exception as error:  # noqa: BLE001  MemoryError too: nothing may pass for committed
                self._refused_until = time.monotonic() + _REFUSAL_SECONDS
                for job in jobs:
                    # One for each: who catches it says of its own send what became of it.
                    job.error = job.error or job.context.run(explain, error)
            finally:
                for job in jobs:
                    job.done = True

    def _commit(self, jobs: Sequence[_Job[Any]]) -> None:
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        changes = writer.total_changes
        try:
            is_refused = False in [_run(writer, job) for job in jobs]
            # A key that is decided changes nothing: without a write its commit waits for no disk.
            if self._on_commit is not None and writer.total_changes != changes:
                writer.execute(self._on_commit)
            writer.execute("COMMIT")
            if is_refused:
                self._refused_until = time.monotonic() + _REFUSAL_SECONDS
            elif writer.total_changes != changes:
                self._refused_until = -inf
        except BaseException:
            # Where SQLite has not rolled back already, as it does on a full disk.
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise


def explain(error: Exception) -> LedgerError:
    """Return one sentence on what SQLite could not do."""
    why = str(error) or type(error).__name__
    return LedgerError(_("The database did not take it ({why}): nothing more is sent.", why=_(why)))


def _run(writer: sqlite3.Connection, job: _Job[Any]) -> bool:
    """Do a piece of work, or take it back; return False where SQLite refused it."""
    is_taken = True
    writer.execute("SAVEPOINT job")
    try:
        job.result = job.context.run(job.work, writer)
    except Exception as error:
        if not writer.in_transaction:
            # The disk is full: SQLite took back the whole transaction, other jobs' work too.
            raise
        writer.execute("ROLLBACK TO job")
        job.error = job.context.run(explain, error) if isinstance(error, sqlite3.Error) else error
        is_taken = not isinstance(error, sqlite3.OperationalError)
    writer.execute("RELEASE job")
    return is_taken


def _connect(path: Path, connect: Callable[..., sqlite3.Connection]) -> sqlite3.Connection:
    return connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _close(
    path: Path, reader: sqlite3.Connection, writer: sqlite3.Connection, keeps_log: KeepsLog | None
) -> None:
    """Close the connections of a file."""
    with ExitStack() as stack:
        if keeps_log is not None and _asks_to_keep(reader, keeps_log):
            with suppress(sqlite3.Error):
                # Closed last, and only to be read by: it leaves the log as it is.
                last = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
                stack.callback(last.close)
                last.execute("SELECT 1 FROM sqlite_schema").fetchone()
        writer.close()
        reader.close()


def _abandon(path: Path, reader: sqlite3.Connection, writer: sqlite3.Connection, handle: FileHandle) -> None:
    """Close what nobody closed, such as the ledger of an event loop that has ended."""
    _close(path, reader, writer, lambda _reader: True)
    handle.drop_later()


def _asks_to_keep(reader: sqlite3.Connection, keeps_log: KeepsLog) -> bool:
    """Return what `keeps_log` says of what is committed now, True where it cannot be asked."""
    try:
        # To the end: what comes later cannot get into the file itself while it is read.
        reader.execute("BEGIN")
        return keeps_log(reader)
    except sqlite3.Error:
        return True


def _prepare(writer: sqlite3.Connection) -> None:
    _keep_log(writer)
    # NORMAL can lose the last commits at a power cut: an intent would be lost whose SMS was sent.
    writer.execute("PRAGMA synchronous = FULL")
    # macOS: without it `fsync` leaves the data in the drive's cache. Elsewhere nothing changes.
    writer.execute("PRAGMA fullfsync = ON")
    writer.execute("PRAGMA checkpoint_fullfsync = ON")
    # What is deleted is overwritten: `purge` promises to forget.
    writer.execute("PRAGMA secure_delete = ON")


def _keep_log(writer: sqlite3.Connection) -> None:
    """Set the file to keep a log; where another process opens or closes it, SQLite itself does not wait."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            writer.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _translated(work: Callable[[], T]) -> Callable[[], T]:
    def call() -> T:
        try:
            return work()
        except sqlite3.Error as error:
            failure = explain(error)
        raise failure

    return call
