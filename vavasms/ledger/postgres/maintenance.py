"""What workers ask of a PostgreSQL ledger beside their batches: who died, what nobody was woken for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from vavasms.ledger.postgres import claims as tx
from vavasms.ledger.postgres.claims import SQL
from vavasms.ledger.postgres.jobs import SQL as JOBS
from vavasms.ledger.postgres.jobs import STRETCH, forget_jobs
from vavasms.ledger.rows import DAY, DIED, LOADING_ENDED, dump_record
from vavasms.ledger.states import BatchState
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import PostgresDatabase, ask, change

#: Batches that get a job at a time.
_CHUNK = 20_000


class PostgresMaintenance:
    """What keeps a ledger going that many workers share. Each of them does it, beside its batches."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def running(self, account: str) -> tuple[float, Mapping[str, int]]:
        """Return the database's time, which all workers share, and the running campaigns of an account.

        The time is in seconds since the epoch; the campaigns have the revisions of their limits.
        """
        rows = await self._database.call(JOBS["select_running"], {"account": account})
        return rows[0][0], {campaign_id: revision for _, campaign_id, revision in rows if campaign_id}

    async def batch_states(self, campaign_id: str, numbers: Collection[int]) -> frozenset[BatchState]:
        """Return the states that these batches are in; a batch may be gone, as after a split."""
        values = {"id": campaign_id, "numbers": list(numbers)}
        rows = await self._database.call(JOBS["select_batch_states"], values)
        return frozenset(BatchState(state) for (state,) in rows)

    async def wake_jobless(self, campaign_id: str, *, now: float, every: float = 0.0) -> int:
        """Wake workers for what waits and has no job; return how many batches that are.

        One at a time: 0 where another one is at it, or was `every` seconds ago or later.
        """

        async def work(connection: Connection) -> int:
            (is_free,) = await ask(connection, (JOBS["lock_maintenance"], {"id": campaign_id}))
            if not is_free[0][0]:
                return 0
            campaign = await tx.hold(connection, campaign_id)
            key = {"id": campaign_id, "campaign": campaign.seq, "now": now, "limit": _CHUNK}
            key["stretch"] = STRETCH
            (rows,) = await ask(connection, (JOBS["select_jobless"], key))
            await tx.requeued(connection, campaign, [number for (number,) in rows])
            return len(rows)

        turn = {"id": campaign_id, "now": now, "every": every}
        if not await self._database.call(JOBS["take_turn"], turn):
            return 0
        return await self._database.write(work, is_long=True)

    async def delete_jobs(self, campaign_id: str) -> None:
        """Remove the jobs of a campaign for now; `wake_jobless` does it again."""

        async def work(connection: Connection) -> None:
            await forget_jobs(connection, await tx.hold(connection, campaign_id))

        await self._database.write(work)

    async def cancel_stuck(self, account: str, *, now: float) -> int:
        """Cancel the campaigns whose loading ended halfway, a day ago or more; return how many."""
        values = {"account": account, "before": now - DAY, "reason": LOADING_ENDED}
        return await self._database.write(lambda c: change(c, JOBS["cancel_stuck"], values))

    async def sending(self, *, sent_before: float) -> Sequence[tuple[str, int]]:
        """Return what was claimed before then and is still `sending`, by campaign and number."""
        rows = await self._database.call(SQL["select_sending"], {"sent_before": sent_before})
        return [(campaign_id, number) for campaign_id, number in rows]

    async def reap_orphan(self, campaign_id: str, number: int, *, sent_before: float) -> bool:
        """Make a batch of a dead worker `unknown`, if it was claimed before then and is still `sending`.

        `sent_before` leaves the longest call room to end: a late true answer still counts, by its token.
        """

        async def work(connection: Connection) -> bool:
            campaign = await tx.hold(connection, campaign_id)
            values = {"number": number, "sent_before": sent_before, "result": dump_record(DIED)}
            return await tx.execute(connection, campaign, "reap_batch", **values) == 1

        return await self._database.write(work)

    async def reap_orphans(self, *, now: float, after: float) -> Mapping[str, Sequence[int]]:
        """Make `unknown` whatever was claimed `after` seconds ago or more and is not settled.

        Returns the batches by campaign.
        """
        reaped: dict[str, list[int]] = {}
        for campaign_id, number in await self.sending(sent_before=now - after):
            if await self.reap_orphan(campaign_id, number, sent_before=now - after):
                reaped.setdefault(campaign_id, []).append(number)
        return reaped
