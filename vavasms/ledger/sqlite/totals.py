"""The totals of a ledger's file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sqlite3 import Connection
from types import MappingProxyType
from typing import Any

from vavasms.ledger.totals import (
    CampaignKey,
    CampaignTotals,
    LedgerTotals,
    TotalsStore,
    choose_campaigns,
    find_known,
    sum_campaigns,
    sum_sends,
)
from vavasms.storage.queries import load_queries
from vavasms.storage.sqlite.database import Database

SQL: Mapping[str, str] = load_queries("vavasms.ledger.sqlite", "totals.sql")


class SqliteTotals(TotalsStore):
    """The totals of a `SqliteLedger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, account: str, *, now: float, known: Mapping[int, CampaignTotals] = MappingProxyType({})
    ) -> LedgerTotals:
        def work(connection: Connection) -> LedgerTotals:
            with _snapshot(connection):
                return _read(connection, account, now, known)

        return await self._database.read(work)

    async def check(self) -> None:
        await self._database.read(lambda c: c.execute(SQL["check"]).fetchone())
        self._database.check_writes()


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """Read one state of the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _select_keys(
    connection: Connection, account: str, known: Mapping[int, CampaignTotals]
) -> list[CampaignKey]:
    values = {"account": account, "known": json.dumps([*known])}
    return [CampaignKey(*row) for row in connection.execute(SQL["select_campaigns"], values)]


def _read(
    connection: Connection, account: str, now: float, known: Mapping[int, CampaignTotals]
) -> LedgerTotals:
    values: dict[str, Any] = {"account": account, "now": now}
    keys = _select_keys(connection, account, known)
    still_known = find_known(keys, known)
    if len(still_known) < len(known):
        # One was discarded: another may have its key, and its policy was left out.
        known = still_known
        keys = _select_keys(connection, account, known)
    values["campaigns"] = json.dumps(choose_campaigns(keys, known))
    return LedgerTotals(
        campaigns=sum_campaigns(keys, known, connection.execute(SQL["count_batches"], values)),
        sends=sum_sends(connection.execute(SQL["count_sends"], values)),
        send_wait=float(connection.execute(SQL["measure_wait"], values).fetchone()[0]),
        at=now,
        workers=None,
    )
