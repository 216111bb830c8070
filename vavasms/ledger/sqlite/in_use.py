"""Using a ledger's file: marked before the first claim, unmarked once everything is in the file itself."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from anyio import CancelScope
from anyio.to_thread import run_sync
from attrs import asdict, evolve

from vavasms.errors import LedgerError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.ledger.rows import LEDGER_RECOVERED, RECOVERED, dump_record
from vavasms.ledger.sqlite.claims import SQL
from vavasms.ledger.sqlite.identity import (
    OTHER_LOG,
    Identity,
    check_latest,
    find_later,
    find_older,
    find_problem,
    latest_of,
    log_path,
    read_beside,
    read_identity,
    write_beside,
)
from vavasms.ledger.sqlite.lock import runner_lock
from vavasms.ledger.sqlite.sends import recover_sends
from vavasms.storage.sqlite.database import Database
from vavasms.storage.sqlite.locks import FileHandle, hold_file


@asynccontextmanager
async def use_file(database: Database, handle: FileHandle) -> AsyncIterator[None]:
    """Be the one runner, with the mark in the file itself.

    Raises `LedgerBusyError` where another one is, `LedgerError` for the older of two copies.
    """
    path = database.path
    async with runner_lock(path, handle):
        identity = await database.read(read_identity)
        await run_sync(check_latest, path, identity)
        if identity.in_use:
            if not await unmark(database):
                raise _too_busy(path)
            identity = await database.read(read_identity)
        elif not await database.checkpoint("FULL"):
            # Where the one before died as it took its mark off, the file is a generation behind its log: with
            # one more the log would pass for another file's.
            raise _too_busy(path)
        new = identity.follow(inode=handle.inode)
        # A crash at any instant leaves a file that is one of those beside it.
        await run_sync(write_beside, path, new, identity)
        await database.write(partial(_write, identity=new))
        # Not cut: in a file that is marked an empty log passes for a lost one.
        if not await database.checkpoint("FULL"):
            raise _too_busy(path)
        await run_sync(write_beside, path, new)
        try:
            yield
        finally:
            with CancelScope(shield=True), suppress(LedgerError):
                await unmark(database)


async def unmark(database: Database, *, wait: bool = True) -> bool:
    """Move everything into the file itself, then take the mark off it.

    It has another generation from then on: a copy from while it was in use is older. Return False where a
    reader was in the way: then the mark stays, and with it the log. Under the lock.
    """
    # Cut only once the mark is off.
    if not await database.checkpoint("FULL", wait=wait):
        return False
    path, identity = database.path, await database.read(read_identity)
    if await run_sync(find_later, path, identity) is not None:
        # An older copy: it stays one, whoever looked at it.
        await database.write(partial(_write, identity=evolve(identity, in_use=False)))
        return await database.checkpoint("TRUNCATE", wait=wait)
    new = identity.follow(inode=identity.inode, in_use=False)
    # As at the beginning.
    await run_sync(write_beside, path, new, identity)
    await database.write(partial(_write, identity=new))
    is_cut = await database.checkpoint("TRUNCATE", wait=wait)
    await run_sync(write_beside, path, new)
    return is_cut


async def unmark_abandoned(database: Database, handle: FileHandle) -> None:
    """Take the mark of a runner that died off a file that is about to be closed.

    The last to close it deletes the log, unless the mark is still there. Beside a runner nothing is done.
    """
    with suppress(VavaSMSError):
        if (await database.read(read_identity)).in_use:
            async with runner_lock(database.path, handle):
                await unmark(database, wait=False)


def examine(path: Path) -> str | None:
    """Return why a ledger's file cannot be trusted, in English, or None. Changes nothing."""
    with _hold_unopened(path):
        return find_problem(path) or find_older(path)


@asynccontextmanager
async def hold_refused(path: Path) -> AsyncIterator[FileHandle]:
    """Hold the lock of a file that cannot be trusted, its log out of the way if it is another's."""
    with _hold_unopened(path) as handle:
        async with runner_lock(path, handle):
            if await run_sync(find_problem, path) == OTHER_LOG:
                await run_sync(_rename_log, path)
            yield handle


@contextmanager
def _hold_unopened(path: Path) -> Iterator[FileHandle]:
    handle = hold_file(path)
    try:
        if handle.users > 1:
            raise LedgerError(
                _("The ledger {path} is open in this program: close it first.", path=path),
                error_code="ledger.being_read",
            )
        yield handle
    finally:
        handle.release()


def recover(connection: sqlite3.Connection, *, path: Path, inode: int, now: float) -> int:
    """Make unknown what is queued of every campaign that may have been run, and the file the latest.

    Return how many messages became unknown.
    """
    (count,) = connection.execute(SQL["count_recovered"]).fetchone()
    connection.execute(SQL["commit_recovered"])
    connection.execute(SQL["recover_queued"], {"result": dump_record(RECOVERED), "now": now})
    connection.execute(SQL["pause_recovered"], {"reason": LEDGER_RECOVERED})
    # Of these the rest of the list may be missing: they are never run.
    connection.execute(SQL["cancel_loading"], {"reason": LEDGER_RECOVERED})
    count += recover_sends(connection, now)
    after = latest_of(read_beside(path))
    identity = read_identity(connection).follow(inode=inode, in_use=False, after=after)
    _write(connection, identity=identity)
    return int(count)


def _write(connection: sqlite3.Connection, *, identity: Identity) -> None:
    connection.execute(SQL["set_identity"], asdict(identity))


def _rename_log(path: Path) -> None:
    log = log_path(path)
    log.replace(log.with_name(f"{log.name}.other"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


def _too_busy(path: Path) -> LedgerError:
    return LedgerError(
        _(
            "Somebody reads the ledger {path} all the time, so that it cannot be marked as in use: close "
            "what reads it. Nothing was sent.",
            path=path,
        ),
        error_code="ledger.being_read",
        outcome=Outcome.NOT_SENT,
    )
