"""The disk: SQLite's real files, with failures at any statement, and what is left of them when a process dies."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.host import CrashError, Current, Host
from vavasms.ledger.sqlite.claims import SQL as BATCHES
from vavasms.ledger.sqlite.sends import SQL as SENDS
from vavasms.storage.sqlite import locks
from vavasms.storage.sqlite.locks import FileHandle

# Hosts have numbers of their own, and none is a fork of another.
locks._is_inherited = lambda key: False

_CHANGES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "BEGIN")
#: Statements of a transaction, as a rule: the one at which it fails is drawn among so many.
_STATEMENTS = 8


@cache
def _is_change(sql: str) -> bool:
    """Return whether a statement writes."""
    lines = (line for line in sql.splitlines() if not line.startswith("--"))
    return next(lines, "").startswith(_CHANGES)


@define(eq=False)
class Disk:
    """The disk of the machine that has the ledger."""

    #: Until then every write fails, and how; on the timeline.
    failing_until: float = 0.0
    words: str = ""
    #: Whether nothing can be read either.
    fails_reading: bool = False
    #: Everything on it that is open, whoever has it open.
    connections: list[SimulatedConnection] = field(factory=list)
    #: The runner's locks beside the ledger: by their path, whose they are.
    locks: dict[str, Host] = field(factory=dict)

    def fail(self, fault: Fault, host: Host) -> str:
        """Fail from now on, for as long as the fault lasts; return what SQLite says."""
        self.words = "database or disk is full" if fault.kind is FaultKind.DISK_FULL else "disk I/O error"
        self.failing_until = host.clock.timeline.now + fault.seconds
        self.fails_reading = fault.fails_reading
        return self.words

    def check(self, host: Host, *, is_change: bool) -> None:
        """Raise `sqlite3.OperationalError` where nothing can be written, or read."""
        if self._fails(host) and (is_change or self.fails_reading):
            raise sqlite3.OperationalError(self.words)

    def check_file(self, host: Host) -> None:
        """Raise `OSError` where no other file can be written."""
        if self._fails(host):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _fails(self, host: Host) -> bool:
        return host.clock.timeline.now < self.failing_until


class SimulatedConnection(sqlite3.Connection):
    """A connection of a simulated process."""

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        self.file = str(database)
        assert Current.host is not None
        self.host, self.disk = Current.host, current_disk()
        self._doomed: list[tuple[int, Fault]] = []
        self._statements = 0
        self.is_open = True
        self.disk.connections.append(self)
        self.host.own(self)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        # SQLite forgets a transaction whatever the disk does: the file was not touched yet.
        if not self.is_open or sql == "ROLLBACK":
            return super().execute(sql, parameters)
        is_change = _is_change(sql)
        self.disk.check(self.host, is_change=is_change)
        if not is_change:
            return super().execute(sql, parameters)
        self._note_event(sql)
        return self._execute_doomed(sql, parameters) if self._doomed else super().execute(sql, parameters)

    def _note_event(self, sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":
            self._statements = 0
            self._doomed = []
            self._doom(Event.COMMIT, _STATEMENTS)
        elif sql in _EVENTS:
            self._doom(_EVENTS[sql], 2)

    def _doom(self, event: Event, statements: int) -> None:
        """Note what is to go wrong within so many statements, or at the commit."""
        self._doomed += [
            (self._statements + int(fault.place * statements), fault)
            for fault in self.host.happen(event)
            if fault.kind in _IN_TRANSACTION
        ]

    def close(self) -> None:
        if self.is_open:
            self.disk.connections.remove(self)
            self.host.disown(self)
            self._forget()
        super().close()

    def take_away(self) -> None:
        """Close it as the system does, which writes nothing: SQLite would move the log into the file."""
        self.disk.connections.remove(self)
        is_last = all(other.file != self.file for other in self.disk.connections)
        with _files_kept(Path(self.file)) if is_last else nullcontext():
            super().close()
        self._forget()

    def _forget(self) -> None:
        """Whatever holds the connection is not to hold its process."""
        self.is_open = False
        del self.host, self.disk

    def _execute_doomed(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._statements += 1
        is_commit = sql == "COMMIT"
        for statement, fault in [*self._doomed]:
            if fault.kind is FaultKind.COMMIT_LOST:
                if is_commit:
                    self._doomed.clear()
                    super().execute(sql)
                    raise sqlite3.OperationalError("disk I/O error")
            elif is_commit or self._statements > statement:
                self._doomed.remove((statement, fault))
                self._fail(fault)
        return super().execute(sql, parameters)

    def _fail(self, fault: Fault) -> None:
        if fault.kind is FaultKind.CRASH_IN_JOB:
            self.host.is_doomed = True
            raise CrashError
        if fault.kind is FaultKind.DISK_FULL and self.in_transaction:
            # SQLite takes the whole transaction back.
            super().execute("ROLLBACK")
        raise sqlite3.OperationalError(self.disk.fail(fault, self.host))


#: What a statement is the middle of.
_EVENTS = {
    BATCHES["claim_batch"]: Event.CLAIM,
    SENDS["insert_send"]: Event.CLAIM,
    SENDS["renew_send"]: Event.CLAIM,
    SENDS["claim_send"]: Event.CLAIM,
    BATCHES["settle_batch"]: Event.SETTLE,
    SENDS["accept_send"]: Event.SETTLE,
    SENDS["settle_send"]: Event.SETTLE,
}

_IN_TRANSACTION = (
    FaultKind.CRASH_IN_JOB,
    FaultKind.DISK_ERROR,
    FaultKind.DISK_FULL,
    FaultKind.COMMIT_LOST,
)


class CurrentDisk:
    """The disk of the simulation that runs."""

    disk: Disk | None = None


def current_disk() -> Disk:
    """Return the disk of the simulation that runs."""
    assert CurrentDisk.disk is not None
    return CurrentDisk.disk


def connect(path: str | Path, **options: Any) -> sqlite3.Connection:
    """Connect like `sqlite3.connect`, on the simulated disk."""
    return sqlite3.connect(str(path), factory=SimulatedConnection, **options)


def write_file(write: Callable[[Path, str], None], path: Path, text: str) -> None:
    """Write a file beside a ledger, as far as that gets."""
    host, disk = Current.host, CurrentDisk.disk
    if host is None or disk is None:
        write(path, text)
        return
    for fault in host.happen(Event.FILE):
        if fault.kind is FaultKind.CRASH_IN_JOB:
            if fault.place > 0.5:
                # It is there, and has not its name yet.
                write(path, text)
            host.is_doomed = True
            raise CrashError
        if fault.kind in _IN_TRANSACTION:
            disk.fail(evolve(fault, seconds=max(fault.seconds, 0.001)), host)
    disk.check_file(host)
    write(path, text)


class SimulatedFileLock:
    """What is used of `filelock.FileLock`: a lock that goes with its process."""

    def __init__(self, path: str | os.PathLike[str], **_options: object) -> None:
        self._path = os.fspath(path)

    def acquire(self, *, blocking: bool) -> None:
        """Take it, or raise `TimeoutError`."""
        del blocking
        holder = current_disk().locks.get(self._path)
        if holder is not None and not holder.has_ended:
            raise TimeoutError
        assert Current.host is not None
        current_disk().locks[self._path] = Current.host

    def release(self) -> None:
        """Release it."""
        current_disk().locks.pop(self._path, None)


def take_away_handles(pid: int) -> None:
    """Close what a process that died held its ledgers by, and with it its locks."""
    for key in [key for key in locks._HANDLES if key[0] == pid]:
        handle: FileHandle = locks._HANDLES.pop(key)
        os.close(handle._descriptor)
        # Whatever it still does, it does to nothing.
        handle._descriptor = -1


@contextmanager
def _files_kept(path: Path) -> Iterator[None]:
    """Keep a database and its log as they are while the last connection is closed."""
    log = path.with_name(f"{path.name}-wal")
    kept = {each: each.read_bytes() for each in (path, log) if each.exists()}
    yield
    for each, data in kept.items():
        # The same file: its number says whose it is.
        with each.open("r+b" if each.exists() else "xb") as file:
            file.write(data)
            file.truncate()
