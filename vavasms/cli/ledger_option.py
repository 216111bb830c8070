"""Which ledger: the option, then `VAVASMS_LEDGER`, then a file in the user's data folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from platformdirs import user_data_path

from vavasms.campaigns.ledger.base import Ledger
from vavasms.campaigns.ledger.sqlite.ledger import SqliteLedger
from vavasms.cli import settings
from vavasms.cli.secrets import check_given
from vavasms.cli.shell import quote
from vavasms.errors import InvalidInputError
from vavasms.storage.location import Place, read_place
from vavasms.tracebacks import hide_frames

LedgerPath = Annotated[
    str | None,
    Parameter(
        name="--ledger",
        metavar="PATH|URL",
        show_default=False,
        help="The file or postgresql:// database of the campaigns [VAVASMS_LEDGER]. "
        "A file has others beside it: mount, move and back up its folder.",
    ),
]


@hide_frames
def find_ledger(given: str | None) -> Place:
    """Settle the place of the ledger.

    Raises `ConfigurationError` for an option that holds a password: any user of the machine could read it.
    """
    named = check_given(given) if given else settings.find_ledger_setting(os.environ)
    return read_place(named) if named else user_data_path("vavasms", appauthor=False) / "ledger.db"


@asynccontextmanager
async def open_place(place: Place, *, upgrade: bool = False, create: bool = True) -> AsyncIterator[Ledger]:
    """Open the ledger; make it where there is none, unless `create` is False."""
    async with await _open(place, upgrade=upgrade, create=create) as ledger:
        yield ledger


@asynccontextmanager
async def open_ledger(given: str | None) -> AsyncIterator[Ledger]:
    """Open the ledger that the option or the settings name, or make it."""
    async with open_place(find_ledger(given)) as ledger:
        yield ledger


async def _open(place: Place, *, upgrade: bool, create: bool) -> AbstractAsyncContextManager[Ledger]:
    if isinstance(place, Path):
        if not (create or place.exists()):
            raise InvalidInputError(f"There is no ledger at {place} yet.", outcome=None)
        return await SqliteLedger.open(place, upgrade=upgrade)
    # It needs an extra, and says so.
    from vavasms.campaigns.ledger.postgres.ledger import PostgresLedger

    return await PostgresLedger.open(place.reveal(), upgrade=upgrade, create=create)


@asynccontextmanager
async def open_existing(given: str | None) -> AsyncIterator[Ledger]:
    """Open the ledger; raise an `InvalidInputError` where there is none yet, and make none."""
    async with open_place(find_ledger(given), create=False) as ledger:
        yield ledger


def repeat_option(given: str | None) -> str:
    """Write the ledger's option again, for a command to be copied; nothing where it was not given."""
    return "" if given is None else f" --ledger {quote(given)}"
