"""The distributed ledger: a PostgreSQL database for any number of workers on any host. asyncio only."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache, partial
from typing import Self

from attrs import asdict, evolve

from vavasms.campaigns.ledger import postgres_transactions as tx
from vavasms.campaigns.ledger.port import NewBatch, NewCampaign
from vavasms.campaigns.ledger.postgres_jobs import forget_jobs
from vavasms.campaigns.ledger.postgres_jobs_schema import SCHEMA, prepare_jobs
from vavasms.campaigns.ledger.postgres_loading import (
    begin_purge,
    copy_batches,
    discard,
    finish_loading,
    purge_batches,
    purge_rows,
)
from vavasms.campaigns.ledger.postgres_sending import PostgresSending
from vavasms.campaigns.ledger.postgres_transactions import SQL
from vavasms.campaigns.ledger.rows import dump_record, load_record, no_resending
from vavasms.campaigns.states import CampaignEvent
from vavasms.campaigns.takeover import GRACE
from vavasms.config import Secret
from vavasms.storage.postgres import PostgresDatabase, ask, change
from vavasms.storage.postgres_link import AsyncConnectionPool, Connection
from vavasms.storage.queries import load_migrations

MIGRATIONS = load_migrations("vavasms.campaigns.ledger.sql.postgres")
#: Batches that get their jobs at a time when a campaign starts.
CHUNK = 5000

logger = logging.getLogger("vavasms")


class PostgresLedger(PostgresSending):
    """A ledger in a database. Open it with `PostgresLedger.open`; an async context manager."""

    is_shared = True

    @classmethod
    async def open(
        cls, url: str, *, upgrade: bool = False, create: bool = True, connections: int = 8
    ) -> Self:
        """Open a ledger by its connection string, with at most so many connections; make it where
        there is none.

        Raises `ConfigurationError` under trio, for a connection string that cannot be read, where the server
        turns us away, for a ledger of a newer version, or of an older one without `upgrade`; `LedgerError`
        where the server is not at hand. Warns once, by the logger `vavasms`, of a server with `fsync` or
        `full_page_writes` off.
        """
        secret = Secret(url)
        # No local that an error's traceback could show.
        del url
        database = await PostgresDatabase.open(
            secret,
            MIGRATIONS,
            upgrade=upgrade,
            create=create,
            beside=lambda connection, upgrade: prepare_jobs(connection, upgrade=upgrade),
            search_path=SCHEMA,
            connections=connections,
        )
        ledger = cls(database)
        settings = [name for (name,) in await database.call(SQL["select_unsafe"], {})]
        if settings:
            _warn_of_losses(" and ".join(settings))
        return ledger

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. May be called twice."""
        await self._database.aclose()

    async def open_hasty(self, connections: int) -> AsyncConnectionPool[Connection]:
        """Open connections for the jobs: what they write may be lost."""
        return await self._database.open_hasty(connections)

    async def create(self, campaign: NewCampaign) -> None:
        """Keep a new campaign: see `Ledger.create`."""
        await self._change("insert_campaign", asdict(campaign))

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        """Add batches: see `Ledger.load`."""
        await self._database.write(lambda c: copy_batches(c, campaign_id, batches), is_long=True)

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        """Make a campaign whole: see `Ledger.finish_loading`."""
        values = {"plan": plan, "plan_hash": plan_hash}
        return await self._database.write(
            lambda c: finish_loading(c, campaign_id, values, unless_same=unless_same), is_long=True
        )

    async def discard(self, campaign_id: str) -> None:
        """Forget a campaign that never began: see `Ledger.discard`."""
        await self._database.write(lambda c: discard(c, campaign_id), is_long=True)

    async def start(self, campaign_id: str) -> bool:
        """Let a campaign run: see `Ledger.start`."""

        async def work(connection: Connection) -> bool:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            if not await tx.move(connection, campaign.seq, CampaignEvent.START):
                return False
            await change(connection, SQL["forget_attempts"], {"campaign": campaign.seq})
            await _wake_all(connection, campaign)
            return True

        return await self._database.write(work, is_long=True)

    async def set_policy(
        self, campaign_id: str, policy: str, *, max_segments: int | None, replacing: str | None = None
    ) -> bool:
        """Give a campaign other limits: see `Ledger.set_policy`."""

        async def work(connection: Connection) -> bool:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            values = {"campaign": campaign.seq, "policy": policy, "max_segments": max_segments}
            values["replacing"] = replacing
            return await change(connection, SQL["set_policy"], values) == 1

        return await self._database.write(work)

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        """Have no further batch claimed: see `Ledger.pause`."""

        async def work(connection: Connection) -> bool:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            paused = await tx.move(connection, campaign.seq, CampaignEvent.PAUSE, reason, revision=revision)
            if paused:
                await forget_jobs(connection, campaign_id, campaign.account)
            return paused

        return await self._database.write(work)

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        """Have what is queued never sent: see `Ledger.cancel`."""

        async def work(connection: Connection) -> bool:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            cancelled = await tx.move(connection, campaign.seq, CampaignEvent.CANCEL, reason)
            if cancelled:
                await forget_jobs(connection, campaign_id, campaign.account)
                await tx.cancel_queued(connection, campaign)
            return cancelled

        return await self._database.write(work, is_long=True)

    async def finish(self, campaign_id: str) -> bool:
        """End a campaign of which nothing is left: see `Ledger.finish`."""

        async def work(connection: Connection) -> bool:
            # Asked first without a lock: mostly there is something left, and claims need not wait for it.
            seq = (await tx.find(connection, campaign_id))[0]
            if await _is_open(connection, seq):
                return False
            campaign = await tx.hold(connection, campaign_id, alone=True)
            if await _is_open(connection, seq) or not await tx.move(connection, seq, CampaignEvent.FINISH):
                return False
            await forget_jobs(connection, campaign_id, campaign.account)
            return True

        return await self._database.write(work)

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        """Exclude nobody and give nothing: the dead are found by `sending` and `reap`."""
        del now
        yield {}

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        """Keep the balance after: see `Ledger.note_balance`."""

        async def work(connection: Connection) -> None:
            campaign = await tx.hold(connection, campaign_id)
            values = {"campaign": campaign.seq, "numbers": list(numbers), "balance": str(balance)}
            await change(connection, SQL["note_balance"], values)

        await self._database.write(work)

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        """Take unknown batches for accepted: see `Ledger.mark_sent`."""

        async def work(connection: Connection) -> int:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            key = {"campaign": campaign.seq, "numbers": list(numbers)}
            (rows,) = await ask(connection, (SQL["select_some_unknown"], key))
            results = [dump_record(evolve(load_record(result), error=note)) for _, result in rows]
            marked = {"numbers": [no for no, _ in rows], "results": results}
            return await change(connection, SQL["mark_sent"], {**key, **marked})

        return await self._database.write(work)

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        """Queue unknown batches again: see `Ledger.resend`."""

        async def work(connection: Connection) -> int:
            campaign = await tx.hold(connection, campaign_id, alone=True)
            if campaign.closed:
                raise no_resending(campaign_id, purged=campaign.purged)
            # Whoever claimed it may live, and still send.
            key = {"campaign": campaign.seq, "numbers": list(numbers)}
            key |= {"sent_before": sent_before, "grace": GRACE}
            (rows,) = await ask(connection, (SQL["resend"], key))
            await tx.requeued(connection, campaign, sorted(no for (no,) in rows))
            return len(rows)

        return await self._database.write(work)

    async def purge(self, campaign_id: str) -> None:
        """Forget numbers and texts: see `Ledger.purge`.

        The server's own files hold them until it vacuums the tables, its log and its backups for longer.
        """
        write = self._database.write
        await write(lambda c: begin_purge(c, campaign_id))
        after: int | None = -1
        while after is not None:
            after = await write(partial(purge_batches, campaign_id=campaign_id, after=after), is_long=True)
        while await write(lambda c: purge_rows(c, campaign_id), is_long=True):
            pass


@cache
def _warn_of_losses(settings: str) -> None:
    """Warn of what a server may lose: once, however often a ledger is opened."""
    logger.warning(
        "The PostgreSQL server runs with %s = off: at a power cut it can forget what was sent, and have it "
        "sent again.",
        settings,
    )


async def _wake_all(connection: Connection, campaign: tx.Held) -> None:
    """Have workers woken for all batches that wait."""
    after = -1
    while True:
        key = {"campaign": campaign.seq, "after": after, "limit": CHUNK}
        (rows,) = await ask(connection, (SQL["select_queued"], key))
        if not rows:
            return
        after = rows[-1][0]
        await campaign.wake(connection, [row[0] for row in rows])


async def _is_open(connection: Connection, seq: int) -> bool:
    return bool((await ask(connection, (SQL["select_open"], {"campaign": seq})))[0][0][0])
