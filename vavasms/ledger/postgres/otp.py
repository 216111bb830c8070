"""One-time codes counted in PostgreSQL, for any number of hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vavasms.ledger.otp import (
    Check,
    OtpRequest,
    OtpStore,
    Refusal,
    find_refusal,
    forget_values,
    plan_checks,
)
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import PostgresDatabase, Rows, Step, ask
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "otp.sql")


class PostgresOtp(OtpStore):
    """The codes of a `PostgresLedger`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        checks = plan_checks(request, limits, now=now)

        async def work(connection: Connection) -> Refusal | None:
            rows = await ask(connection, *_steps(checks))
            return _judge(request, limits, checks, rows, now)

        return await self._database.read(work)

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        checks = plan_checks(request, limits, now=now)
        lock: Step = (SQL["lock_codes"], {"account": request.account})

        async def work(connection: Connection) -> Refusal | None:
            # READ COMMITTED: each look-up sees what was committed before the lock was had.
            _, *rows = await ask(connection, lock, *_steps(checks))
            refusal = _judge(request, limits, checks, rows, now)
            if refusal is None:
                event = {**request.values, "now": now}
                await ask(
                    connection, (SQL["insert_event"], event), (SQL["forget_events"], forget_values(now))
                )
            return refusal

        return await self._database.write(work)

    async def give_back(self, account: str, token: str) -> None:
        await self._database.call(SQL["delete_event"], {"account": account, "token": token})

    async def note_rejected(self, account: str, token: str) -> None:
        await self._database.call(SQL["reject_event"], {"account": account, "token": token})


def _steps(checks: Sequence[Check]) -> list[Step]:
    return [(SQL[check.query], check.values) for check in checks]


def _judge(
    request: OtpRequest, limits: OtpLimits, checks: Sequence[Check], rows: Sequence[Rows], now: float
) -> Refusal | None:
    found = [answer[0] if answer else None for answer in rows]
    return find_refusal(request, limits, checks, found, now=now)
