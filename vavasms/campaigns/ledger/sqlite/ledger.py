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
from typing import Any, Self

from anyio import CancelScope, sleep
from anyio.to_thread import run_sync
from attrs import asdict

from vavasms.campaigns.ledger.models import (
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
from vavasms.campaigns.ledger.rows import (
    DIED,
    LOADING_ENDED,
    PURGE_PAUSE,
    Intent,
    Settlement,
    dump_record,
    no_resending,
    read_batch,
    read_deliveries,
    read_opt_outs,
    read_queued,
    read_status,
    shift_arrival,
    still_going,
)
from vavasms.campaigns.ledger.sqlite import transactions as tx
from vavasms.campaigns.ledger.sqlite.custody import examine, hold_apart, recover, tidy, use_file
from vavasms.campaigns.ledger.sqlite.identity import check_file, read_identity, write_beside
from vavasms.campaigns.ledger.sqlite.transactions import SQL
from vavasms.campaigns.states import BatchEvent, CampaignEvent, CampaignState
from vavasms.errors import LedgerError
from vavasms.numbers import Msisdn
from vavasms.storage.queries import load_migrations
from vavasms.storage.sqlite.database import Database
from vavasms.storage.sqlite.files import resolve

#: Marks a file as a ledger: "VAVA".
APPLICATION_ID = 0x56415641
MIGRATIONS = load_migrations("vavasms.campaigns.ledger.sqlite")

#: What holds numbers; addressees are found through the recipients.
_PERSONAL = ("delete_addressees", "delete_recipients", "delete_deliveries")


class SqliteLedger:
    """A ledger in one file. Open it with `SqliteLedger.open`; an async context manager."""

    is_shared = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self.path = database.path

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
        """Return why a ledger's file is refused, the end of a sentence, or None. Changes nothing.

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
        found = await run_sync(resolve, path)
        async with hold_apart(found) as handle:
            # Without a check: whoever recovers knows.
            database = await Database.open(
                found, MIGRATIONS, application_id=APPLICATION_ID, upgrade=True, on_commit=SQL["count_commit"]
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
            if handle is not None:
                await tidy(self._database, handle)
            await self._database.aclose()

    async def create(self, campaign: NewCampaign) -> None:
        """Keep a new campaign: see `Ledger.create`."""
        values = asdict(campaign)
        await self._database.write(lambda c: c.execute(SQL["insert_campaign"], values).rowcount)

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        """Add batches: see `Ledger.load`."""

        def work(connection: Connection) -> None:
            campaign = tx.find(connection, campaign_id)
            if campaign.state is not CampaignState.LOADING:
                raise still_going(campaign_id, campaign.state, "loaded")
            for batch in batches:
                tx.insert(connection, campaign.seq, batch)

        await self._database.write(work)

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        """Make a campaign whole: see `Ledger.finish_loading`."""

        def work(connection: Connection) -> str | None:
            campaign = tx.find(connection, campaign_id)
            same = tx.find_same(connection, campaign, plan_hash) if unless_same else None
            if same is not None:
                return same
            if not tx.move(connection, campaign, CampaignEvent.LOADED):
                raise still_going(campaign_id, campaign.state, "loaded")
            values = {"campaign": campaign.seq, "plan": plan, "plan_hash": plan_hash}
            connection.execute(SQL["set_plan"], values)
            try:
                connection.execute(SQL["insert_addressees"], {"campaign": campaign.seq})
                return None
            except IntegrityError:
                pass
            raise LedgerError(f"A recipient is twice in the campaign {campaign_id!r}.")

        return await self._database.write(work)

    async def discard(self, campaign_id: str) -> None:
        """Forget a campaign that never began: see `Ledger.discard`."""

        def work(connection: Connection) -> None:
            row = connection.execute(SQL["select_campaign"], {"id": campaign_id}).fetchone()
            key = {"campaign": row[0] if row else None}
            if row is None or connection.execute(SQL["count_claimed"], key).fetchone()[0]:
                return
            for name in (*_PERSONAL, "delete_batches", "delete_campaign"):
                connection.execute(SQL[name], key)

        await self._database.write(work)

    async def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign: see `Ledger.campaign`."""
        return await self._database.read(lambda c: tx.find(c, campaign_id).public)

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Count a campaign's recipients: see `Ledger.status`."""
        return await self._database.read(lambda c: _status(c, campaign_id))

    async def statuses(self) -> Sequence[CampaignStatus]:
        """Count every campaign's recipients: see `Ledger.statuses`."""

        def work(connection: Connection) -> list[CampaignStatus]:
            ids = connection.execute(SQL["select_campaign_ids"]).fetchall()
            return [_status(connection, each) for (each,) in ids]

        return await self._database.read(work)

    async def start(self, campaign_id: str) -> bool:
        """Start a campaign: see `Ledger.start`."""

        def work(connection: Connection) -> bool:
            campaign = tx.find(connection, campaign_id)
            started = tx.move(connection, campaign, CampaignEvent.START)
            if started:
                connection.execute(SQL["forget_attempts"], {"campaign": campaign.seq})
            return started

        started = await self._database.write(work)
        # Who loses the log still finds the campaign, and that it ran.
        await self._database.checkpoint("FULL", wait=False)
        return started

    async def set_policy(
        self, campaign_id: str, policy: str, *, max_segments: int | None, replacing: str | None = None
    ) -> bool:
        """Change the limits of a campaign: see `Ledger.set_policy`."""

        def work(connection: Connection) -> bool:
            limits = {"policy": policy, "max_segments": max_segments, "replacing": replacing}
            return (
                connection.execute(SQL["set_policy"], {**_key(connection, campaign_id), **limits}).rowcount
                == 1
            )

        return await self._database.write(work)

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        """Pause a campaign: see `Ledger.pause`."""

        def work(connection: Connection) -> bool:
            campaign = tx.find(connection, campaign_id)
            return tx.move(connection, campaign, CampaignEvent.PAUSE, reason, revision=revision)

        return await self._database.write(work)

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        """Cancel a campaign: see `Ledger.cancel`."""

        def work(connection: Connection) -> bool:
            campaign = tx.find(connection, campaign_id)
            cancelled = tx.move(connection, campaign, CampaignEvent.CANCEL, reason)
            if cancelled:
                tx.cancel_queued(connection, campaign)
            return cancelled

        return await self._database.write(work)

    async def finish(self, campaign_id: str) -> bool:
        """End a campaign of which nothing is left: see `Ledger.finish`."""

        def work(connection: Connection) -> bool:
            status = _status(connection, campaign_id)
            if status.queued or status.sending:
                return False
            return tx.move(connection, tx.find(connection, campaign_id), CampaignEvent.FINISH)

        return await self._database.write(work)

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        """Be the one runner: see `Ledger.take_over`."""
        del now
        assert self._database.handle is not None
        async with use_file(self._database, self._database.handle):
            yield await self._database.write(reap_orphans)

    async def reap_orphans(self, *, now: float) -> Mapping[str, Sequence[int]]:
        """Do nothing: `take_over` has done it. See `Ledger.reap_orphans`."""
        del now
        return {}

    async def now(self) -> float:
        """Return this machine's time: see `Ledger.now`."""
        return time.time()

    async def under_way(self, account: str) -> int:
        """Return how many segments are being sent: see `Ledger.under_way`."""
        return await self._database.read(
            lambda c: int(c.execute(SQL["select_under_way"], {"account": account}).fetchone()[0])
        )

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        """Return queued batches: see `Ledger.queued`."""

        page = {"after": after, "limit": limit}
        return await self._database.read(
            lambda c: read_queued(c.execute(SQL["select_queued"], {**_key(c, campaign_id), **page}))
        )

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        """Take room in the rate: see `Ledger.reserve`."""

        def work(connection: Connection) -> float:
            tat, at = _arrival(connection, account, now)
            wait = max(tat - now, 0.0)
            if wait <= RESERVE_AHEAD:
                tat = max(tat, now) + messages / rate
            connection.execute(SQL["set_tat"], {"account": account, "tat": tat, "at": at})
            return wait

        return await self._database.write(work)

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        """Hand room back: see `Ledger.release`."""
        values = {"account": account, "seconds": messages / rate}
        await self._database.write(lambda c: c.execute(SQL["release_tat"], values).rowcount)

    async def hold(self, account: str, until: float, *, now: float) -> None:
        """Reserve nothing for a while: see `Ledger.hold`."""

        def work(connection: Connection) -> None:
            tat, at = _arrival(connection, account, now)
            connection.execute(SQL["set_tat"], {"account": account, "tat": max(tat, until), "at": at})

        await self._database.write(work)

    async def claim(
        self,
        campaign_id: str,
        no: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
        revision: int | None = None,
    ) -> Claim | None:
        """TX1: see `Ledger.claim`."""
        intent = Intent(campaign_id, no, token, worker, now, balance, revision)
        return await self._database.write(lambda c: tx.claim(c, intent))

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        """TX2: see `Ledger.settle`."""
        answer = Settlement(claim.campaign_id, claim.no, claim.token, event, record, not_before)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def abandon(self, campaign_id: str, no: int, token: str) -> bool:
        """Turn back a claim whose answer was lost: see `Ledger.abandon`."""
        answer = Settlement(campaign_id, no, token, BatchEvent.REQUEUE)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        """TX2 of a lot refused as a whole: see `Ledger.split`."""
        return await self._database.write(lambda c: tx.split(c, claim))

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        """Keep the balance after: see `Ledger.note_balance`."""
        values = {"numbers": json.dumps(list(numbers)), "balance": str(balance)}
        await self._database.write(
            lambda c: c.execute(SQL["note_balance"], {**_key(c, campaign_id), **values}).rowcount
        )

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        """Return the batches to decide on: see `Ledger.unknown`."""
        return await self._database.read(lambda c: _batches(c, "select_unknown", _key(c, campaign_id)))

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        """Take unknown batches for accepted: see `Ledger.mark_sent`."""
        values = {"numbers": json.dumps(list(numbers)), "note": note}
        return await self._database.write(
            lambda c: c.execute(SQL["mark_sent"], {**_key(c, campaign_id), **values}).rowcount
        )

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        """Queue unknown batches again: see `Ledger.resend`."""

        def work(connection: Connection) -> int:
            campaign = tx.find(connection, campaign_id)
            if campaign.closed:
                raise no_resending(campaign_id, purged=campaign.purged)
            values = {"numbers": json.dumps(list(numbers)), "sent_before": sent_before}
            count = connection.execute(SQL["resend"], {"campaign": campaign.seq, **values}).rowcount
            tx.reopen(connection, campaign, count)
            return count

        return await self._database.write(work)

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        """Return batches: see `Ledger.batches`."""
        values = {"after": after, "limit": limit}
        return await self._database.read(
            lambda c: _batches(c, "select_batches", {**_key(c, campaign_id), **values})
        )

    async def record_deliveries(self, campaign_id: str, deliveries: Collection[Delivery]) -> None:
        """Keep the latest word on messages: see `Ledger.record_deliveries`."""

        def work(connection: Connection) -> None:
            campaign = tx.find(connection, campaign_id)
            if campaign.purged:
                return
            key = {"campaign": campaign.seq}
            for each in deliveries:
                values = {"message_id": each.message_id, "status": each.status.value}
                stored = {"raw_status": each.raw_status, "at": each.at}
                connection.execute(SQL["record_delivery"], {**key, **values, **stored})

        await self._database.write(work)

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        """Return what is known of messages: see `Ledger.deliveries`."""
        values = {"ids": json.dumps(list(message_ids))}
        return await self._database.read(
            lambda c: read_deliveries(
                c.execute(SQL["select_deliveries"], {**_key(c, campaign_id), **values}).fetchall()
            )
        )

    async def purge(self, campaign_id: str) -> None:
        """Forget numbers and texts, on the disk as well: see `Ledger.purge`."""
        await self._database.write(lambda c: tx.begin_purge(c, campaign_id))
        is_more = True
        while is_more:
            is_more = await self._database.write(lambda c: tx.purge_rows(c, campaign_id))
            # Another process, too, is to come in between.
            await sleep(PURGE_PAUSE if is_more else 0.0)
        await self._database.flush()
        # In a file that is marked an empty log would pass for a lost one.
        await self._database.write(read_identity)

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        """Return the opt-out list: see `Ledger.opt_outs`."""
        values = {"after": int(after or 0), "limit": limit}
        return await self._database.read(
            lambda c: read_opt_outs(c.execute(SQL["select_opt_outs"], values).fetchall())
        )

    async def opted_out(self) -> frozenset[int]:
        """Return the numbers of the opt-out list: see `Ledger.opted_out`."""
        return await self._database.read(
            lambda c: frozenset(chain.from_iterable(c.execute(SQL["select_opted_out"]).fetchall()))
        )

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the opt-out list: see `Ledger.add_opt_outs`."""
        rows = [{"phone": int(each), "source": source, "at": now} for each in recipients]
        return await self._database.write(lambda c: c.executemany(SQL["add_opt_out"], rows).rowcount)

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Take numbers off the opt-out list: see `Ledger.remove_opt_outs`."""
        rows = [{"phone": int(each)} for each in recipients]
        return await self._database.write(lambda c: c.executemany(SQL["remove_opt_out"], rows).rowcount)


def _key(connection: Connection, campaign_id: str) -> dict[str, Any]:
    return {"campaign": tx.find(connection, campaign_id).seq}


def _status(connection: Connection, campaign_id: str) -> CampaignStatus:
    campaign = tx.find(connection, campaign_id)
    return read_status(campaign, connection.execute(SQL["count_batches"], {"campaign": campaign.seq}))


def _batches(connection: Connection, query: str, values: dict[str, Any]) -> list[StoredBatch]:
    rows = connection.execute(SQL[query], values).fetchall()
    key = {"campaign": values["campaign"]}
    return [
        read_batch(row, connection.execute(SQL["select_recipients"], {**key, "no": row[0]})) for row in rows
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
    return {key: [no for _, no in group] for key, group in groupby(rows, key=itemgetter(0))}
