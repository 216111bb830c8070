"""Which ledger: the option, then `VAVASMS_LEDGER`, then a file in the user's data folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import anyio
from cyclopts import Parameter
from platformdirs import user_data_path

from vavasms.cli import settings
from vavasms.cli.secrets import check_option
from vavasms.cli.shell import quote
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.storage.location import Place, is_there, read_place
from vavasms.tracebacks import hide_frames

T = TypeVar("T")

LedgerPath = Annotated[
    str | None,
    Parameter(
        name="--ledger",
        metavar="PATH|URL",
        show_default=False,
        help=_(
            "The file or postgresql:// database of campaigns and sends [VAVASMS_LEDGER]. "
            "A file has others beside it: mount, move and back up its folder."
        ),
    ),
]


@hide_frames
def find_ledger(option: str | None) -> Place:
    """Return the place of the ledger.

    Raises `ConfigurationError` for an option that holds a password: any user of the machine could read it.
    """
    if option:
        return read_place(check_option(option), "--ledger")
    setting = settings.find_setting("VAVASMS_LEDGER", os.environ)
    if setting:
        return read_place(setting, "VAVASMS_LEDGER")
    return user_data_path("vavasms", appauthor=False) / "ledger.db"


@asynccontextmanager
async def open_place(place: Place, *, upgrade: bool = False, create: bool = True) -> AsyncIterator[Ledger]:
    """Open the ledger; make it where there is none, unless `create` is False."""
    if isinstance(place, Path):
        if not (create or is_there(place)):
            raise InvalidInputError(
                _("There is no ledger at {place} yet.", place=str(place)),
                error_code="ledger.missing",
                outcome=None,
            )
        opened: AbstractAsyncContextManager[Ledger] = await SqliteLedger.open(place, upgrade=upgrade)
    else:
        # It needs an extra, and says so.
        from vavasms.ledger.postgres.ledger import PostgresLedger

        opened = await PostgresLedger.open(place.reveal(), upgrade=upgrade, create=create)
    async with opened as ledger:
        yield ledger


def open_ledger(option: str | None) -> AbstractAsyncContextManager[Ledger]:
    """Open the ledger that the option or the settings name, or make it."""
    return open_place(find_ledger(option))


def open_existing(option: str | None) -> AbstractAsyncContextManager[Ledger]:
    """Open the ledger; raise an `InvalidInputError` where there is none yet, and make none."""
    return open_place(find_ledger(option), create=False)


def run_on_ledger(option: str | None, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Run `work` on the ledger that there is, and return its result."""

    async def run() -> T:
        async with open_existing(option) as ledger:
            return await work(ledger)

    return anyio.run(run)


def repeat_option(option: str | None) -> str:
    """Return the ledger's option again, for a command to be copied; nothing where it was not there."""
    return "" if option is None else f" --ledger {quote(option)}"
