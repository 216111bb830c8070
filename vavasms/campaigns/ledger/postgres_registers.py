"""What a PostgreSQL ledger keeps beside the batches: rates, the opt-out list, delivery reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from vavasms.campaigns.ledger import postgres_transactions as tx
from vavasms.campaigns.ledger.port import RESERVE_AHEAD, Delivery, OptOut
from vavasms.campaigns.ledger.postgres_transactions import SQL
from vavasms.campaigns.ledger.rows import CLOCK_SKEW, read_deliveries, read_opt_outs
from vavasms.numbers import Msisdn
from vavasms.storage.postgres import PostgresDatabase, Rows, ask, change
from vavasms.storage.postgres_link import Connection


class PostgresRegisters:
    """The part of the ledger that needs no batch."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        """Take room in the rate: see `Ledger.reserve`."""
        values = {"account": account, "messages": messages, "rate": rate, "now": now}
        values |= {"skew": CLOCK_SKEW, "ahead": RESERVE_AHEAD}
        return float((await self._run("reserve", values))[0][0])

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        """Give room in the rate back: see `Ledger.release`."""
        await self._run("release", {"account": account, "messages": messages, "rate": rate})

    async def hold(self, account: str, until: float, *, now: float) -> None:
        """Let nothing be reserved for a while: see `Ledger.hold`."""
        await self._run("hold_rate", {"account": account, "until": until, "now": now, "skew": CLOCK_SKEW})

    async def record_deliveries(self, campaign_id: str, deliveries: Collection[Delivery]) -> None:
        """Keep the latest word on messages: see `Ledger.record_deliveries`."""

        async def work(connection: Connection) -> None:
            campaign = await tx.hold(connection, campaign_id)
            if campaign.purged:
                return
            key = {"campaign": campaign.seq}
            rows = []
            # In order: no two reporters wait for each other.
            for each in sorted(deliveries, key=lambda delivery: delivery.message_id):
                values = {"message_id": each.message_id, "status": each.status.value}
                raw_status = each.raw_status.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
                rows.append({**key, **values, "raw_status": raw_status, "at": each.at})
            await connection.cursor().executemany(SQL["record_delivery"].encode(), rows)

        await self._database.write(work)

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        """Give what is known of messages: see `Ledger.deliveries`."""

        async def work(connection: Connection) -> Rows:
            # PostgreSQL's texts hold no NUL, so nothing is known of such an id. A gateway may say anything.
            ids = [each for each in message_ids if "\0" not in each]
            key = {"campaign": (await tx.find(connection, campaign_id))[0], "ids": ids}
            return (await ask(connection, (SQL["select_deliveries"], key)))[0]

        return read_deliveries(await self._database.read(work))

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        """Give the opt-out list: see `Ledger.opt_outs`."""
        return read_opt_outs(await self._run("select_opt_outs", {"after": int(after or 0), "limit": limit}))

    async def opted_out(self) -> frozenset[int]:
        """Give the numbers of the opt-out list: see `Ledger.opted_out`."""
        return frozenset(chain.from_iterable(await self._run("select_opted_out", {})))

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the opt-out list: see `Ledger.add_opt_outs`."""
        values = {"phones": [int(each) for each in recipients], "source": source, "at": now}
        return await self._change("add_opt_outs", values)

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Take numbers off the opt-out list: see `Ledger.remove_opt_outs`."""
        return await self._change("remove_opt_outs", {"phones": [int(each) for each in recipients]})

    async def _run(self, query: str, values: Mapping[str, Any]) -> Rows:
        """Run one statement and commit it in the same round trip: a row that all want is held no longer."""
        return await self._database.call(SQL[query], values)

    async def _change(self, query: str, values: Mapping[str, Any]) -> int:
        return await self._database.write(lambda c: change(c, SQL[query], values))
