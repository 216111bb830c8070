"""`ledger migrate`."""

from __future__ import annotations

from pathlib import Path

import anyio

from vavasms.cli import output
from vavasms.cli.ledger_option import LedgerPath, find_ledger, open_place
from vavasms.cli.params import JsonFlag
from vavasms.i18n import gettext as _


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
    elif path is not None:
        output.say(_("The ledger {path} is of this version.", path=path))
    else:
        output.say(_("The ledger in the PostgreSQL database is of this version."))
