"""The distributed ledger: a PostgreSQL database for any number of workers on any host. asyncio only."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from functools import cache, partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Self, TypeVar
from weakref import WeakValueDictionary

from attrs import asdict, evolve

from vavasms.config import Secret
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.models import (
    PREFIX_DIGITS,
    RESERVE_AHEAD,
    BatchRecord,
    Campaign,
    CampaignStatus,
    Claim,
    Delivery,
    NewBatch,
    NewCampaign,
    OptOut,
    QueuedBatch,
    StoredBatch,
)
from vavasms.ledger.optout_codes import LINK_SOURCE
from vavasms.ledger.postgres import claims as tx
from vavasms.ledger.postgres.claims import SQL
from vavasms.ledger.postgres.jobs import SQL as JOBS
from vavasms.ledger.postgres.jobs import forget_jobs, wake
from vavasms.ledger.postgres.jobs_schema import SCHEMA, prepare_jobs
from vavasms.ledger.postgres.loader import (
    begin_purge,
    copy_batches,
    discard,
    finish_loading,
    purge_batches,
    purge_rows,
)
from vavasms.ledger.postgres.maintenance import PostgresMaintenance
from vavasms.ledger.postgres.optout_codes import SQL as CODES
from vavasms.ledger.postgres.optout_codes import PostgresOptOutCodes
from vavasms.ledger.postgres.otp import PostgresOtp
from vavasms.ledger.postgres.sends import PostgresSends
from vavasms.ledger.postgres.totals import PostgresTotals
from vavasms.ledger.rows import (
    CLOCK_SKEW,
    CampaignRow,
    Intent,
    Settlement,
    dump_record,
    load_record,
    no_resending,
    read_batch,
    read_campaign,
    read_deliveries,
    read_delivery_counts,
    read_opt_outs,
    read_queued,
    read_status,
)
from vavasms.ledger.states import BatchEvent, CampaignEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.storage.group_commit import GroupCommit
from vavasms.storage.postgres.connection import AsyncConnectionPool, Connection
from vavasms.storage.postgres.database import PostgresDatabase, Rows, ask, change
from vavasms.storage.queries import load_migrations

T = TypeVar("T")

MIGRATIONS = load_migrations("vavasms.ledger.postgres")
#: Batches that get their jobs at a time when a campaign starts.
CHUNK = 5000

logger = logging.getLogger("vavasms")


class _Gathered:
    """What waits to be written of one campaign; whoever waits keeps it alive."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.claims: GroupCommit[Intent, Claim | None] = GroupCommit(partial(_claim, database))
        self.accepts: GroupCommit[Settlement, bool] = GroupCommit(partial(_accept, database))


class PostgresLedger(Ledger):
    """A ledger in a database. Open it with `PostgresLedger.open`; an async context manager."""

    is_shared = True

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._sends = PostgresSends(database)
        #: What workers do beside their batches.
        self.maintenance = PostgresMaintenance(database)
        #: By campaign, as long as something is written of it.
        self._gathered: WeakValueDictionary[str, _Gathered] = WeakValueDictionary()

    @property
    def sends(self) -> PostgresSends:
        """The single sends."""
        return self._sends

    @property
    def otp(self) -> PostgresOtp:
        """The one-time codes that were sent and tried."""
        return PostgresOtp(self._database)

    @property
    def optout_codes(self) -> PostgresOptOutCodes:
        """The codes of opt-out links."""
        return PostgresOptOutCodes(self._database)

    @property
    def totals(self) -> PostgresTotals:
        """The sums of campaigns and sends."""
        return PostgresTotals(self._database)

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
        values = asdict(campaign)

        async def work(connection: Connection) -> None:
            await change(connection, SQL["insert_campaign"], values)
            if campaign.retry_of is not None:
                await ask(connection, (CODES["lock_codes"], {}))
                await change(connection, CODES["share_codes_of_first"], values)

        await self._database.write(work)

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        await self._database.write(lambda c: copy_batches(c, campaign_id, batches), is_long=True)

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        values = {"plan": plan, "plan_hash": plan_hash}
        return await self._database.write(
            lambda c: finish_loading(c, campaign_id, values, unless_same=unless_same), is_long=True
        )

    async def discard(self, campaign_id: str) -> None:
        await self._database.write(lambda c: discard(c, campaign_id), is_long=True)

    async def campaign(self, campaign_id: str) -> Campaign:
        return (await self._database.read(lambda c: tx.find(c, campaign_id))).public

    async def status(self, campaign_id: str) -> CampaignStatus:
        async def work(connection: Connection) -> CampaignStatus:
            campaign = await tx.find(connection, campaign_id)
            (counts,) = await ask(connection, (SQL["count_batches"], {"campaign": campaign.seq}))
            return read_status(campaign, counts)

        return await self._database.read(work)

    async def statuses(self) -> Sequence[CampaignStatus]:
        campaigns, counts = await self._database.read(
            lambda c: ask(c, (SQL["select_campaigns"], {}), (SQL["count_all_batches"], {}))
        )
        by_seq = {seq: [row[1:] for row in rows] for seq, rows in groupby(counts, key=itemgetter(0))}
        return [read_status(read_campaign(row[1], row), by_seq.get(row[0], ())) for row in campaigns]

    async def set_policy(
        self, campaign_id: str, policy: str, *, max_segments: int | None, replacing: str | None = None
    ) -> bool:
        async def work(connection: Connection, campaign: CampaignRow) -> bool:
            limits = {"policy": policy, "max_segments": max_segments, "replacing": replacing}
            return await tx.execute(connection, campaign, "set_policy", **limits) == 1

        return await self._write_alone(campaign_id, work)

    async def start(self, campaign_id: str) -> bool:
        async def work(connection: Connection, campaign: CampaignRow) -> bool:
            if not await tx.move(connection, campaign, CampaignEvent.START):
                return False
            await tx.execute(connection, campaign, "forget_attempts")
            await _wake_all(connection, campaign)
            return True

        return await self._write_alone(campaign_id, work, is_long=True)

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        async def work(connection: Connection, campaign: CampaignRow) -> bool:
            paused = await tx.move(connection, campaign, CampaignEvent.PAUSE, reason, revision=revision)
            if paused:
                await forget_jobs(connection, campaign)
            return paused

        return await self._write_alone(campaign_id, work)

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        async def work(connection: Connection, campaign: CampaignRow) -> bool:
            cancelled = await tx.move(connection, campaign, CampaignEvent.CANCEL, reason)
            if cancelled:
                await forget_jobs(connection, campaign)
                await tx.cancel_queued(connection, campaign)
            return cancelled

        return await self._write_alone(campaign_id, work, is_long=True)

    async def finish(self, campaign_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            # Asked first without a lock: mostly there is something left, and claims need not wait for it.
            seq = (await tx.find(connection, campaign_id)).seq
            if await _is_open(connection, seq):
                return False
            campaign = await tx.hold(connection, campaign_id, alone=True)
            if await _is_open(connection, seq) or not await tx.move(
                connection, campaign, CampaignEvent.FINISH
            ):
                return False
            await forget_jobs(connection, campaign)
            return True

        return await self._database.write(work)

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        """Exclude nobody and return nothing: maintenance finds the dead."""
        del now
        yield {}

    async def reap_orphans(self, *, now: float) -> Mapping[str, Sequence[int]]:
        return await self.maintenance.reap_orphans(now=now, after=ORPHAN_AFTER)

    async def now(self) -> float:
        return float((await self._database.call(JOBS["select_now"], {}))[0][0])

    async def under_way(self, account: str) -> int:
        return int((await self._database.call(JOBS["select_under_way"], {"account": account}))[0][0])

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        return read_queued(await self._read(campaign_id, "select_queued", after=after, limit=limit))

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        values = {"account": account, "messages": messages, "rate": rate, "now": now}
        values |= {"skew": CLOCK_SKEW, "ahead": RESERVE_AHEAD}
        return float((await self._database.call(SQL["reserve"], values))[0][0])

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        await self._database.call(SQL["release"], {"account": account, "messages": messages, "rate": rate})

    async def hold(self, account: str, until: float, *, now: float) -> None:
        values = {"account": account, "until": until, "now": now, "skew": CLOCK_SKEW}
        await self._database.call(SQL["hold_rate"], values)

    async def claim(
        self,
        campaign_id: str,
        number: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
        revision: int | None = None,
    ) -> Claim | None:
        intent = Intent(campaign_id, number, token, worker, now, balance, revision)
        # A local, here and below: without it what waits would be collected, and claims written apart.
        gathered = self._gather(campaign_id)
        claim = await gathered.claims.write(intent)
        if claim is not None:
            return claim
        return await self._database.write(lambda c: tx.claim(c, intent))

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        answer = Settlement(claim.campaign_id, claim.number, claim.token, event, record, not_before)
        if event is BatchEvent.ACCEPT:
            gathered = self._gather(claim.campaign_id)
            return await gathered.accepts.write(answer)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def abandon(self, campaign_id: str, number: int, token: str) -> bool:
        # It may be under way for somebody else's sake.
        gathered = self._gather(campaign_id)
        await gathered.claims.flush()
        answer = Settlement(campaign_id, number, token, BatchEvent.REQUEUE)
        # Alone: where its connection was lost, the server may still be at the claim, which shares the lock.
        return await self._database.write(lambda c: tx.settle(c, answer, alone=True))

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        return await self._database.write(lambda c: tx.split(c, claim))

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        async def work(connection: Connection) -> None:
            campaign = await tx.hold(connection, campaign_id)
            values = {"numbers": list(numbers), "balance": str(balance)}
            await tx.execute(connection, campaign, "note_balance", **values)

        await self._database.write(work)

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        return await self._database.read(lambda c: _stored(c, campaign_id, "select_unknown", {}))

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        async def work(connection: Connection, campaign: CampaignRow) -> int:
            key = {"campaign": campaign.seq, "numbers": list(numbers)}
            (rows,) = await ask(connection, (SQL["select_some_unknown"], key))
            results = [dump_record(evolve(load_record(result), error=note, code=None)) for _, result in rows]
            marked = {"numbers": [number for number, _ in rows], "results": results}
            return await tx.execute(connection, campaign, "mark_sent", **marked)

        return await self._write_alone(campaign_id, work)

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        async def work(connection: Connection, campaign: CampaignRow) -> int:
            if campaign.closed:
                raise no_resending(campaign_id, purged=campaign.purged)
            # Whoever claimed it may live, and still send.
            times = {"sent_before": sent_before, "grace": RESEND_GRACE}
            key = {"campaign": campaign.seq, "numbers": list(numbers), **times}
            (rows,) = await ask(connection, (SQL["resend"], key))
            await tx.requeued(connection, campaign, sorted(number for (number,) in rows))
            return len(rows)

        return await self._write_alone(campaign_id, work)

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        values = {"after": after, "limit": limit}
        return await self._database.read(lambda c: _stored(c, campaign_id, "select_batches", values))

    async def active_since(self, since: float) -> Sequence[Campaign]:
        return await self._campaigns("select_active_since", since=since)

    async def reached(self, campaign_id: str, *, since: float = 0.0) -> frozenset[int]:
        return await self._phones(campaign_id, "select_reached", since=since)

    async def addressed(self, campaign_id: str) -> frozenset[int]:
        return await self._phones(campaign_id, "select_addressed")

    async def recipients(self, campaign_id: str) -> frozenset[int]:
        return await self._phones(campaign_id, "select_loaded")

    async def retries(self, campaign_id: str) -> Sequence[Campaign]:
        return await self._campaigns("select_retries", id=campaign_id)

    async def record_deliveries(self, campaign_id: str, deliveries: Collection[Delivery]) -> None:
        async def work(connection: Connection) -> None:
            campaign = await tx.hold(connection, campaign_id)
            if campaign.purged:
                return
            # In order: no two reporters wait for each other.
            rows = [
                {
                    **asdict(delivery),
                    "campaign": campaign.seq,
                    "status": delivery.status.value,
                    "raw_status": _storable(delivery.raw_status),
                }
                for delivery in sorted(deliveries, key=lambda delivery: delivery.message_id)
            ]
            await connection.cursor().executemany(SQL["record_delivery"].encode(), rows)

        await self._database.write(work)

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        # PostgreSQL's texts hold no NUL, so nothing is known of such an id. A gateway may say anything.
        ids = [message_id for message_id in message_ids if "\0" not in message_id]
        return read_deliveries(await self._read(campaign_id, "select_deliveries", ids=ids))

    async def delivery_counts(self, campaign_id: str) -> Mapping[tuple[str, DeliveryStatus], int]:
        return read_delivery_counts(await self._read(campaign_id, "count_deliveries"))

    async def accepted_by_prefix(self, campaign_id: str) -> Mapping[str, int]:
        return dict(await self._read(campaign_id, "count_accepted_by_prefix", digits=PREFIX_DIGITS))

    async def to_track(self, account: str, *, since: float) -> Sequence[str]:
        values = {"account": account, "since": since}
        return [key for (key,) in await self._database.call(SQL["select_to_track"], values)]

    async def tracking(self, campaign_id: str) -> str | None:
        ((reason,),) = await self._read(campaign_id, "select_tracking")
        return None if reason is None else str(reason)

    async def end_tracking(
        self, campaign_id: str, reason: str | None, *, revision: int | None = None
    ) -> None:
        async def work(connection: Connection) -> None:
            campaign = await tx.hold(connection, campaign_id)
            await tx.execute(connection, campaign, "end_tracking", reason=reason, revision=revision)

        await self._database.write(work)

    async def expire_tracking(self, account: str, reason: str, *, before: float) -> int:
        return await self._change("expire_tracking", {"account": account, "reason": reason, "before": before})

    def tracking_turn(self, account: str) -> AbstractAsyncContextManager[bool]:
        return self._database.session_lock(SQL["lock_tracking"], {"account": account})

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

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        page = {"after": int(after or 0), "limit": limit}
        return read_opt_outs(await self._database.call(SQL["select_opt_outs"], page))

    async def opted_out(self) -> frozenset[int]:
        return frozenset(chain.from_iterable(await self._database.call(SQL["select_opted_out"], {})))

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        reason = {"source": source, "at": now, "link": LINK_SOURCE}
        values = {"phones": [int(recipient) for recipient in recipients], **reason}

        async def work(connection: Connection) -> int:
            await change(connection, SQL["outrank_links"], values)
            return await change(connection, SQL["add_opt_outs"], values)

        return await self._database.write(work)

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        return await self._change("remove_opt_outs", {"phones": [int(recipient) for recipient in recipients]})

    async def _campaigns(self, query: str, **values: Any) -> list[Campaign]:
        return [read_campaign(row[1], row).public for row in await self._database.call(SQL[query], values)]

    async def _phones(self, campaign_id: str, query: str, **values: Any) -> frozenset[int]:
        return frozenset(chain.from_iterable(await self._read(campaign_id, query, **values)))

    async def _read(self, campaign_id: str, query: str, **values: Any) -> Rows:
        async def work(connection: Connection) -> Rows:
            campaign = await tx.find(connection, campaign_id)
            return (await ask(connection, (SQL[query], {"campaign": campaign.seq, **values})))[0]

        return await self._database.read(work)

    async def _write_alone(
        self,
        campaign_id: str,
        work: Callable[[Connection, CampaignRow], Awaitable[T]],
        *,
        is_long: bool = False,
    ) -> T:
        """Run `work` on a campaign that nobody else claims from or settles meanwhile."""

        async def hold(connection: Connection) -> T:
            return await work(connection, await tx.hold(connection, campaign_id, alone=True))

        return await self._database.write(hold, is_long=is_long)

    def _gather(self, campaign_id: str) -> _Gathered:
        return self._gathered.setdefault(campaign_id, _Gathered(self._database))

    async def _change(self, query: str, values: Mapping[str, Any]) -> int:
        return await self._database.write(lambda c: change(c, SQL[query], values))


async def _claim(database: PostgresDatabase, intents: Sequence[Intent]) -> Sequence[Claim | None]:
    rows = await database.call(*tx.plain_claims(intents))
    claimed = {token: columns for token, *columns in rows}
    return [intent.grant(*claimed[intent.token]) if intent.token in claimed else None for intent in intents]


async def _accept(database: PostgresDatabase, answers: Sequence[Settlement]) -> Sequence[bool]:
    kept = {token for (token,) in await database.call(*tx.plain_accepts(answers))}
    return [answer.token in kept for answer in answers]


def _storable(text: str) -> str:
    """Return a text as PostgreSQL takes it: without NUL and half characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def _stored(
    connection: Connection, campaign_id: str, query: str, values: Mapping[str, Any]
) -> list[StoredBatch]:
    key = {"campaign": (await tx.find(connection, campaign_id)).seq}
    (rows,) = await ask(connection, (SQL[query], {**key, **values}))
    numbers = [row[0] for row in rows]
    (recipients,) = await ask(connection, (SQL["select_recipients"], {**key, "numbers": numbers}))
    by_batch = {
        number: [row[1:] for row in group] for number, group in groupby(recipients, key=itemgetter(0))
    }
    return [read_batch(row, by_batch.get(row[0], ())) for row in rows]


@cache
def _warn_of_losses(settings: str) -> None:
    """Warn of what a server may lose: once, however often a ledger is opened."""
    logger.warning(
        N_(
            "The PostgreSQL server runs with %s = off: at a power cut it can forget what was sent, and have "
            "it sent again."
        ),
        settings,
    )


async def _wake_all(connection: Connection, campaign: CampaignRow) -> None:
    """Wake workers for all batches that wait."""
    after = -1
    while True:
        key = {"campaign": campaign.seq, "after": after, "limit": CHUNK}
        (rows,) = await ask(connection, (SQL["select_queued"], key))
        if not rows:
            return
        after = rows[-1][0]
        await wake(connection, campaign, [row[0] for row in rows])


async def _is_open(connection: Connection, seq: int) -> bool:
    return bool((await ask(connection, (SQL["select_open"], {"campaign": seq})))[0][0][0])
