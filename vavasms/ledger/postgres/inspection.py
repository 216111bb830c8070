"""The inspection of a ledger's database: its server, both schemas, its workers. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from anyio import CancelScope
from attrs import evolve

from vavasms.config import Secret
from vavasms.errors import ConfigurationError
from vavasms.ledger.inspection import OVERDUE_AFTER, LedgerInspection, LedgerLoad, WorkerCount
from vavasms.ledger.postgres.jobs_schema import check_step, read_step
from vavasms.ledger.postgres.ledger import MIGRATIONS
from vavasms.storage.postgres.connection import Connection, Error, read_url, refuse
from vavasms.storage.postgres.database import Rows
from vavasms.storage.postgres.schema import check_version, read_version
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "inspection.sql")


async def inspect_database(url: Secret, *, silence: float) -> LedgerInspection:
    """Return what is found in a database; a worker without a heartbeat for `silence` seconds is silent.

    Raises `ConfigurationError` for a connection string that cannot be read, where the server turns us away or
    the user may not read the tables, `LedgerError` where the server is not at hand. Waits as long as its
    caller does.
    """
    conninfo = read_url(url)
    try:
        connection = await Connection.connect(conninfo.reveal(), autocommit=True)
        try:
            return await _inspect(connection, silence)
        finally:
            with CancelScope(shield=True), suppress(Error):
                await connection.close()
    except Error as error:
        failure = refuse(error)
    raise failure


async def _inspect(connection: Connection, silence: float) -> LedgerInspection:
    ((server, is_writable),) = await _ask(connection, "select_server")
    await _ask(connection, "bound_statements")
    version = await read_version(connection, "vavasms")
    found = LedgerInspection(version=max(version, 0), server=server, is_writable=is_writable)
    problem = await _find_problem(connection, version)
    if problem is not None or not version:
        return evolve(found, problem=problem)
    ((has_rights,),) = await _ask(connection, "select_rights")
    ((running, sending, overdue),) = await _ask(connection, "count_load", overdue=OVERDUE_AFTER)
    ((alive, silent),) = await _ask(connection, "count_workers", silence=silence)
    return evolve(
        found,
        is_writable=is_writable and has_rights,
        load=LedgerLoad(running=running, sending=sending, overdue=overdue),
        workers=WorkerCount(alive=alive, silent=silent),
    )


async def _find_problem(connection: Connection, version: int) -> ConfigurationError | None:
    """Return why the schemas, ours or that of the jobs, cannot be used."""
    try:
        check_version(version, MIGRATIONS[-1].version, "vavasms", upgrade=False)
        if version:
            check_step(await read_step(connection), upgrade=False)
    except ConfigurationError as error:
        return error
    return None


async def _ask(connection: Connection, query: str, **values: float) -> Rows:
    return await (await connection.execute(SQL[query].encode(), values)).fetchall()
