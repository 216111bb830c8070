"""The ledger of the opt-out page: one that is open, or its place, opened when first needed."""

from __future__ import annotations

from pathlib import Path

from anyio import Lock

from vavasms.ledger.base import Ledger, check_open
from vavasms.storage.forks import forget_at_fork
from vavasms.storage.location import read_place


class LazyLedger:
    """A ledger that is opened when it is first asked for. For one event loop."""

    def __init__(self, ledger: Ledger | str | Path) -> None:
        self._place = read_place(str(ledger)) if isinstance(ledger, str | Path) else None
        self._ledger = None if isinstance(ledger, str | Path) else ledger
        if self._ledger is not None:
            check_open(self._ledger)
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Begin afresh in a forked child: what the parent opened refuses by itself."""
        #: Made in the loop that asks, which need not be the one that the app was made in.
        self._opening: Lock | None = None
        #: In the parent; kept, since it must not be closed here.
        self._lost = self._opened if hasattr(self, "_opened") else None
        self._opened: Ledger | None = None

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
