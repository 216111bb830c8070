"""One runner at a time: an advisory lock on a file beside the ledger, gone with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from anyio import CancelScope
from anyio.to_thread import run_sync

from vavasms.config import misconfigured
from vavasms.errors import LedgerBusyError, LedgerError, Outcome


@asynccontextmanager
async def runner_lock(path: Path) -> AsyncIterator[None]:
    """Hold the lock of the ledger at `path`.

    Raises `LedgerBusyError` at once where another runner holds it, in this process or another.
    """
    if find_spec("filelock") is None:
        raise misconfigured("Campaigns in a file need one more library: pip install 'vavasms[campaigns]'.")
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.lock"), mode=0o600, thread_local=False, is_singleton=False)
    why = ""
    try:
        await run_sync(lambda: lock.acquire(blocking=False))
    except Timeout:
        why = "busy"
    except OSError as error:
        why = error.strerror or type(error).__name__
    if why == "busy":
        raise LedgerBusyError(
            f"Another runner is at work on the ledger {path}: wait for its end. Nothing was sent.",
            outcome=Outcome.NOT_SENT,
        )
    if why:
        raise LedgerError(f"The lock of the ledger {path} cannot be taken: {why}.", outcome=Outcome.NOT_SENT)
    try:
        yield
    finally:
        with CancelScope(shield=True):
            await run_sync(lock.release)
