"""The embedded ledger: one SQLite file, one runner at a time, everything else beside it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection, IntegrityError, connect
from typing import Any, Self, TypeVar

from anyio import CancelScope, sleep
from anyio.to_thread import run_sync
from attrs import asdict

from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
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
from vavasms.ledger.rows import (
    DIED,
    LOADING_ENDED,
    PURGE_PAUSE,
    CampaignRow,
    Intent,
    Settlement,
    dump_record,
    no_resending,
    read_batch,
    read_campaign,
    read_deliveries,
    read_delivery_counts,
    read_opt_outs,
    read_queued,
    read_status,
    shift_arrival,
    still_going,
)
from vavasms.ledger.sqlite import claims as tx
from vavasms.ledger.sqlite.claims import SQL
from vavasms.ledger.sqlite.identity import check_file, read_identity, write_beside
from vavasms.ledger.sqlite.in_use import examine, hold_refused, recover, unmark_abandoned, use_file
from vavasms.ledger.sqlite.optout_codes import SQL as CODES
from vavasms.ledger.sqlite.optout_codes import SqliteOptOutCodes, add_codes
from vavasms.ledger.sqlite.otp import SqliteOtp
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.ledger.sqlite.totals import SqliteTotals
from vavasms.ledger.states import BatchEvent, CampaignEvent, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.storage.queries import load_migrations
from vavasms.storage.sqlite.database import Database
from vavasms.storage.sqlite.files import resolve

T = TypeVar("T")

#: Marks a file as a ledger: "VAVA".
APPLICATION_ID = 0x56415641
MIGRATIONS = load_migrations("vavasms.ledger.sqlite")

#: What holds numbers; addressees are found through the recipients.
_PERSONAL = ("delete_addressees", "delete_recipients", "delete_deliveries")


class SqliteLedger(Ledger):
    """A ledger in one file. Open it with `SqliteLedger.open`; an async context manager."""

    is_shared = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self.path = database.path
        self._sends = SqliteSends(database)

    @property
    def sends(self) -> SqliteSends:
        """The single sends."""
        return self._sends

    @property
    def otp(self) -> SqliteOtp:
        """The one-time codes that were sent and tried."""
        return SqliteOtp(self._database)

    @property
    def optout_codes(self) -> SqliteOptOutCodes:
        """The codes of opt-out links."""
        return SqliteOptOutCodes(self._database)

    @property
    def totals(self) -> SqliteTotals:
        """The sums of campaigns and sends."""
        return SqliteTotals(self._database)

    @classmethod
    async def open(
        cls, path: str | Path, *, upgrade: bool = False, connect: Callable[..., Connection] = connect
    ) -> Self:
        """Open a ledger, or make one where there is no file yet (mode 0600, its folder 0700).

        Symbolic links are followed: two names of one file are one ledger. It is several files in one
        folder: move, mount and back up the folder.

        Raises `ConfigurationError` for what names no file or is no ledger, for one of a newer version, or of
        an older one without `upgrade`; `LedgerError` where it cannot be read or made, has a second hard
        link, was in use and is without its log, or is a copy of one in use: see `recover`.
        """
        database = await Database.open(
            await run_sync(resolve, path),
            MIGRATIONS,
            application_id=APPLICATION_ID,
            upgrade=upgrade,
            connect=connect,
            check=check_file,
            on_commit=SQL["count_commit"],
        )
        return cls(database)

    @classmethod
    async def examine(cls, path: str | Path) -> str | None:
        """Return why a ledger's file is refused, the end of an English sentence, or None. Changes nothing.

        Raises `LedgerError` where it is not there, or open in this process.
        """
        return await run_sync(examine, await run_sync(resolve, path))

    @classmethod
    async def recover(cls, path: str | Path) -> int:
        """Make usable a ledger that is refused, or a backup; return how many messages became unknown.

        What is queued or under way of every campaign that has not ended becomes unknown, since it may have
        been sent: `unknown`, `mark_sent` and `resend` decide on it. One that was `loading` is cancelled as
        well, since the rest of its list may be missing. Campaigns that were in the lost log only are lost. A
        log of another file is renamed. May be repeated.

        Raises `LedgerBusyError` beside a runner, `LedgerError` where the file is not there or open in this
        process.
        """
        file = await run_sync(resolve, path)
        async with hold_refused(file) as handle:
            # Without a check: whoever recovers knows.
            database = await Database.open(
                file, MIGRATIONS, application_id=APPLICATION_ID, upgrade=True, on_commit=SQL["count_commit"]
            )
            try:
                return await _recover(database, handle.inode)
            finally:
                await database.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file. May be called twice."""
        handle = self._database.handle
        if self._database.is_closed:
            return
        with CancelScope(shield=True):
            await self._sends.aclose()
            try:
                if handle is not None:
                    await unmark_abandoned(self._database, handle)
            finally:
                # Without its log a file that is marked as in use is taken for one that lost it.
                await self._database.aclose(keeps_log=lambda c: read_identity(c).in_use)

    async def create(self, campaign: NewCampaign) -> None:
        values = asdict(campaign)

        def work(connection: Connection) -> None:
            connection.execute(SQL["insert_campaign"], values)
            if campaign.retry_of is not None:
                connection.execute(CODES["share_codes_of_first"], values)

        await self._database.write(work)

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        def work(connection: Connection, campaign: CampaignRow) -> None:
            if campaign.state is not CampaignState.LOADING:
                raise still_going(campaign_id, campaign.state, "loaded")
            for batch in add_codes(connection, campaign.seq, batches):
                tx.insert(connection, campaign, batch)

        await self._write(campaign_id, work)

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        def work(connection: Connection, campaign: CampaignRow) -> str | None:
            same = tx.find_same(connection, campaign, plan_hash) if unless_same else None
            if same is not None:
                return same
            if not tx.move(connection, campaign, CampaignEvent.LOADED):
                raise still_going(campaign_id, campaign.state, "loaded")
            tx.execute(connection, campaign, "set_plan", plan=plan, plan_hash=plan_hash)
            try:
                tx.execute(connection, campaign, "insert_addressees")
                return None
            except IntegrityError:
                pass
            raise LedgerError(
                _("A recipient is twice in the campaign {id}.", id=repr(campaign_id)),
                error_code="campaign.duplicate_recipient",
            )

        return await self._write(campaign_id, work)

    async def discard(self, campaign_id: str) -> None:
        def work(connection: Connection) -> None:
            row = connection.execute(SQL["select_campaign"], {"id": campaign_id}).fetchone()
            key = {"campaign": row[0] if row else None}
            if row is None or connection.execute(SQL["count_claimed"], key).fetchone()[0]:
                return
            for name in (*_PERSONAL, "delete_batches", "delete_campaign"):
                connection.execute(SQL[name], key)
            connection.execute(CODES["discard_codes"], key)

        await self._database.write(work)

    async def campaign(self, campaign_id: str) -> Campaign:
        return await self._database.read(lambda c: tx.find(c, campaign_id).public)

    async def status(self, campaign_id: str) -> CampaignStatus:
        return await self._read(campaign_id, _status)

    async def statuses(self) -> Sequence[CampaignStatus]:
        def work(connection: Connection) -> list[CampaignStatus]:
            ids = connection.execute(SQL["select_campaign_ids"]).fetchall()
            return [_status(connection, tx.find(connection, campaign_id)) for (campaign_id,) in ids]

        return await self._database.read(work)

    async def start(self, campaign_id: str) -> bool:
        def work(connection: Connection, campaign: CampaignRow) -> bool:
            started = tx.move(connection, campaign, CampaignEvent.START)
            if started:
                tx.execute(connection, campaign, "forget_attempts")
            return started

        started = await self._write(campaign_id, work)
        # Who loses the log still finds the campaign, and that it ran.
        await self._database.checkpoint("FULL", wait=False)
        return started

    async def set_policy(
        self, campaign_id: str, policy: str, *, max_segments: int | None, replacing: str | None = None
    ) -> bool:
        limits = {"policy": policy, "max_segments": max_segments, "replacing": replacing}
        return await self._change(campaign_id, "set_policy", **limits) == 1

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        return await self._write(
            campaign_id,
            lambda c, campaign: tx.move(c, campaign, CampaignEvent.PAUSE, reason, revision=revision),
        )

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        def work(connection: Connection, campaign: CampaignRow) -> bool:
            cancelled = tx.move(connection, campaign, CampaignEvent.CANCEL, reason)
            if cancelled:
                tx.cancel_queued(connection, campaign)
            return cancelled

        return await self._write(campaign_id, work)

    async def finish(self, campaign_id: str) -> bool:
        def work(connection: Connection, campaign: CampaignRow) -> bool:
            status = _status(connection, campaign)
            left = status.queued or status.sending
            return not left and tx.move(connection, campaign, CampaignEvent.FINISH)

        return await self._write(campaign_id, work)

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        del now
        assert self._database.handle is not None
        async with use_file(self._database, self._database.handle):
            yield await self._database.write(reap_orphans)

    async def reap_orphans(self, *, now: float) -> Mapping[str, Sequence[int]]:
        del now
        return {}

    async def now(self) -> float:
        return time.time()

    async def under_way(self, account: str) -> int:
        return await self._database.read(
            lambda c: int(c.execute(SQL["select_under_way"], {"account": account}).fetchone()[0])
        )

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        return await self._read(
            campaign_id,
            lambda c, campaign: read_queued(
                tx.select(c, campaign, "select_queued", after=after, limit=limit)
            ),
        )

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        def work(connection: Connection) -> float:
            tat, at = _arrival(connection, account, now)
            wait = max(tat - now, 0.0)
            if wait <= RESERVE_AHEAD:
                tat = max(tat, now) + messages / rate
            connection.execute(SQL["set_tat"], {"account": account, "tat": tat, "at": at})
            return wait

        return await self._database.write(work)

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        values = {"account": account, "seconds": messages / rate}
        await self._database.write(lambda c: c.execute(SQL["release_tat"], values).rowcount)

    async def hold(self, account: str, until: float, *, now: float) -> None:
        def work(connection: Connection) -> None:
            tat, at = _arrival(connection, account, now)
            connection.execute(SQL["set_tat"], {"account": account, "tat": max(tat, until), "at": at})

        await self._database.write(work)

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
        return await self._database.write(lambda c: tx.claim(c, intent))

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        answer = Settlement(claim.campaign_id, claim.number, claim.token, event, record, not_before)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def abandon(self, campaign_id: str, number: int, token: str) -> bool:
        answer = Settlement(campaign_id, number, token, BatchEvent.REQUEUE)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        return await self._database.write(lambda c: tx.split(c, claim))

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        numbers_json = json.dumps(list(numbers))
        await self._change(campaign_id, "note_balance", numbers=numbers_json, balance=str(balance))

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        return await self._read(campaign_id, lambda c, campaign: _batches(c, campaign, "select_unknown"))

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        return await self._change(campaign_id, "mark_sent", numbers=json.dumps(list(numbers)), note=note)

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        def work(connection: Connection, campaign: CampaignRow) -> int:
            if campaign.closed:
                raise no_resending(campaign_id, purged=campaign.purged)
            values = {"numbers": json.dumps(list(numbers)), "sent_before": sent_before}
            count = tx.execute(connection, campaign, "resend", **values)
            tx.reopen(connection, campaign, count)
            return count

        return await self._write(campaign_id, work)

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        return await self._read(
            campaign_id,
            lambda c, campaign: _batches(c, campaign, "select_batches", after=after, limit=limit),
        )

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
        def work(connection: Connection, campaign: CampaignRow) -> None:
            for delivery in () if campaign.purged else deliveries:
                values = {**asdict(delivery), "status": delivery.status.value}
                tx.execute(connection, campaign, "record_delivery", **values)

        await self._write(campaign_id, work)

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        ids = json.dumps(list(message_ids))
        return await self._read(
            campaign_id,
            lambda c, campaign: read_deliveries(tx.select(c, campaign, "select_deliveries", ids=ids)),
        )

    async def delivery_counts(self, campaign_id: str) -> Mapping[tuple[str, DeliveryStatus], int]:
        return await self._read(
            campaign_id, lambda c, campaign: read_delivery_counts(tx.select(c, campaign, "count_deliveries"))
        )

    async def accepted_by_prefix(self, campaign_id: str) -> Mapping[str, int]:
        return await self._read(
            campaign_id,
            lambda c, campaign: dict(
                tx.select(c, campaign, "count_accepted_by_prefix", digits=PREFIX_DIGITS)
            ),
        )

    async def to_track(self, account: str, *, since: float) -> Sequence[str]:
        values = {"account": account, "since": since}
        return await self._database.read(
            lambda c: [key for (key,) in c.execute(SQL["select_to_track"], values).fetchall()]
        )

    async def tracking(self, campaign_id: str) -> str | None:
        ((reason,),) = await self._read(
            campaign_id, lambda c, campaign: tx.select(c, campaign, "select_tracking")
        )
        return None if reason is None else str(reason)

    async def end_tracking(
        self, campaign_id: str, reason: str | None, *, revision: int | None = None
    ) -> None:
        await self._change(campaign_id, "end_tracking", reason=reason, revision=revision)

    async def expire_tracking(self, account: str, reason: str, *, before: float) -> int:
        values = {"account": account, "reason": reason, "before": before}
        return await self._database.write(lambda c: c.execute(SQL["expire_tracking"], values).rowcount)

    @asynccontextmanager
    async def tracking_turn(self, account: str) -> AsyncIterator[bool]:
        del account
        yield True

    async def purge(self, campaign_id: str) -> None:
        await self._write(campaign_id, tx.begin_purge)
        is_more = True
        while is_more:
            is_more = await self._write(campaign_id, tx.purge_rows)
            # Another process, too, is to come in between.
            await sleep(PURGE_PAUSE if is_more else 0.0)
        await self._database.flush()
        # In a file that is marked an empty log would pass for a lost one.
        await self._database.write(read_identity)

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        values = {"after": int(after or 0), "limit": limit}
        return await self._database.read(
            lambda c: read_opt_outs(c.execute(SQL["select_opt_outs"], values).fetchall())
        )

    async def opted_out(self) -> frozenset[int]:
        return await self._database.read(
            lambda c: frozenset(chain.from_iterable(c.execute(SQL["select_opted_out"]).fetchall()))
        )

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        reason = {"source": source, "at": now, "link": LINK_SOURCE}
        rows = [{"phone": int(recipient), **reason} for recipient in recipients]

        def work(connection: Connection) -> int:
            connection.executemany(SQL["outrank_link"], rows)
            return connection.executemany(SQL["add_opt_out"], rows).rowcount

        return await self._database.write(work)

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        rows = [{"phone": int(recipient)} for recipient in recipients]
        return await self._database.write(lambda c: c.executemany(SQL["remove_opt_out"], rows).rowcount)

    async def _campaigns(self, query: str, **values: Any) -> list[Campaign]:
        rows = await self._database.read(lambda c: c.execute(SQL[query], values).fetchall())
        return [read_campaign(row[1], row).public for row in rows]

    async def _phones(self, campaign_id: str, query: str, **values: Any) -> frozenset[int]:
        return await self._read(
            campaign_id,
            lambda c, campaign: frozenset(chain.from_iterable(tx.select(c, campaign, query, **values))),
        )

    async def _read(self, campaign_id: str, work: Callable[[Connection, CampaignRow], T]) -> T:
        return await self._database.read(lambda c: work(c, tx.find(c, campaign_id)))

    async def _write(self, campaign_id: str, work: Callable[[Connection, CampaignRow], T]) -> T:
        return await self._database.write(lambda c: work(c, tx.find(c, campaign_id)))

    async def _change(self, campaign_id: str, query: str, **values: Any) -> int:
        return await self._write(campaign_id, lambda c, campaign: tx.execute(c, campaign, query, **values))


def _status(connection: Connection, campaign: CampaignRow) -> CampaignStatus:
    return read_status(campaign, tx.select(connection, campaign, "count_batches"))


def _batches(connection: Connection, campaign: CampaignRow, query: str, **values: Any) -> list[StoredBatch]:
    rows = tx.select(connection, campaign, query, **values)
    return [
        read_batch(row, tx.select(connection, campaign, "select_recipients", number=row[0])) for row in rows
    ]


def _arrival(connection: Connection, account: str, now: float) -> tuple[float, float]:
    row = connection.execute(SQL["select_tat"], {"account": account}).fetchone()
    return (now, now) if row is None else shift_arrival(row[0], row[1], now)


async def _recover(database: Database, inode: int) -> int:
    def work(connection: Connection) -> int:
        # In this order: of what was loading here nobody knows that nothing was sent.
        count = recover(connection, inode=inode, now=time.time(), path=database.path)
        reap_orphans(connection)
        return count

    count = await database.write(work)
    await database.flush()
    await run_sync(write_beside, database.path, await database.read(read_identity))
    return count


def reap_orphans(connection: Connection) -> Mapping[str, Sequence[int]]:
    """Under the runner's lock: whatever is `sending` belongs to a dead process."""
    rows = connection.execute(SQL["select_sending"]).fetchall()
    connection.execute(SQL["orphan_sending"], {"result": dump_record(DIED)})
    connection.execute(SQL["cancel_loading"], {"reason": LOADING_ENDED})
    connection.execute(SQL["cancel_queued_of_cancelled"])
    return {key: [number for _key, number in group] for key, group in groupby(rows, key=itemgetter(0))}
