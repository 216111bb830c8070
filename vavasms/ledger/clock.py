"""The time that all have who share a ledger: its own, since the clocks of hosts differ and are set."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from attrs import define, field

#: Seconds in which a ledger answers as a rule.
_PROMPT = 1.0


@define
class SharedClock:
    """A machine's clock, put right by what the ledger says."""

    own: Callable[[], float] = time.time
    #: By how much the ledger's is ahead of it; None where nobody asked yet.
    _ahead: float | None = field(default=None, init=False)

    def __call__(self) -> float:
        """Return the time, seconds since the epoch."""
        return self.own() + (self._ahead or 0.0)

    async def ask(self, now: Callable[[], Awaitable[float]]) -> None:
        """Take over the ledger's time, which `now` asks for. Raises what that raises."""
        asked, began = self.own(), time.monotonic()
        theirs = await now()
        answered, took = self.own(), time.monotonic() - began
        # A slow answer tells little of the time, and of a clock that was set meanwhile nobody can tell when.
        is_plain = took < _PROMPT and abs(answered - asked - took) < _PROMPT
        if is_plain or self._ahead is None:
            self._ahead = theirs - (asked + answered) / 2
