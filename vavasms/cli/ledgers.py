"""Which ledger: the option, then `VAVASMS_LEDGER`, then a file in the user's data folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter
from platformdirs import user_data_path

from vavasms.campaigns.ledger.sqlite import SqliteLedger
from vavasms.cli import account, show
from vavasms.cli.options import JsonFlag

LedgerPath = Annotated[
    str | None,
    Parameter(
        name="--ledger",
        metavar="PATH",
        show_default=False,
        help="The file that campaigns are kept in [VAVASMS_LEDGER].",
    ),
]


def find_ledger(given: str | None) -> Path:
    """Settle the place of the ledger."""
    named = given or account.find_ledger_setting(os.environ)
    return Path(named) if named else user_data_path("vavasms", appauthor=False) / "ledger.db"


@asynccontextmanager
async def open_ledger(given: str | None) -> AsyncIterator[SqliteLedger]:
    """Open the ledger, or make it where there is none."""
    async with await SqliteLedger.open(find_ledger(given)) as ledger:
        yield ledger


def migrate(*, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Create the ledger, or upgrade it to this version."""
    path = find_ledger(ledger)
    anyio.run(_migrate, path)
    if as_json:
        show.print_json({"ledger": str(path)})
    else:
        show.say(f"The ledger {path} is of this version.")


async def _migrate(path: Path) -> None:
    await (await SqliteLedger.open(path, upgrade=True)).aclose()
