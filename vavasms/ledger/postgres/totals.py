"""The totals of a ledger's database."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.ledger.leases import WORKER_SILENCE
from vavasms.ledger.totals import (
    CampaignKey,
    CampaignTotals,
    LedgerTotals,
    TotalsStore,
    choose_campaigns,
    sum_campaigns,
    sum_sends,
)
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import PostgresDatabase, ask
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "totals.sql")


class PostgresTotals(TotalsStore):
    """The totals of a `PostgresLedger`, by the server's clock."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def read(
        self, account: str, *, now: float, known: Mapping[int, CampaignTotals] = MappingProxyType({})
    ) -> LedgerTotals:
        del now
        return await self._database.read(lambda c: _read(c, account, known))

    async def check(self) -> None:
        ((is_read_only, _sending),) = await self._database.call(SQL["check"], {})
        if is_read_only:
            raise LedgerError(_("The ledger takes no write: nothing more is sent."))
        self._database.check_writes()


async def _read(connection: Connection, account: str, known: Mapping[int, CampaignTotals]) -> LedgerTotals:
    values: dict[str, Any] = {"account": account, "known": [*known], "silence": WORKER_SILENCE}
    (rows,) = await ask(connection, (SQL["select_campaigns"], values))
    keys = [CampaignKey(*row) for row in rows]
    values["campaigns"] = choose_campaigns(keys, known)
    batches, sends, ((at, wait),), ((workers,),) = await ask(
        connection,
        *((SQL[name], values) for name in ("count_batches", "count_sends", "measure_wait", "count_workers")),
    )
    return LedgerTotals(
        campaigns=sum_campaigns(keys, known, batches),
        sends=sum_sends(sends),
        at=at,
        send_wait=wait,
        workers=workers,
    )
