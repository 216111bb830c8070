"""The codes of opt-out links in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vavasms.ledger.models import NewBatch
from vavasms.ledger.optout_codes import (
    LINK_SOURCE,
    CodeHolder,
    OptOutCodes,
    draw_code,
    fill_codes,
    find_marked,
    is_code,
    read_holder,
)
from vavasms.numbers import Msisdn
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import PostgresDatabase, ask, change
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "optout_codes.sql")


class PostgresOptOutCodes(OptOutCodes):
    """The codes of a `PostgresLedger`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def issue(self, recipients: Iterable[Msisdn]) -> Mapping[Msisdn, str]:
        phones = sorted(set(map(int, recipients)))
        codes = await self._database.write(lambda c: issue(c, phones, None))
        return {Msisdn(phone): code for phone, code in codes.items()}

    async def find(self, code: str) -> CodeHolder | None:
        if not is_code(code):
            return None
        return await self._database.read(lambda c: _find(c, code))

    async def opt_out(self, code: str, *, now: float) -> CodeHolder | None:
        return await self._change("add_opt_out", code, at=now)

    async def take_back(self, code: str) -> CodeHolder | None:
        return await self._change("take_back", code)

    async def _change(self, query: str, code: str, **values: Any) -> CodeHolder | None:
        async def work(connection: Connection) -> CodeHolder | None:
            await change(connection, SQL[query], {"code": code, "source": LINK_SOURCE, **values})
            return await _find(connection, code)

        return await self._database.write(work) if is_code(code) else None


async def add_codes(connection: Connection, campaign: int, batches: Sequence[NewBatch]) -> Sequence[NewBatch]:
    """Put the codes into the texts of a campaign that wait for them, and keep those that are new."""
    phones = find_marked(batches)
    return fill_codes(batches, await issue(connection, phones, campaign)) if phones else batches


async def issue(connection: Connection, phones: Sequence[int], campaign: int | None) -> dict[int, str]:
    """Return the codes of numbers, drawn where they have none, for the texts of `campaign` or of none."""
    codes: dict[int, str] = {}
    await ask(connection, (SQL["lock_codes"], {}))
    while left := [phone for phone in phones if phone not in codes]:
        (rows,) = await ask(connection, (SQL["select_codes"], {"phones": left}))
        codes |= {phone: code for phone, code, _owner in rows}
        drawn = {phone: draw_code() for phone in left if phone not in codes}
        others = [phone for phone, _code, owner in rows if owner not in (None, campaign)]
        values = {"phones": list(drawn), "codes": list(drawn.values()), "campaign": campaign}
        await change(connection, SQL["share_codes"], {"phones": others})
        await change(connection, SQL["insert_codes"], values)
    return codes


async def _find(connection: Connection, code: str) -> CodeHolder | None:
    (rows,) = await ask(connection, (SQL["select_holder"], {"code": code}))
    return read_holder(rows[0] if rows else None)
