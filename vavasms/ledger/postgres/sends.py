"""Single sends in PostgreSQL, for any number of processes on any host. asyncio only."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from math import inf
from secrets import token_hex
from typing import Any, NamedTuple

from vavasms.ledger.leases import ORPHAN_AFTER
from vavasms.ledger.models import LONGEST_DELAY, BatchRecord
from vavasms.ledger.rows import DIED, dump_record
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.send_rows import (
    COLUMNS,
    SETTLED_FROM,
    SendRow,
    SendSettlement,
    accept_values,
    enqueued_values,
    grant,
    grant_row,
    new_values,
    read_reached,
    read_send,
    resolve_values,
    told_values,
)
from vavasms.ledger.sends import NewSend, SendClaim, SendStore
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.storage.group_commit import GroupCommit
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import PostgresDatabase, ask, change
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = {
    name: sql.replace("{columns}", COLUMNS)
    for name, sql in load_queries("vavasms.ledger.postgres", "sends.sql").items()
}


class _Begun(NamedTuple):
    """A send that is to be claimed."""

    new: NewSend
    token: str
    now: float


class _Accepted(NamedTuple):
    """A claim that the gateway took."""

    claim: SendClaim
    record: BatchRecord
    now: float


class PostgresSends(SendStore):
    """The single sends of a `PostgresLedger`.

    Whoever sends may be on any host, so that what is `sending` of one that died is unknown only once no call
    can take so long: `ORPHAN_AFTER`.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        # Containers may share a name and a number.
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self._begins: GroupCommit[_Begun, bool] = GroupCommit(self._begin_new)
        self._accepts: GroupCommit[_Accepted, bool] = GroupCommit(self._accept)

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        if await self._begins.write(_Begun(new, token, now)):
            return grant(new, token=token, now=now, attempt=1)
        return await self._database.write(partial(self._begin_known, new=new, token=token, now=now))

    async def enqueue(self, new: NewSend, *, now: float) -> SendRecord:
        values = new_values(new, now=now) | enqueued_values()

        async def work(connection: Connection) -> SendRecord:
            if not await change(connection, SQL["insert_send"], values):
                row = await _lock_reaped(connection, new.account, new.key, now)
                if row is not None and not row.is_renewable:
                    row.check_same(new)
                    return row.public
                # Where it was purged in between it is made anew.
                await change(connection, SQL["insert_send" if row is None else "renew_send"], values)
            row = await _look(connection, "select_send", new.account, new.key)
            assert row is not None
            return row.public

        return await self._database.write(work)

    async def claim_due(self, account: str, *, token: str, now: float, limit: int) -> Sequence[SendClaim]:
        due = {"account": account, "now": now, "latest": now + LONGEST_DELAY, "limit": limit}

        async def work(connection: Connection) -> list[SendClaim]:
            (found,) = await ask(connection, (SQL["select_due"], due))
            rows = list(map(read_send, found))
            tokens = [f"{token}-{number}" for number in range(len(rows))]
            claims = {"account": account, "now": now, "worker": self._worker, "tokens": tokens}
            if rows:
                await change(connection, SQL["claim_sends"], {**claims, "keys": [row.key for row in rows]})
            return [grant_row(row, token=own, now=now) for row, own in zip(rows, tokens, strict=True)]

        return await self._database.write(work)

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        if event is BatchEvent.ACCEPT:
            return await self._accepts.write(_Accepted(claim, record, now))
        answer = SendSettlement(event, record, now=now, not_before=not_before)
        return await self._settle(claim.account, claim.key, claim.token, answer)

    async def abandon(self, account: str, key: str, token: str) -> bool:
        # It may be under way for somebody else's sake.
        await self._begins.flush()
        return await self._settle(account, key, token, SendSettlement(BatchEvent.REQUEUE))

    async def abandon_due(self, account: str, token: str, *, limit: int) -> None:
        values = {"account": account, "tokens": [f"{token}-{number}" for number in range(limit)]}
        await self._database.call(SQL["abandon_due"], values)

    def give_up(self, *tokens: str) -> None:
        """Do nothing: others go by the age of a claim."""

    async def find(self, account: str, key: str) -> SendRecord | None:
        rows = await self._database.call(SQL["select_send"], {"account": account, "key": key})
        return read_send(rows[0]).public if rows else None

    async def accounts(self, key: str) -> Sequence[str]:
        return [account for (account,) in await self._database.call(SQL["select_accounts"], {"key": key})]

    async def records(
        self, account: str | None, *, states: Collection[BatchState], since: float, limit: int
    ) -> Sequence[SendRecord]:
        names = [state.value for state in states]
        values = {"account": account, "states": names, "since": since, "limit": limit}
        return [read_send(row).public for row in await self._database.call(SQL["select_sends"], values)]

    async def reached(self, since: float) -> frozenset[int]:
        return read_reached(await self._database.call(SQL["select_reached"], {"since": since}))

    async def resolve(
        self, account: str, key: str, *, sent: bool, again: bool, note: str, now: float
    ) -> SendRecord:
        async def work(connection: Connection) -> SendRecord:
            row = await _lock_reaped(connection, account, key, now)
            sent_before = inf if row is None else row.decidable_before(now)
            values = resolve_values(
                row, key, sent=sent, again=again, note=note, now=now, sent_before=sent_before
            )
            await change(connection, SQL["resolve_send"], values)
            resolved = await _look(connection, "select_send", account, key)
            assert resolved is not None
            return resolved.public

        return await self._database.write(work)

    async def reap(self, *, now: float) -> int:
        values = {"result": dump_record(DIED), "now": now, "sent_before": now - ORPHAN_AFTER}
        return await self._database.write(lambda c: change(c, SQL["reap_sends"], values))

    async def serve(self, account: str) -> None:
        await self._database.call(SQL["serve_account"], {"account": account})

    async def untold(self, account: str, *, before: float, limit: int) -> Sequence[SendRecord]:
        values = {"account": account, "before": before, "limit": limit}
        return [read_send(row).public for row in await self._database.call(SQL["select_untold"], values)]

    async def note_told(self, record: SendRecord) -> None:
        await self._database.call(SQL["note_told"], told_values(record))

    async def purge(self, *, account: str | None, before: float, limit: int, since: float = 0.0) -> int:
        values = {"account": account, "since": since, "before": before, "limit": limit}
        return await self._database.write(lambda c: change(c, SQL["purge_sends"], values))

    async def aclose(self) -> None:
        """Do nothing: others go by the age of a claim."""

    async def _begin_new(self, begun: Sequence[_Begun]) -> Sequence[bool]:
        rows = [new_values(new, now=now) | {"token": token} for new, token, now in begun]
        values = {"rows": _dump(rows), "worker": self._worker}
        claimed = {token for (token,) in await self._database.call(SQL["begin_sends"], values)}
        return [token in claimed for _, token, _ in begun]

    async def _begin_known(
        self, connection: Connection, *, new: NewSend, token: str, now: float
    ) -> SendClaim | SendRecord:
        values = new_values(new, now=now) | {
            "state": BatchState.SENDING.value,
            "token": token,
            "worker": self._worker,
            "sending_at": now,
            "attempt": 1,
        }
        row = await _lock_reaped(connection, new.account, new.key, now)
        if row is None:
            # Purged in between.
            await change(connection, SQL["insert_send"], values)
            return grant(new, token=token, now=now, attempt=1)
        if not row.is_renewable:
            row.check_same(new)
            return row.public
        attempt = row.attempts + 1
        await change(connection, SQL["renew_send"], {**values, "attempt": attempt})
        return grant(new, token=token, now=now, attempt=attempt)

    async def _accept(self, accepted: Sequence[_Accepted]) -> Sequence[bool]:
        ordered = sorted(accepted, key=lambda answer: (answer.claim.account, answer.claim.key))
        rows = [accept_values(*answer) for answer in ordered]
        kept = {token for (token,) in await self._database.call(SQL["accept_sends"], {"rows": _dump(rows)})}
        return [answer.claim.token in kept for answer in accepted]

    async def _settle(self, account: str, key: str, token: str, answer: SendSettlement) -> bool:
        async def work(connection: Connection) -> bool:
            row = await _look(connection, "lock_send", account, key)
            if row is None or row.token != token or row.state not in SETTLED_FROM:
                return False
            return await change(connection, SQL["settle_send"], row.settle(answer)) == 1

        return await self._database.write(work)


def _dump(rows: Sequence[Mapping[str, Any]]) -> str:
    # Not in ASCII: no database but one in UTF-8 reads each escape.
    return json.dumps(rows, ensure_ascii=False, default=bytes.hex)


async def _look(connection: Connection, query: str, account: str, key: str) -> SendRow | None:
    (rows,) = await ask(connection, (SQL[query], {"account": account, "key": key}))
    return read_send(rows[0]) if rows else None


async def _lock_reaped(connection: Connection, account: str, key: str, now: float) -> SendRow | None:
    """Lock a send; what was claimed longer ago than a call can take is unknown from now on."""
    row = await _look(connection, "lock_send", account, key)
    if row is None or not row.is_overdue(now):
        return row
    values: dict[str, Any] = {"account": account, "key": key, "token": row.token, "now": now}
    await change(connection, SQL["orphan_send"], {**values, "result": dump_record(DIED)})
    return await _look(connection, "select_send", account, key)
