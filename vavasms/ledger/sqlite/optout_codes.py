"""The codes of opt-out links in SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
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
from vavasms.storage.queries import load_queries
from vavasms.storage.sqlite.database import Database

SQL: Mapping[str, str] = load_queries("vavasms.ledger.sqlite", "optout_codes.sql")


class SqliteOptOutCodes(OptOutCodes):
    """The codes of a `SqliteLedger`."""

    def __init__(self, database: Database) -> None:
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
        def work(connection: Connection) -> CodeHolder | None:
            connection.execute(SQL[query], {"code": code, "source": LINK_SOURCE, **values})
            return _find(connection, code)

        return await self._database.write(work) if is_code(code) else None


def add_codes(connection: Connection, campaign: int, batches: Sequence[NewBatch]) -> Sequence[NewBatch]:
    """Put the codes into the texts of a campaign that wait for them, and keep those that are new."""
    phones = find_marked(batches)
    return fill_codes(batches, issue(connection, phones, campaign)) if phones else batches


def issue(connection: Connection, phones: Sequence[int], campaign: int | None) -> dict[int, str]:
    """Return the codes of numbers, drawn where they have none, for the texts of `campaign` or of none."""
    codes: dict[int, str] = {}
    while left := [phone for phone in phones if phone not in codes]:
        rows = connection.execute(SQL["select_codes"], {"phones": json.dumps(left)}).fetchall()
        others = [phone for phone, _code, owner in rows if owner not in (None, campaign)]
        connection.execute(SQL["share_codes"], {"phones": json.dumps(others)})
        codes |= {phone: code for phone, code, _owner in rows}
        drawn = [(phone, draw_code()) for phone in left if phone not in codes]
        connection.execute(SQL["insert_codes"], {"rows": json.dumps(drawn), "campaign": campaign})
    return codes


def _find(connection: Connection, code: str) -> CodeHolder | None:
    return read_holder(connection.execute(SQL["select_holder"], {"code": code}).fetchone())
