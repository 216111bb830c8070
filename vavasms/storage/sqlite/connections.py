"""The two connections to a file, each for one thread at a time. None is open while the process forks.

SQLite notes for the whole process which locks it has on a file. The child of a fork has that note, and none
of the locks: what it commits is lost as soon as the last connection elsewhere is closed, which takes the
file's log along. So they are closed before a fork, and opened again by whoever uses them next.
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
from vavasms.storage.sqlite.locks import FileHandle, refuse_inherited

#: Looks at what is committed, and says whether its log is to be kept.
KeepsLog = Callable[[sqlite3.Connection], bool]

#: Seconds to wait for another process that is writing.
BUSY_SECONDS = 10.0
#: Seconds that a fork waits for what is under way; its child refuses the file then.
_PATIENCE = 60.0
#: Between two tries at what SQLite does not wait for.
_PAUSE = 0.02

_GUARD = threading.Lock()
_LIVING: WeakSet[Connections] = WeakSet()
#: Those of the fork that is under way.
_SUSPENDED: list[Connections] = []


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
        self._connect = partial(
            connect, path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        # A native cancellation leaves a thread at work: the next one waits for it here.
        self._writing = self._reading = threading.Lock()
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
        connections._reading = threading.Lock()
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
        self._writer = self._connect()
        check(self._writer)
        _prepare(self._writer)
        migrate(self._writer)
        self._reader = self._connect()

    @classmethod
    def in_memory(cls, migrate: Callable[[sqlite3.Connection], None]) -> Self:
        """Return one connection that reads and writes, to a database that goes with it."""
        connections = cls(Path(":memory:"), None)
        connections._writer = connections._reader = connections._connect()
        migrate(connections._writer)
        return connections

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the one that writes, as soon as no other thread has it."""
        with self._writing:
            yield self._find_writer()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the one that reads, as soon as no other thread has it."""
        with self._reading:
            yield self._find_reader()

    def close(self, keeps_log: KeepsLog | None) -> None:
        """Close both, once nobody has them. May be repeated.

        The last of all connections to a file moves its log into it, unless `keeps_log` says that it is kept.
        """
        with ExitStack() as stack:
            stack.enter_context(self._writing)
            if self._reading is not self._writing:
                stack.enter_context(self._reading)
            if not self.is_closed:
                # Without a file that could be opened again after a fork there is nothing to move.
                with suppress(sqlite3.Error):
                    self._find_writer()
                    if keeps_log is not None and _asks_to_keep(self._find_reader(), keeps_log):
                        self._keep_log(stack)
                self.is_closed = True
                self._drop()

    def abandon(self) -> None:
        """Close what nobody closed, and keep the log. For a finalizer: it takes no lock."""
        if self._process.is_this:
            self.is_closed = True
            with ExitStack() as stack:
                self._keep_log(stack)
                self._drop()

    def _find_writer(self) -> sqlite3.Connection:
        self._check_open()
        if self._writer is None:
            writer = self._connect()
            try:
                _prepare(writer)
            except BaseException:
                writer.close()
                raise
            self._writer = writer
        return self._writer

    def _find_reader(self) -> sqlite3.Connection:
        self._check_open()
        if self._reader is None:
            self._reader = self._connect()
        return self._reader

    def _check_open(self) -> None:
        if self.is_closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    def _keep_log(self, stack: ExitStack) -> None:
        """Open one that only reads, to be closed last of all: it leaves the log as it is."""
        if self._handle is not None:
            with suppress(sqlite3.Error):
                last = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
                stack.callback(last.close)
                last.execute("SELECT 1 FROM sqlite_schema").fetchone()

    def _drop(self) -> None:
        writer, reader = self._writer, self._reader
        self._writer = self._reader = None
        for connection in (writer, reader):
            if connection is not None:
                connection.close()

    def _suspend(self) -> bool:
        """Close both and hold them closed; return False where something is under way for too long."""
        if not self._writing.acquire(timeout=_PATIENCE):
            return False
        if not self._reading.acquire(timeout=_PATIENCE):
            self._writing.release()
            return False
        with ExitStack() as stack:
            if self._writer is not None or self._reader is not None:
                self._keep_log(stack)
                self._drop()
        return True

    def _resume(self) -> None:
        self._reading.release()
        self._writing.release()


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
    _SUSPENDED[:] = [connections for connections in list(_LIVING) if connections._suspend()]  # noqa: SLF001


def _resume_all() -> None:
    for connections in _SUSPENDED:
        connections._resume()  # noqa: SLF001
    _SUSPENDED.clear()
    _GUARD.release()


def _forget_all() -> None:
    """Leave to the parent what is the parent's; a file that it could not let go of is refused here."""
    global _GUARD
    _GUARD = threading.Lock()
    for connections in _LIVING:
        if connections not in _SUSPENDED and connections._handle is not None:  # noqa: SLF001
            refuse_inherited(connections._handle)  # noqa: SLF001
    _SUSPENDED.clear()
    _LIVING.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_suspend_all, after_in_parent=_resume_all, after_in_child=_forget_all)
