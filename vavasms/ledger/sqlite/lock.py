"""One runner at a time: advisory locks on the ledger's file and on one beside it, gone with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from anyio import CancelScope
from anyio.to_thread import run_sync

from vavasms.config import misconfigured
from vavasms.errors import LedgerBusyError, LedgerError, Outcome
from vavasms.i18n import gettext as _
from vavasms.storage.sqlite.locks import FileHandle


class BaseFileLock(Protocol):
    """What is used of `filelock`'s locks: an extra brings that library."""

    def acquire(self, *, blocking: bool) -> Any:
        """Take the lock, or raise `TimeoutError`."""
        ...

    def release(self) -> None:
        """Release it."""
        ...


@asynccontextmanager
async def runner_lock(path: Path, handle: FileHandle) -> AsyncIterator[None]:
    """Hold the lock of the ledger at `path`, whatever other names its file has.

    The lock beside it is the one that older versions know.

    Raises `LedgerBusyError` at once where another runner holds either, in this process or another.
    """
    if find_spec("filelock") is None:
        raise misconfigured(
            _("Campaigns in a file need one more library: pip install 'vavasms[campaigns]'."),
            "config.extra",
        )
    from filelock import FileLock

    beside = FileLock(path.with_name(f"{path.name}.lock"), mode=0o600, thread_local=False, is_singleton=False)
    await _acquire(path, beside, handle)
    try:
        yield
    finally:
        with CancelScope(shield=True):
            await run_sync(_release, beside, handle)


async def _acquire(path: Path, beside: BaseFileLock, handle: FileHandle) -> None:
    try:
        if await run_sync(_acquire_both, beside, handle):
            return
        reason = None
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason is None:
        raise LedgerBusyError(
            _(
                "Another runner is at work on the ledger {path}: wait for its end. Nothing was sent.",
                path=path,
            ),
            outcome=Outcome.NOT_SENT,
        )
    raise LedgerError(
        _("The lock of the ledger {path} cannot be taken: {reason}.", path=path, reason=_(reason)),
        error_code="ledger.file",
        outcome=Outcome.NOT_SENT,
    )


def _acquire_both(beside: BaseFileLock, handle: FileHandle) -> bool:
    try:
        beside.acquire(blocking=False)
    except TimeoutError:
        return False
    is_ours = False
    try:
        is_ours = handle.lock()
    finally:
        if not is_ours:
            beside.release()
    return is_ours


def _release(beside: BaseFileLock, handle: FileHandle) -> None:
    handle.unlock()
    beside.release()
