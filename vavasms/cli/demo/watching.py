"""The stage's eyes on the ledger: who has what under way, and what became of it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from attrs import define, frozen

from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.campaigns.ledger.postgres import PostgresLedger
from vavasms.cli.campaign.outcomes import settled
from vavasms.cli.demo.crew import Crew, Worker
from vavasms.storage.postgres_link import Connection
from vavasms.storage.queries import load_queries

_SQL = load_queries("vavasms.cli.demo", "queries.sql")


@frozen(kw_only=True)
class Killing:
    """A worker that was killed on stage."""

    worker: Worker
    #: Recipients that were settled by then.
    at: int
    #: What it had under way: requests, and their recipients.
    requests: int
    recipients: int


@define(kw_only=True)
class LedgerWatch:
    """Look at the one campaign of the ledger."""

    ledger: PostgresLedger
    campaign_id: str
    crew: Crew
    _connection: Connection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, ledger: PostgresLedger, campaign_id: str, crew: Crew
    ) -> AsyncIterator[Self]:
        """Look through a connection of its own while the block runs."""
        async with await Connection.connect(url, autocommit=True) as connection:
            yield cls(ledger=ledger, campaign_id=campaign_id, crew=crew, connection=connection)

    async def look(self) -> CampaignStatus:
        """Say where the campaign stands. Raises `VavaSMSError` where a worker ended by itself."""
        self.crew.check()
        await self._bury()
        return await self.ledger.status(self.campaign_id)

    async def _bury(self) -> None:
        """Make unknown what the killed worker had under way.

        The others cannot know that it is dead: they wait until no call could last any longer, 135 seconds.
        The stage killed it and waited for its end, so nobody is left to bring the true answer. At each look,
        as the server may still have been committing its last claim.
        """
        dead = {worker.pid for worker in self.crew.workers if worker.killed}
        for pid, no, _ in await self._ask("select_under_way"):
            if pid in dead:
                await self.ledger.maintenance.reap(self.campaign_id, no, sent_before=math.inf)

    async def kill_busiest(self) -> Killing:
        """Kill the worker that has the most under way."""
        at = settled(await self.ledger.status(self.campaign_id))
        busy = [pid for pid, _, _ in await self._ask("select_under_way")]
        victim = max(self.crew.workers, key=lambda worker: busy.count(worker.pid))
        victim.kill()
        held = [count for pid, _, count in await self._ask("select_under_way") if pid == victim.pid]
        return Killing(worker=victim, at=at, requests=len(held), recipients=sum(held))

    async def carried(self) -> Mapping[int, int]:
        """Count the recipients of each worker, by its number."""
        found = dict(await self._ask("select_carried"))
        return {worker.no: int(found.get(worker.pid, 0)) for worker in self.crew.workers}

    async def _ask(self, query: str) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(_SQL[query].encode())
        return await cursor.fetchall()
