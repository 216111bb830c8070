"""Which version our schema in a PostgreSQL database has, and how it comes to the present one."""

from __future__ import annotations

from collections.abc import Sequence

from vavasms.config import misconfigured
from vavasms.storage.postgres_link import Connection
from vavasms.storage.queries import Migration

#: "VAVA" and one: whoever migrates holds this lock till the commit.
_LOCK = "SELECT pg_advisory_xact_lock(1447122498, 0)"
_LOOK = """
SELECT count(*), count(*) FILTER (WHERE relname = 'schema_version') FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'vavasms')
"""
_READ = "SELECT coalesce(max(version), 0) FROM vavasms.schema_version"
_MAKE = """
CREATE SCHEMA IF NOT EXISTS vavasms;
CREATE TABLE IF NOT EXISTS vavasms.schema_version (
    version INTEGER PRIMARY KEY,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);
"""
_WRITE = "INSERT INTO vavasms.schema_version (version) VALUES (%s)"


async def prepare_schema(connection: Connection, migrations: Sequence[Migration], *, upgrade: bool) -> None:
    """Make the schema where there is none, and upgrade it where that is wanted, in one transaction.

    Raises `ConfigurationError`, and touches nothing, for one that is not ours, newer, or older and not to be
    upgraded. One of the present version is only read: whoever uses it needs no right to make tables.
    """
    latest = migrations[-1].version
    version = await _read(connection)
    _check(version, latest, upgrade=upgrade)
    if version < latest:
        await connection.execute(_LOCK)
        # Another process may have been quicker.
        version = await _read(connection)
        _check(version, latest, upgrade=upgrade)
        await _migrate(connection, migrations, version)
    await connection.commit()


def _check(version: int, latest: int, *, upgrade: bool) -> None:
    if version < 0:
        why = "its schema `vavasms` is not ours: name another one"
    elif version > latest:
        why = (
            f"it was written by a newer vavasms (version {version}, this one knows {latest}): upgrade vavasms"
        )
    elif 0 < version < latest and not upgrade:
        why = "it was written by an older vavasms: run `vavasms ledger migrate` first"
    else:
        return
    raise misconfigured(f"This database cannot be used as a ledger: {why}.")


async def _read(connection: Connection) -> int:
    """Give the version; 0 where there is nothing, -1 where there is something else."""
    tables, versions = (await (await connection.execute(_LOOK)).fetchone()) or (0, 0)
    if not versions:
        return -1 if tables else 0
    row = await (await connection.execute(_READ)).fetchone()
    return int(row[0]) if row else 0


async def _migrate(connection: Connection, migrations: Sequence[Migration], version: int) -> None:
    if version < migrations[-1].version:
        await connection.execute(_MAKE)
    for step in migrations:
        if version < step.version:
            # Without parameters the server takes many statements at once.
            await connection.execute(step.sql.encode())
            await connection.execute(_WRITE, [step.version])
