"""How fast a campaign goes, by what its page saw of it. Pure; time is passed in."""

from __future__ import annotations

from collections import deque

from attrs import define, field

#: Seconds that are looked back over, and between two of the counts that are kept.
_SPAN, _STEP = 30.0, 0.5


@define
class Pace:
    """The recent counts of what is settled of one campaign."""

    _counts: deque[tuple[float, int]] = field(factory=deque, init=False)

    def note(self, at: float, settled: int) -> None:
        """Note a count, seconds of any clock; a smaller one begins anew."""
        counts = self._counts
        if counts and settled < counts[-1][1]:
            counts.clear()
        if not counts or at - counts[-1][0] >= _STEP:
            counts.append((at, settled))
        while at - counts[0][0] > _SPAN:
            counts.popleft()

    def rate(self) -> float:
        """Return recipients a second; 0 where nothing is known yet."""
        if len(self._counts) < 2:
            return 0.0
        (begin, before), (end, after) = self._counts[0], self._counts[-1]
        return (after - before) / (end - begin)
