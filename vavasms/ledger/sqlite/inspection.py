"""The inspection of a ledger's file: read only, its log left as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from vavasms.errors import ConfigurationError
from vavasms.ledger.inspection import OVERDUE_AFTER, LedgerInspection, LedgerLoad
from vavasms.ledger.sqlite.identity import has_log
from vavasms.ledger.sqlite.ledger import APPLICATION_ID, MIGRATIONS
from vavasms.storage.queries import load_queries
from vavasms.storage.sqlite.connections import hold_forks
from vavasms.storage.sqlite.database import explain
from vavasms.storage.sqlite.schema import check_schema

SQL: Mapping[str, str] = load_queries("vavasms.ledger.sqlite", "inspection.sql")


def inspect_file(path: Path, *, now: float) -> LedgerInspection:
    """Return what is found in the file of a ledger.

    Raises `LedgerError` where it cannot be read.
    """
    # Without a log a file that lies where nothing may be written is read too.
    how = "mode=ro" if has_log(path) else "immutable=1"
    try:
        with (
            hold_forks(),
            closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None)) as connection,
        ):
            return _inspect(connection, path, now)
    except sqlite3.Error as error:
        failure = explain(error)
    raise failure


def _inspect(connection: sqlite3.Connection, path: Path, now: float) -> LedgerInspection:
    problem: ConfigurationError | None = None
    try:
        check_schema(connection, path, MIGRATIONS, APPLICATION_ID, upgrade=False)
    except ConfigurationError as error:
        problem = error
    if problem is not None:
        return LedgerInspection(version=0, problem=problem)
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not version:
        return LedgerInspection(version=0)
    row = connection.execute(SQL["count_load"], {"before": now - OVERDUE_AFTER}).fetchone()
    return LedgerInspection(version=version, load=LedgerLoad(running=row[0], sending=row[1], overdue=row[2]))
