"""`ledger migrate`."""

from __future__ import annotations

from pathlib import Path

import anyio

from vavasms.cli import output
from vavasms.cli.ledger_option import LedgerPath, find_ledger, open_place
from vavasms.cli.params import JsonFlag


def migrate(*, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Create the ledger, or upgrade it to this version."""
    place = find_ledger(ledger)

    async def upgrade() -> None:
        async with open_place(place, upgrade=True):
            pass

    anyio.run(upgrade)
    path = str(place) if isinstance(place, Path) else None
    if as_json:
        output.print_json({"ledger": path or "postgresql"})
    else:
        output.say(f"The ledger {path or 'in the PostgreSQL database'} is of this version.")
