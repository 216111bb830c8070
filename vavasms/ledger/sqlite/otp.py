"""One-time codes counted in SQLite: in a ledger's file for any number of processes, or in memory for one."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Mapping
from importlib.resources import files
from sqlite3 import Connection

from vavasms.ledger.otp import OtpRequest, OtpStore, Refusal, find_refusal, forget_values, plan_checks
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.storage.queries import load_queries
from vavasms.storage.sqlite.database import Database

_PACKAGE = "vavasms.ledger.sqlite"
SQL: Mapping[str, str] = load_queries(_PACKAGE, "otp.sql")

#: One for all that is counted in memory. Held over a fork, so that a child finds every transaction whole; a
#: signal handler that forks may interrupt whoever holds it.
_guard = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


class SqliteOtp(OtpStore):
    """The codes of a `SqliteLedger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        return await self._database.read(lambda c: check(c, request, limits, now))

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        return await self._database.write(lambda c: take(c, request, limits, now))

    async def give_back(self, account: str, token: str) -> None:
        await self._database.write(lambda c: change(c, "delete_event", account, token))

    async def note_rejected(self, account: str, token: str) -> None:
        await self._database.write(lambda c: change(c, "reject_event", account, token))


class MemoryOtp(OtpStore):
    """The codes of a process without a ledger, for every thread and event loop of it.

    Each call is over within microseconds, so it waits for nobody and needs no thread.
    """

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.executescript(files(_PACKAGE).joinpath("0005_otp.sql").read_text(encoding="utf-8"))
        self._connection = connection
        # Nobody has to close it, and Python 3.13 warns of a connection that is left open.
        weakref.finalize(self, connection.close)

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        with _guard:
            return check(self._connection, request, limits, now)

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        with _guard:
            return take(self._connection, request, limits, now)

    async def give_back(self, account: str, token: str) -> None:
        with _guard:
            change(self._connection, "delete_event", account, token)

    async def note_rejected(self, account: str, token: str) -> None:
        with _guard:
            change(self._connection, "reject_event", account, token)


def check(connection: Connection, request: OtpRequest, limits: OtpLimits, now: float) -> Refusal | None:
    """Return why a call is refused, None where it is not."""
    checks = plan_checks(request, limits, now=now)
    found = [connection.execute(SQL[check.query], check.values).fetchone() for check in checks]
    return find_refusal(request, limits, checks, found, now=now)


def take(connection: Connection, request: OtpRequest, limits: OtpLimits, now: float) -> Refusal | None:
    """Keep a call where nothing refuses it, and forget some of what is old."""
    refusal = check(connection, request, limits, now)
    if refusal is None:
        connection.execute(SQL["insert_event"], {**request.values, "now": now})
        connection.execute(SQL["forget_events"], forget_values(now))
    return refusal


def change(connection: Connection, query: str, account: str, token: str) -> None:
    """Change the row of a call, if there is one."""
    connection.execute(SQL[query], {"account": account, "token": token})
