"""What is read of a PostgreSQL ledger's campaigns and batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from vavasms.campaigns.ledger import postgres_transactions as tx
from vavasms.campaigns.ledger.port import Campaign, CampaignStatus, QueuedBatch, StoredBatch
from vavasms.campaigns.ledger.postgres_registers import PostgresRegisters
from vavasms.campaigns.ledger.postgres_transactions import SQL
from vavasms.campaigns.ledger.rows import read_batch, read_campaign, read_status
from vavasms.storage.postgres import ask
from vavasms.storage.postgres_link import Connection


class PostgresReading(PostgresRegisters):
    """The part of the ledger that changes no campaign."""

    async def campaign(self, campaign_id: str) -> Campaign:
        """Give a campaign: see `Ledger.campaign`."""
        return read_campaign(await self._database.read(lambda c: tx.find(c, campaign_id)))

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Count a campaign's recipients: see `Ledger.status`."""

        async def work(connection: Connection) -> CampaignStatus:
            row = await tx.find(connection, campaign_id)
            (counts,) = await ask(connection, (SQL["count_batches"], {"campaign": row[0]}))
            return read_status(read_campaign(row), counts)

        return await self._database.read(work)

    async def statuses(self) -> Sequence[CampaignStatus]:
        """Count every campaign's recipients: see `Ledger.statuses`."""
        campaigns, counts = await self._database.read(
            lambda c: ask(c, (SQL["select_campaigns"], {}), (SQL["count_all_batches"], {}))
        )
        found = {seq: [row[1:] for row in rows] for seq, rows in groupby(counts, key=itemgetter(0))}
        return [read_status(read_campaign(row), found.get(row[0], ())) for row in campaigns]

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        """Give queued batches: see `Ledger.queued`."""
        rows = await self._page("select_queued", campaign_id, {"after": after, "limit": limit})
        return [
            QueuedBatch(no=no, messages=n, segments=segments, not_before=not_before)
            for no, n, segments, not_before in rows
        ]

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        """Give the batches to decide on: see `Ledger.unknown`."""
        return await self._database.read(lambda c: _stored(c, campaign_id, "select_unknown", {}))

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        """Give batches: see `Ledger.batches`."""
        values = {"after": after, "limit": limit}
        return await self._database.read(lambda c: _stored(c, campaign_id, "select_batches", values))

    async def _page(self, query: str, campaign_id: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async def work(connection: Connection) -> list[tuple[Any, ...]]:
            key = {"campaign": (await tx.find(connection, campaign_id))[0]}
            return (await ask(connection, (SQL[query], {**key, **values})))[0]

        return await self._database.read(work)


async def _stored(
    connection: Connection, campaign_id: str, query: str, values: Mapping[str, Any]
) -> list[StoredBatch]:
    key = {"campaign": (await tx.find(connection, campaign_id))[0]}
    (rows,) = await ask(connection, (SQL[query], {**key, **values}))
    numbers = [row[0] for row in rows]
    (people,) = await ask(connection, (SQL["select_recipients"], {**key, "numbers": numbers}))
    found = {no: [row[1:] for row in group] for no, group in groupby(people, key=itemgetter(0))}
    return [read_batch(row, found.get(row[0], ())) for row in rows]
