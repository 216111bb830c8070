"""procrastinate's schema beside ours, in the same database: made, and brought to the installed version."""

from __future__ import annotations

from pathlib import Path

from procrastinate.schema import SchemaManager

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.schema import lock_schemas

SCHEMA = "vavasms_jobs"
_STEPS = tuple(sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")))
_LATEST = _STEPS[-1].name
_READ = "SELECT max(step) FROM vavasms.jobs_step"
_LOOK = """
SELECT count(*) FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'vavasms_jobs')
"""
_WRITE = "INSERT INTO vavasms.jobs_step (step) VALUES (%s)"


async def prepare_jobs(connection: Connection, *, upgrade: bool) -> None:
    """Make procrastinate's schema where there is none, and upgrade it where that is wanted.

    After ours, in the same transaction. Raises `ConfigurationError`, and touches nothing, for one that is not
    ours, a newer one, or an older one without `upgrade`.
    """
    step = await read_step(connection)
    check_step(step, upgrade=upgrade)
    if step != _LATEST:
        await lock_schemas(connection)
        # Another process may have been quicker.
        step = await read_step(connection)
        check_step(step, upgrade=upgrade)
        await _migrate(connection, step)


async def read_step(connection: Connection) -> str:
    """Return the name of the last step that was taken; empty where none was."""
    row = await (await connection.execute(_READ)).fetchone()
    return row[0] or "" if row else ""


def check_step(step: str, *, upgrade: bool) -> None:
    """Raise `ConfigurationError` for a schema whose last step is newer, or older and not to be upgraded."""
    if step > _LATEST:
        raise misconfigured(
            _(
                "This database cannot be used as a ledger: its jobs were made by a newer procrastinate: "
                "upgrade it."
            ),
            "ledger.newer",
        )
    if "" < step < _LATEST and not upgrade:
        raise misconfigured(
            _(
                "This database cannot be used as a ledger: its jobs were made by an older procrastinate: "
                "run `vavasms ledger migrate` first."
            ),
            "ledger.older",
        )


async def _is_taken(connection: Connection) -> bool:
    """Return whether there is a schema of this name that holds anything."""
    row = await (await connection.execute(_LOOK)).fetchone()
    return bool(row and row[0])


async def _migrate(connection: Connection, step: str) -> None:
    if step == _LATEST:
        return
    if not step and await _is_taken(connection):
        raise misconfigured(
            _(
                "This database cannot be used as a ledger: its schema `{schema}` is not ours: "
                "name another one.",
                schema=SCHEMA,
            ),
            "ledger.foreign",
        )
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
    await connection.execute(f"SET LOCAL search_path TO {SCHEMA}".encode())
    texts = [migration.read_text(encoding="utf-8") for migration in _STEPS if migration.name > step]
    for text in texts if step else [SchemaManager.get_schema()]:
        # Without parameters the server takes many statements at once.
        await connection.execute(text.encode())
    await connection.execute(_WRITE, [_LATEST])
