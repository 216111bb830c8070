"""How many messages left when, in few equal spans of a round length. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from attrs import Factory, define, frozen

#: Spans that a chart can show, and a table beside it.
MOST_SPANS = 24
_HOUR, _DAY = 3_600, 86_400
#: Seconds. Where so fine a count becomes too long it is added up to the next: each divides the next.
_FINENESS = (1, 10, 60, 600, _HOUR, 6 * _HOUR, _DAY)
#: Moments that are counted apart, at most.
_MOST_MOMENTS = 4_000
#: Seconds of a span that a person calls round.
_WIDTHS = (
    *(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 4 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY),
)
_LONGEST = 28 * _DAY
#: The first Monday by the clock: a week begins on one.
_MONDAY = 4 * _DAY


@frozen
class Span:
    """The messages that left from a moment on, until the next span begins."""

    begins: datetime
    messages: int


@define
class Timeline:
    """Moments, counted by what a clock in a zone showed; memory does not grow with their number."""

    zone: ZoneInfo
    #: Seconds from one moment that is counted apart to the next.
    fineness: int = _FINENESS[0]
    _counts: Counter[int] = Factory(Counter)

    def add(self, at: float, messages: int) -> None:
        """Count messages that left at a moment, seconds since the epoch."""
        offset = datetime.fromtimestamp(at, self.zone).utcoffset()
        assert offset is not None
        shown = math.floor(at + offset.total_seconds()) - _MONDAY
        self._counts[shown // self.fineness * self.fineness] += messages
        while len(self._counts) > _MOST_MOMENTS and self.fineness < _FINENESS[-1]:
            self._coarsen()

    def _coarsen(self) -> None:
        self.fineness = _FINENESS[_FINENESS.index(self.fineness) + 1]
        finer, self._counts = self._counts, Counter()
        for moment, messages in finer.items():
            self._counts[moment // self.fineness * self.fineness] += messages

    @property
    def width(self) -> int:
        """The seconds of a span; 0 where nothing was counted."""
        if not self._counts:
            return 0
        first, last = min(self._counts), max(self._counts)
        for width in _WIDTHS:
            if width % self.fineness == 0 and last // width - first // width < MOST_SPANS:
                return width
        return _LONGEST * math.ceil((last - first + _LONGEST) / _LONGEST / (MOST_SPANS - 1))

    @property
    def spans(self) -> Sequence[Span]:
        """The spans from the first to the last message, empty ones between them too."""
        width, totals = self.width, Counter[int]()
        for moment, messages in self._counts.items():
            totals[moment // width] += messages
        indices = range(min(totals), max(totals) + 1) if totals else ()
        return [Span(self._moment(index * width), totals[index]) for index in indices]

    def _moment(self, shown: int) -> datetime:
        return datetime.fromtimestamp(shown + _MONDAY, UTC).replace(tzinfo=self.zone)
