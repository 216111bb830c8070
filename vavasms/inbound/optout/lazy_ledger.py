"""The ledger of the opt-out page: one that is open, or its place, opened when first needed."""

from __future__ import annotations

from pathlib import Path

from anyio import Lock

from vavasms.forks import forget_at_fork
from vavasms.ledger.base import Ledger, check_open
from vavasms.storage.location import read_place


class LazyLedger:
    """A ledger that is opened when it is first asked for. For one event loop."""

    def __init__(self, ledger: Ledger | str | Path) -> None:
        self._place = read_place(str(ledger)) if isinstance(ledger, str | Path) else None
        self._ledger = None if isinstance(ledger, str | Path) else ledger
        if self._ledger is not None:
            check_open(self._ledger)
        self._opened: Ledger | None = None
        #: Made in the loop that asks, which need not be the one that the app was made in.
        self._opening: Lock | None = None
        #: The parent's: they must be neither used nor closed here.
        self._lost: list[Ledger] = []
        forget_at_fork(self, LazyLedger._forget)

    def _forget(self) -> None:
        """Begin afresh in a forked child; a ledger that was opened elsewhere refuses by itself."""
        if self._opened is not None:
            self._lost.append(self._opened)
        self._opening, self._opened = None, None

    async def get(self) -> Ledger:
        """Return the ledger. Raises what opening it raises; the next call tries again."""
        if self._ledger is not None:
            return self._ledger
        self._opening = self._opening or Lock()
        async with self._opening:
            if self._opened is None:
                # It is httpx that costs.
                from vavasms.sends.client import open_ledger

                assert self._place is not None
                self._opened = await open_ledger(self._place)
            return self._opened

    async def aclose(self) -> None:
        """Close the ledger, if it was opened here; asked for again it is opened again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()
