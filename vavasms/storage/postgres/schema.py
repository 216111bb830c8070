"""Which version our schema in a PostgreSQL database has, and how it comes to the present one."""

from __future__ import annotations

from collections.abc import Sequence

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.queries import Migration, reject_version

#: "VAVA" and one: whoever migrates holds this lock till the commit.
_LOCK = "SELECT pg_advisory_xact_lock(1447122498, 0)"
_LOOK = """
SELECT count(*), count(*) FILTER (WHERE relname = 'schema_version') FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
"""
#: The name of the schema is one of ours.
_READ = "SELECT coalesce(max(version), 0) FROM {schema}.schema_version"
_MAKE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.schema_version (
    version INTEGER PRIMARY KEY,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);
"""
_WRITE = "INSERT INTO {schema}.schema_version (version) VALUES (%s)"


async def prepare_schema(
    connection: Connection,
    migrations: Sequence[Migration],
    *,
    upgrade: bool,
    create: bool = True,
    schema: str = "vavasms",
) -> None:
    """Create a schema where there is none, and upgrade it where that is wanted, in the present transaction.

    Raises `ConfigurationError`, and touches nothing, for one that is not ours, newer, or older and not to be
    upgraded. One of the present version is only read: whoever uses it needs no right to make tables.
    """
    latest = migrations[-1].version
    version = await read_version(connection, schema)
    check_version(version, latest, schema, upgrade=upgrade)
    if not (version or create):
        raise misconfigured(
            _("There is no ledger in this database yet: `vavasms ledger migrate` makes one."),
            "ledger.missing",
        )
    if version < latest:
        await lock_schemas(connection)
        # Another process may have been quicker.
        version = await read_version(connection, schema)
        check_version(version, latest, schema, upgrade=upgrade)
        await _migrate(connection, migrations, version, schema)


async def lock_schemas(connection: Connection) -> None:
    """Lock every schema for this migration, till the commit."""
    await connection.execute(_LOCK)


def check_version(version: int, latest: int, schema: str, *, upgrade: bool) -> None:
    """Raise `ConfigurationError` for a version that cannot be used; -1 is that of a schema not ours."""
    if version < 0:
        raise misconfigured(
            _(
                "This database cannot be used: its schema `{schema}` is not ours: name another one.",
                schema=schema,
            ),
            "ledger.foreign",
        )
    fault = reject_version(version, latest, upgrade=upgrade)
    if fault is not None:
        raise misconfigured(
            _("This database cannot be used: it {reason}.", reason=fault.reason), fault.error_code
        )


async def read_version(connection: Connection, schema: str) -> int:
    """Return the version; 0 where there is nothing, -1 where there is something else."""
    tables, versions = (await (await connection.execute(_LOOK, [schema])).fetchone()) or (0, 0)
    if not versions:
        return -1 if tables else 0
    row = await (await connection.execute(_READ.format(schema=schema).encode())).fetchone()
    return int(row[0]) if row else 0


async def _migrate(
    connection: Connection, migrations: Sequence[Migration], version: int, schema: str
) -> None:
    if version < migrations[-1].version:
        await connection.execute(_MAKE.format(schema=schema).encode())
    for step in migrations:
        if version < step.version:
            # Without parameters the server takes many statements at once.
            await connection.execute(step.sql.encode())
            await connection.execute(_WRITE.format(schema=schema).encode(), [step.version])
