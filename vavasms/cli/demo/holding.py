"""The sandbox for the workers: it takes its time, and once it keeps everybody waiting."""

from __future__ import annotations

from vavasms.cli.demo.stage import TEXT_PATH
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Moment

#: Seconds before it answers a request that it has accepted: mostly, and while it keeps them waiting.
_USUAL, _LATE = 0.2, 2.0


class HoldingFaults(FaultPlan):
    """Answer in a fifth of a second; from a certain request on keep all waiting, until `release`.

    What waits has been accepted: a worker that dies of it leaves an SMS that was sent, and no word of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._usual, self._late = _stall(_USUAL), _stall(_LATE)
        self._hold_at: int | None = None
        #: How many requests carried the text.
        self.requests = 0

    @property
    def holds(self) -> bool:
        """Whether requests are kept waiting now."""
        return self._hold_at is not None and self.requests >= self._hold_at

    def hold_at(self, request: int) -> None:
        """Keep waiting whatever comes from that request on."""
        self._hold_at = request

    def release(self) -> None:
        """Answer what comes from now on as ever."""
        self._hold_at = None

    def take(self, path: str) -> Fault | None:
        """Decide about a request."""
        if path != TEXT_PATH:
            return super().take(path)
        self.requests += 1
        return self._late if self.holds else self._usual


def _stall(seconds: float) -> Fault:
    return Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=seconds)
