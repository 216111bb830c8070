"""The lock of a seen store's file, shared by its processes: the kernel takes it from one that is killed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from anyio import move_on_after, sleep
from anyio.to_thread import run_sync

from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: there the lease alone tells
    fcntl = None  # type: ignore[assignment]

#: Seconds to wait for another process that opens the store at this moment.
PATIENCE = 10.0
_POLL = 0.02


class ProcessLock:
    """A shared lock beside a file, held as long as it is open."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    async def acquire(
        cls, path: Path, if_alone: Callable[[], Awaitable[object]], *, patience: float = PATIENCE
    ) -> Self:
        """Take a share in the lock of `path`; before that call `if_alone` where nobody else has one.

        Where the file system or the system knows no such locks, nobody is believed to be alone.
        Raises `LedgerError` where whoever is alone does not go on within `patience` seconds.
        """
        descriptor, is_alone = await run_sync(_open, path)
        lock = cls(descriptor)
        try:
            if is_alone:
                await if_alone()
            if descriptor is not None:
                await _share(descriptor, patience)
        except BaseException:
            lock.release()
            raise
        return lock

    def release(self) -> None:
        """Release the lock. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


async def _share(descriptor: int, patience: float) -> None:
    """Wait for whoever is alone, which is for a moment only, unless that process is suspended."""
    with move_on_after(patience):
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                await sleep(_POLL)
    raise LedgerError(
        _("Another process keeps the seen store to itself: it does not answer."),
        error_code="inbound.seen_busy",
    )


def _open(path: Path) -> tuple[int | None, bool]:
    """Open the lock's file; return whether nobody else has it."""
    if fcntl is None:  # pragma: no cover - Windows
        return None, False
    descriptor = None
    try:
        descriptor = os.open(
            path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor, True
    except BlockingIOError:
        return descriptor, False
    except OSError:
        if descriptor is not None:  # pragma: no cover - a file system without locks
            os.close(descriptor)
        return None, False
