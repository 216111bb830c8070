"""Which version of a schema a SQLite file has, and how it comes to the present one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from vavasms.errors import ConfigurationError, Outcome
from vavasms.i18n import gettext as _
from vavasms.storage.queries import Migration, reject_version


def check_schema(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Migration],
    application_id: int,
    *,
    upgrade: bool,
) -> None:
    """Raise `ConfigurationError` for a file that is not ours, newer, or older and not to be upgraded.

    Reads only, and one state: another process may be making it.
    """
    connection.execute("BEGIN")
    try:
        owner, version = _read(connection, "application_id"), _read(connection, "user_version")
        empty = not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        owner, version, empty = -1, 0, False
    finally:
        connection.execute("ROLLBACK")
    if owner != application_id and not (owner == 0 and empty):
        raise ConfigurationError(
            _("The file {path} holds something else: name another one.", path=path),
            error_code="ledger.foreign",
            outcome=Outcome.NOT_SENT,
            halts=True,
        )
    fault = reject_version(version, migrations[-1].version, upgrade=upgrade)
    if fault is not None:
        raise ConfigurationError(
            _("The file {path} {reason}.", path=path, reason=fault.reason),
            error_code=fault.error_code,
            outcome=Outcome.NOT_SENT,
            halts=True,
        )


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], application_id: int) -> None:
    """Run the steps that are missing, all of them in one transaction: nobody finds a file halfway."""
    latest = migrations[-1].version
    if _read(connection, "user_version") >= latest:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been quicker.
        version = _read(connection, "user_version")
        for step in migrations:
            for statement in _statements(step.sql) if step.version > version else ():
                connection.execute(statement)
        # Pragmas take no parameters; these are whole numbers.
        connection.execute(f"PRAGMA application_id = {application_id:d}")
        connection.execute(f"PRAGMA user_version = {max(version, latest):d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _read(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Part a script; `executescript` would commit in between."""
    statements, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    # The last one may have lost its semicolon.
    return [*statements, rest] if rest.strip() else statements
