"""What the documentation leaves open, as one gateway may decide it. Pure."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from attrs import define, field, frozen

#: Seconds over which requests are counted.
_SPAN = 1.0


@frozen(kw_only=True)
class GatewayRules:
    """The sandbox's choices where the documentation is silent; as they stand they are its own ones."""

    #: False: no path answers the delivery status.
    has_status_call: bool = True
    #: False: of a lot that is refused for a bad number (903) the good ones are sent to, and paid.
    lots_are_atomic: bool = True
    #: Recipients that one request takes; None: any number.
    max_recipients: int | None = None
    #: Those beyond are dropped without a word; False: the request is refused.
    drops_recipients: bool = False
    #: Recipients are counted before anybody looks whether they are numbers.
    counts_first: bool = True
    #: XOF of a segment that is not GSM-7; None: the same as of one that is.
    price_ucs2: Decimal | None = None
    #: False: a text of several segments costs as much as one of one.
    price_is_per_segment: bool = True
    #: The words of the delivery status with the age in seconds from which each is said; none: the sandbox's.
    statuses: tuple[tuple[str, float], ...] = ()
    #: Beyond so many requests within a second it answers 429; None: it never does.
    requests_per_second: int | None = None


@define(eq=False)
class Turnstile:
    """The requests of the last second, of which only so many are let in."""

    most: int | None
    _times: deque[float] = field(factory=deque, init=False)

    def admits(self, now: float) -> bool:
        """Return whether one more is let in now; one that is not does not count."""
        if self.most is None:
            return True
        while self._times and self._times[0] <= now - _SPAN:
            self._times.popleft()
        if len(self._times) >= self.most:
            return False
        self._times.append(now)
        return True
