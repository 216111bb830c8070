"""The two connections to a file, each for one thread at a time. None is open while the process forks.

SQLite notes for the whole process which locks it has on a file. The child of a fork has that note, and none
of the locks: what it commits is lost as soon as the last connection elsewhere is closed, which takes the
file's log along. So they are closed before a fork, and opened again after it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self
from weakref import WeakSet

from vavasms.forks import Process
from vavasms.i18n import gettext_noop as N_
from vavasms.storage.sqlite.locks import FileHandle, refuse_inherited

#: Looks at what is committed, and says whether its log is to be kept.
KeepsLog = Callable[[sqlite3.Connection], bool]

#: Seconds to wait for another process that is writing.
BUSY_SECONDS = 10.0
#: Seconds that a fork waits for what is under way; its child refuses the file then.
_PATIENCE = 60.0
#: Between two tries at what SQLite does not wait for.
_PAUSE = 0.02

#: Held over a fork. A signal handler may fork in the very thread that has it.
_GUARD = threading.RLock()
_LIVING: WeakSet[Connections] = WeakSet()
#: Those that are closed for the fork under way.
_SUSPENDED: list[Connections] = []
#: One for each fork under way in the thread that has the guard.
_FORKS: list[None] = []


@contextmanager
def hold_forks() -> Iterator[None]:
    """Put off every fork to the end of the block, which opens a connection of its own and closes it."""
    with _GUARD:
        yield


class Connections:
    """One that writes, and one that reads beside it."""

    def __init__(
        self,
        path: Path,
        handle: FileHandle | None,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = path
        self._handle = handle
        options = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
        self._connect = partial(connect, **options)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        # A native cancellation leaves a thread at work: the next one waits for it here.
        self._writing = self._reading = threading.RLock()
        #: One for each that is lent.
        self._lent: list[None] = []
        self._is_suspended = False
        self._process = Process()
        self.is_closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        handle: FileHandle,
        connect: Callable[..., sqlite3.Connection],
        *,
        check: Callable[[sqlite3.Connection], None],
        migrate: Callable[[sqlite3.Connection], None],
    ) -> Self:
        """Open both, `check` the file before anything is set and `migrate` it afterwards.

        Raises what these raise, and `sqlite3.Error`.
        """
        connections = cls(path, handle, connect)
        connections._reading = threading.RLock()
        # From here on a fork waits until both are open.
        with _GUARD:
            connections._writing.acquire()
            _LIVING.add(connections)
        try:
            connections._open(check, migrate)
        except BaseException:
            connections._drop()
            connections.is_closed = True
            raise
        finally:
            connections._writing.release()
        return connections

    def _open(
        self, check: Callable[[sqlite3.Connection], None], migrate: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._writer = self._connect(self.path)
        check(self._writer)
        _prepare(self._writer)
        migrate(self._writer)
        self._reader = self._connect(self.path)

    @classmethod
    def in_memory(cls, migrate: Callable[[sqlite3.Connection], None]) -> Self:
        """Return one connection that reads and writes, to a database that goes with it."""
        connections = cls(Path(":memory:"), None)
        connections._writer = connections._reader = connections._connect(connections.path)
        migrate(connections._writer)
        return connections

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the one that writes, as soon as no other thread has it."""
        with self._writing, self._lending():
            if self._writer is None:
                self._writer = self._open_again(_prepare)
            yield self._writer

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the one that reads, as soon as no other thread has it."""
        with self._reading, self._lending():
            if self._reader is None:
                self._reader = self._open_again()
            yield self._reader

    def close(self, keeps_log: KeepsLog | None) -> None:
        """Close both, once nobody has them. May be repeated.

        The last of all connections to a file moves its log into it, unless `keeps_log` says that it is kept.
        """
        with self._writing, self._reading, ExitStack() as stack:
            self.is_closed = True
            if self._reader is not None and keeps_log is not None and _asks_to_keep(self._reader, keeps_log):
                self._keep_log(stack)
            self._drop()

    def abandon(self) -> None:
        """Close what nobody closed, and keep the log. For a finalizer: it takes no lock."""
        if self._process.is_this:
            self.is_closed = True
            with ExitStack() as stack:
                self._keep_log(stack)
                self._drop()

    @contextmanager
    def _lending(self) -> Iterator[None]:
        if self.is_closed:
            raise sqlite3.ProgrammingError(N_("Cannot operate on a closed database."))
        self._lent.append(None)
        try:
            yield
        finally:
            self._lent.pop()

    def _open_again(self, prepare: Callable[[sqlite3.Connection], None] | None = None) -> sqlite3.Connection:
        """Open one that a fork closed. Raises `sqlite3.Error` where another file has its place."""
        # Only what is there: in the place of a file that has gone none is made.
        connection = self._connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            if self._handle is None or not self._handle.is_at(self.path):
                raise sqlite3.OperationalError(N_("another file has its place"))
            if prepare is not None:
                prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep_log(self, stack: ExitStack) -> bool:
        """Open one that only reads, to be closed last of all: it leaves the log as it is.

        Return False where it cannot be opened.
        """
        if self._handle is None:
            return False
        try:
            last = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
            stack.callback(last.close)
            last.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            return False
        return True

    def _drop(self) -> None:
        writer, reader = self._writer, self._reader
        self._writer = self._reader = None
        for connection in (writer, reader):
            if connection is not None:
                connection.close()

    def suspend(self) -> None:
        """Close both before a fork, and hold them closed until `resume` in this thread.

        Where something is under way for too long, or the log could not be kept, both stay open.
        """
        if not (self._writing.acquire(timeout=_PATIENCE) and self._reading.acquire(timeout=_PATIENCE)):
            return
        if self._lent:
            # To a piece of work of this very thread.
            return
        with ExitStack() as stack:
            is_open = self._writer is not None or self._reader is not None
            if is_open and not self._keep_log(stack):
                return
            self._is_suspended = True
            self._drop()
        _SUSPENDED.append(self)

    def resume(self) -> None:
        """Open both after a fork, in the parent; where it fails whoever uses them tries again."""
        try:
            if self._is_suspended and not self.is_closed:
                # Whatever is wrong, the others are resumed.
                with suppress(Exception), self.writing(), self.reading():
                    pass
        finally:
            self._is_suspended = False
            for lock in (self._reading, self._writing):
                # An interrupt may have come before it was acquired.
                with suppress(RuntimeError):
                    lock.release()

    def refuse(self) -> None:
        """Refuse the file in a child of a fork over which they stayed open."""
        if self._handle is not None:
            refuse_inherited(self._handle)


def _prepare(writer: sqlite3.Connection) -> None:
    _set_log(writer)
    # NORMAL can lose the last commits at a power cut: an intent would be lost whose SMS was sent.
    writer.execute("PRAGMA synchronous = FULL")
    # macOS: without it `fsync` leaves the data in the drive's cache. Elsewhere nothing changes.
    writer.execute("PRAGMA fullfsync = ON")
    writer.execute("PRAGMA checkpoint_fullfsync = ON")
    # What is deleted is overwritten: `purge` promises to forget.
    writer.execute("PRAGMA secure_delete = ON")


def _set_log(writer: sqlite3.Connection) -> None:
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


def _asks_to_keep(reader: sqlite3.Connection, keeps_log: KeepsLog) -> bool:
    """Return what `keeps_log` says of what is committed now, True where it cannot be asked."""
    try:
        # To the end: what comes later cannot get into the file itself while it is read.
        reader.execute("BEGIN")
        return keeps_log(reader)
    except sqlite3.Error:
        return True


def _suspend_all() -> None:
    _GUARD.acquire()
    _FORKS.append(None)
    if len(_FORKS) > 1:
        # A signal handler forks while this thread is about to: what is open yet is refused in the child.
        return
    for connections in list(_LIVING):
        connections.suspend()


def _resume_all() -> None:
    if _FORKS:
        _FORKS.pop()
    if not _FORKS:
        _SUSPENDED.clear()
        for connections in list(_LIVING):
            connections.resume()
    # An interrupt may have come before it was acquired.
    with suppress(RuntimeError):
        _GUARD.release()


def _forget_all() -> None:
    """Leave to the parent what is the parent's; a file that it did not close is refused here."""
    global _GUARD
    _GUARD = threading.RLock()
    for connections in _LIVING:
        if connections not in _SUSPENDED:
            connections.refuse()
    _FORKS.clear()
    _SUSPENDED.clear()
    _LIVING.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_suspend_all, after_in_parent=_resume_all, after_in_child=_forget_all)
