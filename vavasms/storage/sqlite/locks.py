"""One handle on a database's file for everyone in this process, and a lock on the file itself.

A file is its inode: hard links, bind mounts, symbolic links and names that differ in case only meet the same
lock. The handle is shared, and closed after every connection: on POSIX, closing any descriptor of a file
drops all locks that SQLite has on it in this process.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from secrets import randbelow

from vavasms.config import misconfigured
from vavasms.errors import LedgerError, Outcome
from vavasms.i18n import gettext as _
from vavasms.storage.sqlite.files import file_id

#: In SQLite's lock-byte page, which never holds data, behind the bytes that SQLite locks itself.
_LOCK_BYTE = 0x4000_0400
#: Each member has a byte of its own, far beyond the 2**48 bytes that a database can have.
_FIRST_MEMBER, _MEMBERS = 1 << 50, 1 << 60

_GUARD = threading.Lock()
#: By process, since a child has its parent's, and by device and inode.
_HANDLES: dict[tuple[int, int, int], FileHandle] = {}
#: What nobody uses any more, noted by finalizers: they run in the middle of anything, of this room as well.
_UNUSED: deque[tuple[FileHandle, int | None]] = deque()
#: Device and inode of what the parent of this process had open as it forked: SQLite cannot open it safely.
_INHERITED: set[tuple[int, int]] = set()


class FileHandle:
    """A database's file, open as long as anyone in this process uses it."""

    def __init__(self, path: Path, key: tuple[int, int, int], descriptor: int) -> None:
        self.path, self.key = path, key
        self.users = 0
        self._descriptor = descriptor
        self._is_locked = self._is_checked = False
        self._checking = threading.Lock()
        self._members: set[int] = set()

    @property
    def inode(self) -> int:
        """The number of the file: a copy has another one."""
        return file_id(self._descriptor)

    def is_at(self, path: Path) -> bool:
        """Return whether a name is still this file's."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.key[1:]

    def check(self, check: Callable[[Path], None]) -> None:
        """Run `check` before the first connection of this process to the file, and never beside one."""
        with self._checking:
            if not self._is_checked:
                check(self.path)
                self._is_checked = True

    def lock(self) -> bool:
        """Lock the file for one holder; return False where another has it. Raises `OSError`."""
        with _GUARD:
            if self._is_locked or not _try_lock(self._descriptor):
                return False
            self._is_locked = True
            return True

    def unlock(self) -> None:
        """Release the lock."""
        with _GUARD:
            _unlock(self._descriptor)
            self._is_locked = False

    def join(self) -> int:
        """Return the number of a new member, which lives until `leave` or the end of this process.

        Whatever ends the process, `kill -9` too, the system takes its lock away.
        """
        _drop_unused()
        with _GUARD:
            member = _FIRST_MEMBER + randbelow(_MEMBERS)
            # Nobody else has this byte, in all likelihood.
            _try_lock(self._descriptor, member)
            self._members.add(member)
            return member

    def leave(self, member: int) -> None:
        """End a member. May be repeated."""
        with _GUARD:
            if member in self._members:
                self._members.remove(member)
                _unlock(self._descriptor, member)

    def lives(self, member: int) -> bool:
        """Return whether a member of this or another process lives."""
        _drop_unused()
        with _GUARD:
            if member in self._members:
                return True
            if not _try_lock(self._descriptor, member):
                return True
            _unlock(self._descriptor, member)
            return False

    def drop_later(self, member: int | None = None) -> None:
        """Note from a finalizer that a member, or a user of the file, is no more. Takes no lock."""
        _UNUSED.append((self, member))

    def keep(self) -> None:
        """Keep the file open to the end of the process, and its members alive."""
        with _GUARD:
            self.users += 1

    def release(self) -> None:
        """Close the file if nobody else in this process uses it."""
        with _GUARD:
            self.users -= 1
            if not self.users:
                del _HANDLES[self.key]
                os.close(self._descriptor)


def hold_file(path: Path) -> FileHandle:
    """Return the handle of a file that exists.

    Raises `LedgerError` for a file with more than one name: the log is found by the name, so that each name
    would have a log of its own. `ConfigurationError` for one that was open as this process was forked.
    """
    _drop_unused()
    try:
        with _GUARD:
            handle = _find(path)
            if os.fstat(handle._descriptor).st_nlink <= 1 and handle.path == path:  # noqa: SLF001  ours
                handle.users += 1
                return handle
            if not handle.users:
                del _HANDLES[handle.key]
                os.close(handle._descriptor)  # noqa: SLF001
    except OSError as error:
        reason = _(error.strerror or type(error).__name__)
        text = _("The file {path} cannot be opened: {reason}.", path=path, reason=reason)
        failure = LedgerError(text, error_code="ledger.file", outcome=Outcome.NOT_SENT)
    else:
        text = _(
            "The file {path} has more than one name, and each would have its own log: keep one name, in a "
            "folder of its own.",
            path=path,
        )
        failure = LedgerError(text, error_code="ledger.several_names", outcome=Outcome.NOT_SENT)
    raise failure


def refuse_inherited(handle: FileHandle) -> None:
    """Refuse a file of the parent's in this process from now on."""
    _INHERITED.add(handle.key[1:])


def _drop_inherited() -> None:
    """Close what a forked child has of its parent's: its members would live as long as the child does."""
    global _GUARD
    _GUARD = threading.Lock()
    _UNUSED.clear()
    for key in [key for key in _HANDLES if key[0] != os.getpid()]:
        os.close(_HANDLES.pop(key)._descriptor)  # noqa: SLF001  ours


def _is_inherited(key: tuple[int, int, int]) -> bool:
    """Return whether the parent of this process had a file open as it forked."""
    # A fork that Python was not told of leaves the handles of the parent.
    return key[1:] in _INHERITED or any(other[1:] == key[1:] and other[0] != key[0] for other in _HANDLES)


def _drop_unused() -> None:
    """Leave and close what finalizers noted."""
    while _UNUSED:
        try:
            handle, member = _UNUSED.popleft()
        except IndexError:  # pragma: no cover - another thread took the last one
            return
        if _HANDLES.get(handle.key) is not handle:
            continue
        if member is None:
            handle.release()
        else:
            handle.leave(member)


def _find(path: Path) -> FileHandle:
    status = path.stat()
    key = (os.getpid(), status.st_dev, status.st_ino)
    if _is_inherited(key):
        raise misconfigured(
            _("The database was open as this process was forked: open it in a process that was begun anew."),
            "config.fork",
        )
    handle = _HANDLES.get(key)
    if handle is None:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        handle = _HANDLES[key] = FileHandle(path, key, descriptor)
    return handle


if sys.platform == "win32":  # pragma: no cover - Windows
    import msvcrt

    def _try_lock(descriptor: int, at: int = _LOCK_BYTE) -> bool:
        os.lseek(descriptor, at, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(descriptor: int, at: int = _LOCK_BYTE) -> None:
        os.lseek(descriptor, at, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

elif sys.platform == "linux":
    import fcntl

    # Of the open file, not of the process: no `close` of somebody else's drops it, as it would a POSIX lock.
    # Not `flock`, which takes the whole file: some systems hold it against SQLite's own locks.
    def _change_lock(descriptor: int, kind: int, at: int) -> None:
        lock = struct.pack("hhqqi", kind, os.SEEK_SET, at, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)

    def _try_lock(descriptor: int, at: int = _LOCK_BYTE) -> bool:
        try:
            _change_lock(descriptor, fcntl.F_WRLCK, at)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(descriptor: int, at: int = _LOCK_BYTE) -> None:
        _change_lock(descriptor, fcntl.F_UNLCK, at)

else:  # pragma: no cover - macOS and the BSDs: a lock of the process, kept by closing the handle last
    import fcntl

    def _try_lock(descriptor: int, at: int = _LOCK_BYTE) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(descriptor: int, at: int = _LOCK_BYTE) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, at)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)
