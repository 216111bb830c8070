"""A SQLite file for asyncio and trio: work runs in threads, writes share commits.

A commit waits for the disk, so writes that come while another is being committed are gathered and
committed together. Each has a savepoint of its own: one that fails takes back itself only. Where the
common commit fails, all of them do.
"""

from __future__ import annotations

import sqlite3
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from math import inf
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import anyio
from anyio.to_thread import run_sync
from attrs import define, field

from vavasms.errors import LedgerError
from vavasms.event_loops import check_loop
from vavasms.forks import Process
from vavasms.i18n import gettext as _
from vavasms.storage.queries import Migration
from vavasms.storage.sqlite.connections import BUSY_SECONDS, Connections, KeepsLog
from vavasms.storage.sqlite.files import make_private
from vavasms.storage.sqlite.locks import FileHandle, hold_file
from vavasms.storage.sqlite.schema import check_schema, migrate

T = TypeVar("T")

#: Seconds for which a write that was refused counts where none is tried after it: longer than one waits.
_REFUSAL_SECONDS = 45.0
#: Between two looks at what a thread does that nobody waits for any more.
_PAUSE = 0.02


@define(eq=False)
class _Job(Generic[T]):
    """One piece of work that waits for a commit."""

    work: Callable[[sqlite3.Connection], T]
    #: The one that gave it: its errors speak the language of that task, whichever task commits.
    context: Context = field(factory=copy_context)
    done: bool = False
    result: T | None = None
    error: BaseException | None = None

    def take(self) -> T:
        """Return the result, or raise what went wrong."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set where there is no error

    def refuse(self, error: BaseException) -> None:
        """End it where nothing of it was committed."""
        try:
            # One for each: who catches it says of its own send what became of it.
            self.error = self.error or self.context.run(explain, error)
        except BaseException as worse:  # noqa: BLE001  there is no memory left even for words
            self.error = worse
        self.done = True


class Database:
    """One file with two connections: one writes, one reads beside it."""

    def __init__(self, connections: Connections, handle: FileHandle | None, on_commit: str | None) -> None:
        self.path = connections.path
        #: None where there is no file.
        self.handle = handle
        self._connections, self._on_commit = connections, on_commit
        self._waiting: deque[_Job[Any]] = deque()
        self._closed = False
        #: Until when a refused write counts, on the monotonic clock.
        self._refused_until = -inf
        self._process = Process()
        self._finalizer: weakref.finalize[..., Database] | None = None
        self._begin_loop(None)

    def _begin_loop(self, loop: Any) -> None:
        """Set up what the tasks of one event loop wait with; another one has left its own behind."""
        self._loop = loop
        #: Set at the end of the commit that is under way.
        self._committed: anyio.Event | None = None
        self._reading = anyio.Lock()
        self._limiter = anyio.CapacityLimiter(2)

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

        def hold() -> tuple[FileHandle, Connections]:
            make_private(path)
            handle = hold_file(path)
            try:
                if check is not None:
                    handle.check(check)
                return handle, Connections.open(
                    path,
                    handle,
                    connect,
                    check=lambda c: check_schema(c, path, migrations, application_id, upgrade=upgrade),
                    migrate=lambda c: migrate(c, migrations, application_id),
                )
            except BaseException:
                handle.release()
                raise

        handle, connections = await run_sync(_translated(hold))
        database = cls(connections, handle, on_commit)
        # Where nobody closes it: at the latest as the process ends.
        database._finalizer = weakref.finalize(database, _abandon, connections, handle)
        return database

    @classmethod
    def in_memory(cls, migrations: Sequence[Migration], *, application_id: int) -> Self:
        """Return a database that goes with the object: one connection reads and writes."""
        connections = Connections.in_memory(lambda c: migrate(c, migrations, application_id))
        database = cls(connections, None, None)
        # Nobody has to close it, and Python 3.13 warns of a connection that is left open.
        weakref.finalize(database, connections.abandon)
        return database

    def check_open(self) -> None:
        """Raise `ConfigurationError` in a forked child, `LedgerError` where it was closed."""
        self._process.check()
        if self._closed:
            raise LedgerError(_("The ledger is closed: nothing more is sent."), error_code="ledger.closed")

    def _check_loop(self) -> None:
        """Raise `ConfigurationError` in a forked child, and beside another event loop that uses it."""
        self._process.check()
        loop = check_loop(self._loop)
        if loop is not self._loop:
            self._begin_loop(loop)

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
                try:
                    await self._commit_or_wait()
                except Exception as error:  # noqa: BLE001  there is no thread to be had
                    await self._withdraw(job, error)
        return job.take()

    async def _commit_or_wait(self) -> None:
        """Commit what waits, or wait for the end of the commit under way.

        That wakes all who wait at once. A lock would go through their hands one after the other, those whose
        work is done too, with the disk at rest meanwhile.
        """
        if self._committed is not None:
            await self._committed.wait()
            return
        committed = anyio.Event()
        try:
            self._committed = committed
            await run_sync(self._run_waiting, limiter=self._limiter)
        finally:
            self._committed = None
            committed.set()

    async def _withdraw(self, job: _Job[Any], error: Exception) -> None:
        """Refuse what no thread has taken on; one that was given up by a cancellation may be at it."""
        try:
            self._waiting.remove(job)
        except ValueError:
            await anyio.sleep(_PAUSE)
        else:
            job.refuse(error)

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
        with self._connections.reading() as reader:
            return work(reader)

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
            with self._connections.writing() as writer:
                return _checkpoint(writer, mode, BUSY_SECONDS if wait else 0.0)

        with anyio.CancelScope(shield=True):
            is_done = await run_sync(_translated(work), limiter=self._limiter)
        return is_done  # noqa: RET504  a scope may swallow, for all that mypy knows

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or belongs to the parent of this process."""
        return self._closed or not self._process.is_this

    async def aclose(self, *, keeps_log: KeepsLog | None = None) -> None:
        """Close both connections. May be called twice.

        SQLite moves the log into the file and deletes it as the last connection of all is closed, unless
        `keeps_log` says at that moment that it is to be kept.
        """
        if not self._process.is_this:
            return
        self._closed = True
        if not self._connections.is_closed:
            with anyio.CancelScope(shield=True):
                await run_sync(_translated(lambda: self._close(keeps_log)))

    def _close(self, keeps_log: KeepsLog | None) -> None:
        self._connections.close(keeps_log)
        if self._finalizer is not None and self._finalizer.detach() and self.handle is not None:
            # The last of all: closing a file drops SQLite's locks on it.
            self.handle.release()

    def _run_waiting(self) -> None:
        jobs: list[_Job[Any]] = []
        try:
            with self._connections.writing() as writer:
                self._take_waiting(jobs)
                if jobs:
                    self._commit(writer, jobs)
        except BaseException as error:
            # MemoryError and an interrupt too: nothing may pass for committed.
            self._refused_until = time.monotonic() + _REFUSAL_SECONDS
            for job in jobs:
                job.refuse(error)
            if not jobs or not isinstance(error, Exception):
                raise
        for job in jobs:
            job.done = True

    def _take_waiting(self, jobs: list[_Job[Any]]) -> None:
        # Not iterated over: the event loop adds to it, and withdraws, at any moment.
        for _job in range(len(self._waiting)):
            with suppress(IndexError):
                jobs.append(self._waiting[0])
                try:
                    self._waiting.remove(jobs[-1])
                except ValueError:
                    # It was withdrawn meanwhile.
                    jobs.pop()

    def _commit(self, writer: sqlite3.Connection, jobs: Sequence[_Job[Any]]) -> None:
        writer.execute("BEGIN IMMEDIATE")
        changes = writer.total_changes
        try:
            is_refused = False in [_run(writer, job) for job in jobs]
            # A key that is decided changes nothing: without a write its commit waits for no disk.
            if self._on_commit is not None and writer.total_changes != changes:
                writer.execute(self._on_commit)
            writer.execute("COMMIT")
        except BaseException:
            # Where SQLite has not rolled back already, as it does on a full disk.
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        if is_refused:
            self._refused_until = time.monotonic() + _REFUSAL_SECONDS
        elif writer.total_changes != changes:
            self._refused_until = -inf


def explain(error: BaseException) -> LedgerError:
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


def _checkpoint(writer: sqlite3.Connection, mode: str, patience: float) -> bool:
    writer.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
    try:
        # Where it is busy it says so in its first column, and does not fail.
        (busy, *_) = writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        writer.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    return not busy


def _abandon(connections: Connections, handle: FileHandle) -> None:
    """Close what nobody closed, such as the ledger of an event loop that has ended."""
    connections.abandon()
    handle.drop_later()


def _translated(work: Callable[[], T]) -> Callable[[], T]:
    def call() -> T:
        try:
            return work()
        except sqlite3.Error as error:
            failure = explain(error)
        raise failure

    return call
