"""A ledger for the length of a process: `SqliteLedger` on a database in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from vavasms.errors import LedgerBusyError
from vavasms.i18n import gettext as _
from vavasms.ledger.sqlite.ledger import APPLICATION_ID, MIGRATIONS, SqliteLedger, reap_orphans
from vavasms.storage.sqlite.database import Database


class MemoryLedger(SqliteLedger):
    """Campaigns, batches and opt-outs in memory: everything goes with the object, and `aclose` keeps it."""

    def __init__(self) -> None:
        super().__init__(Database.in_memory(MIGRATIONS, application_id=APPLICATION_ID))
        self._is_taken = False

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        del now
        if self._is_taken:
            raise LedgerBusyError(_("Another runner works on this ledger."))
        self._is_taken = True
        try:
            yield await self._database.write(reap_orphans)
        finally:
            self._is_taken = False

    async def aclose(self) -> None:
        """Do nothing: the object may be used on."""
