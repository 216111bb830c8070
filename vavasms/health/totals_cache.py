"""The totals of a ledger as they were read last, read anew where somebody asks and they are too old."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import MappingProxyType

import anyio
from attrs import define, field, frozen

from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.totals import CampaignTotals, LedgerTotals

logger = logging.getLogger("vavasms")

#: Seconds for which a reading is not repeated, however many ask.
_YOUNG = 1.0
#: How many times as long as it took a reading is not repeated: at most a twentieth of the time goes to it.
_AGES = 20.0
#: Seconds that whoever asks waits for a new reading.
PATIENCE = 2.0
_NOTHING: Mapping[int, CampaignTotals] = MappingProxyType({})


@frozen(kw_only=True)
class TotalsReading:
    """The totals, and what it took to read them."""

    totals: LedgerTotals
    #: When it was begun, on the monotonic clock.
    begun_at: float
    #: Seconds.
    took: float

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self.begun_at


@define(kw_only=True, eq=False)
class TotalsCache:
    """The latest reading. `run` reads, one reading at a time; a slow one is waited for by nobody for long."""

    ledger: Ledger
    #: The account's name.
    account: str
    #: None before the first, and where the last one failed: old totals of a ledger that is away are a guess.
    latest: TotalsReading | None = field(default=None, init=False)
    #: The last reading failed.
    _fails: bool = field(default=False, init=False)
    _final: Mapping[int, CampaignTotals] = field(default=_NOTHING, init=False)
    #: When it may be read again, on the monotonic clock.
    _next_at: float = field(default=-float("inf"), init=False)
    _wanted: anyio.Event = field(factory=anyio.Event, init=False)
    _done: anyio.Event = field(factory=anyio.Event, init=False)

    async def run(self) -> None:
        """Read whenever it is asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            # Who asked while the last one was being read has it.
            if not self._is_young:
                await self._renew()
            done, self._done = self._done, anyio.Event()
            done.set()

    async def get(self) -> TotalsReading | None:
        """Return the latest reading, a new one where it is too old and comes within `PATIENCE`."""
        if not self._is_young:
            done = self._done
            self._wanted.set()
            with anyio.move_on_after(PATIENCE):
                await done.wait()
        return self.latest

    @property
    def _is_young(self) -> bool:
        """Whether it is too early for another reading."""
        return time.monotonic() < self._next_at

    async def _renew(self) -> None:
        begun_at = time.monotonic()
        try:
            self.latest = await self._read()
            wait = max(_YOUNG, _AGES * self.latest.took)
            self._fails = False
        except Exception as error:  # noqa: BLE001  raised, it would end the worker's work
            if not self._fails:
                # The first of a row: it is tried again and again.
                logger.warning(N_("The totals of the ledger cannot be read (%s)."), type(error).__name__)
            self.latest, self._fails = None, True
            # Whatever it takes too long for is not asked for all the time.
            wait = time.monotonic() - begun_at
        self._next_at = time.monotonic() + wait

    async def _read(self) -> TotalsReading:
        begun_at = time.monotonic()
        totals = await self.ledger.totals.read(self.account, now=time.time(), known=self._final)
        self._final = totals.final
        return TotalsReading(totals=totals, begun_at=begun_at, took=time.monotonic() - begun_at)
