"""Single sends in SQLite, for any number of processes on one machine."""

from __future__ import annotations

import json
import weakref
from collections.abc import Collection, Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from vavasms.ledger.models import LONGEST_DELAY, BatchRecord
from vavasms.ledger.rows import DIED, RECOVERED, dump_record
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
from vavasms.storage.queries import load_queries
from vavasms.storage.sqlite.database import Database

SQL: Mapping[str, str] = {
    name: sql.replace("{columns}", COLUMNS)
    for name, sql in load_queries("vavasms.ledger.sqlite", "sends.sql").items()
}


class SqliteSends(SendStore):
    """The single sends of a `SqliteLedger`.

    A process that sends is a member of the file as long as it lives: what is `sending` of one that is no
    member any more is unknown at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._member: int | None = None
        #: What leaves where nobody closes it.
        self._end: weakref.finalize[Any, Any] | None = None
        #: The tokens of what is claimed here and has no outcome yet.
        self._under_way: set[str] = set()
        #: Those of which nobody will write what became of them, though this process lives.
        self._given_up: set[str] = set()

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        values = new_values(new, now=now) | self._claim_values(token, now)

        def work(connection: Connection) -> SendClaim | SendRecord:
            if connection.execute(SQL["insert_send"], values).rowcount:
                return grant(new, token=token, now=now, attempt=1)
            row = self._find_reaped(connection, new.account, new.key, now)
            if not row.is_renewable:
                row.check_same(new)
                return row.public
            attempt = row.attempts + 1
            connection.execute(SQL["renew_send"], {**values, "attempt": attempt})
            return grant(new, token=token, now=now, attempt=attempt)

        found = await self._database.write(work)
        if isinstance(found, SendClaim):
            self._under_way.add(token)
        return found

    async def enqueue(self, new: NewSend, *, now: float) -> SendRecord:
        values = new_values(new, now=now) | enqueued_values()

        def work(connection: Connection) -> SendRecord:
            if not connection.execute(SQL["insert_send"], values).rowcount:
                row = self._find_reaped(connection, new.account, new.key, now)
                if not row.is_renewable:
                    row.check_same(new)
                    return row.public
                connection.execute(SQL["renew_send"], values)
            return _get(connection, new.account, new.key).public

        return await self._database.write(work)

    async def claim_due(self, account: str, *, token: str, now: float, limit: int) -> Sequence[SendClaim]:
        due = {"account": account, "now": now, "latest": now + LONGEST_DELAY, "limit": limit}

        def work(connection: Connection) -> list[SendClaim]:
            claims = []
            for number, row in enumerate(_select(connection, "select_due", due)):
                values = {**self._claim_values(f"{token}-{number}", now), "account": account, "key": row.key}
                connection.execute(SQL["claim_send"], {**values, "now": now})
                claims.append(grant_row(row, token=f"{token}-{number}", now=now))
            return claims

        # Mostly there is nothing: looking writes nothing.
        if not await self._database.read(lambda c: c.execute(SQL["select_due"], due).fetchone()):
            return []
        claimed = await self._database.write(work)
        self._under_way.update(claim.token for claim in claimed)
        return claimed

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        if event is BatchEvent.ACCEPT:
            values = accept_values(claim, record, now)
            held = await self._database.write(lambda c: c.execute(SQL["accept_send"], values).rowcount == 1)
            self._end_claim(claim.token)
            return held
        answer = SendSettlement(event, record, now=now, not_before=not_before)
        return await self._settle(claim.account, claim.key, claim.token, answer)

    async def abandon(self, account: str, key: str, token: str) -> bool:
        return await self._settle(account, key, token, SendSettlement(BatchEvent.REQUEUE))

    async def _settle(self, account: str, key: str, token: str, answer: SendSettlement) -> bool:
        def work(connection: Connection) -> bool:
            row = _look(connection, account, key)
            if row is None or row.token != token or row.state not in SETTLED_FROM:
                return False
            connection.execute(SQL["settle_send"], row.settle(answer))
            return True

        held = await self._database.write(work)
        self._end_claim(token)
        return held

    async def abandon_due(self, account: str, token: str, *, limit: int) -> None:
        tokens = json.dumps([f"{token}-{number}" for number in range(limit)])
        values = {"account": account, "tokens": tokens}
        await self._database.write(lambda c: c.execute(SQL["abandon_due"], values).rowcount)

    def give_up(self, *tokens: str) -> None:
        self._under_way.difference_update(tokens)
        self._given_up.update(tokens)

    async def find(self, account: str, key: str) -> SendRecord | None:
        row = await self._database.read(lambda c: _look(c, account, key))
        return None if row is None else row.public

    async def accounts(self, key: str) -> Sequence[str]:
        found = await self._database.read(
            lambda c: c.execute(SQL["select_accounts"], {"key": key}).fetchall()
        )
        return [account for (account,) in found]

    async def records(
        self, account: str | None, *, states: Collection[BatchState], since: float, limit: int
    ) -> Sequence[SendRecord]:
        names = json.dumps([state.value for state in states])
        values = {"account": account, "states": names, "since": since, "limit": limit}
        return [row.public for row in await self._database.read(lambda c: _select(c, "select_sends", values))]

    async def reached(self, since: float) -> frozenset[int]:
        return await self._database.read(
            lambda c: read_reached(c.execute(SQL["select_reached"], {"since": since}))
        )

    async def resolve(
        self, account: str, key: str, *, sent: bool, again: bool, note: str, now: float
    ) -> SendRecord:
        def work(connection: Connection) -> SendRecord:
            row = _look(connection, account, key)
            if row is not None:
                row = self._find_reaped(connection, account, key, now)
            # Whoever began it is dead, or has settled it: nobody sends it any more.
            values = resolve_values(
                row, key, sent=sent, again=again, note=note, now=now, sent_before=float("inf")
            )
            connection.execute(SQL["resolve_send"], values)
            return _get(connection, account, key).public

        return await self._database.write(work)

    async def reap(self, *, now: float) -> int:
        def look(connection: Connection) -> list[SendRow]:
            return [row for row in _select(connection, "select_sending", {}) if not self._lives(row)]

        dead = await self._database.read(look)
        if not dead:
            return 0
        return await self._database.write(lambda c: sum(_orphan(c, row, now) for row in dead))

    async def serve(self, account: str) -> None:
        """Do nothing: nobody enqueues here without naming the account."""

    async def untold(self, account: str, *, before: float, limit: int) -> Sequence[SendRecord]:
        values = {"account": account, "before": before, "limit": limit}
        return [
            row.public for row in await self._database.read(lambda c: _select(c, "select_untold", values))
        ]

    async def note_told(self, record: SendRecord) -> None:
        values = told_values(record)
        await self._database.write(lambda c: c.execute(SQL["note_told"], values).rowcount)

    async def purge(self, *, account: str | None, before: float, limit: int, since: float = 0.0) -> int:
        values = {"account": account, "since": since, "before": before, "limit": limit}
        return await self._database.write(lambda c: c.execute(SQL["purge_sends"], values).rowcount)

    async def aclose(self) -> None:
        """Leave those who are taken for alive, unless something is under way yet that could still leave."""
        handle = self._database.handle
        if handle is not None and self._member is not None:
            handle.keep() if self._under_way else handle.leave(self._member)
            if self._end is not None:
                self._end.detach()
        self._member = None

    def _claim_values(self, token: str, now: float) -> dict[str, Any]:
        self._database.check_open()
        handle = self._database.handle
        if self._member is None and handle is not None:
            self._member = handle.join()
            # Where nobody closes it, as the ledger of an event loop that has ended: who could settle is gone.
            self._end = weakref.finalize(self, handle.drop_later, self._member)
            self._end.atexit = False
        values = {"state": BatchState.SENDING.value, "token": token, "worker": str(self._member or 0)}
        return {**values, "sending_at": now, "attempt": 1}

    def _end_claim(self, token: str) -> None:
        self._under_way.discard(token)
        self._given_up.discard(token)

    def _lives(self, row: SendRow) -> bool:
        if row.token in self._given_up:
            return False
        handle = self._database.handle
        # In memory there is no other process.
        return handle is None or handle.lives(int(row.worker or 0))

    def _find_reaped(self, connection: Connection, account: str, key: str, now: float) -> SendRow:
        row = _get(connection, account, key)
        if row.state is BatchState.SENDING and not self._lives(row):
            _orphan(connection, row, now)
            return _get(connection, account, key)
        return row


def recover_sends(connection: Connection, now: float) -> int:
    """Make unknown what may have been sent by another copy of the file; return how many messages waited."""
    (count,) = connection.execute(SQL["count_recovered_sends"]).fetchone()
    connection.execute(SQL["recover_sends"], {"result": dump_record(RECOVERED), "now": now})
    return int(count)


def _orphan(connection: Connection, row: SendRow, now: float) -> int:
    values = {"account": row.account, "key": row.key, "token": row.token}
    return connection.execute(
        SQL["orphan_send"], {**values, "result": dump_record(DIED), "now": now}
    ).rowcount


def _look(connection: Connection, account: str, key: str) -> SendRow | None:
    rows = _select(connection, "select_send", {"account": account, "key": key})
    return rows[0] if rows else None


def _get(connection: Connection, account: str, key: str) -> SendRow:
    row = _look(connection, account, key)
    assert row is not None
    return row


def _select(connection: Connection, query: str, values: Mapping[str, Any]) -> list[SendRow]:
    return [read_send(row) for row in connection.execute(SQL[query], values).fetchall()]
