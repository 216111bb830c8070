"""How fast messages may leave: a rate, and the gateway's own wish to wait. Pure; time is passed in."""

from __future__ import annotations

from vavasms.transport.backoff import backoff


class RateLimiter:
    """The limiter of messages a second, by GCRA: a batch may cost more than a second's worth, and waits."""

    def __init__(self, *, rate: float | None) -> None:
        #: Messages a second; None: as fast as answers come.
        self._rate = rate
        #: When the next message may leave if nothing else holds it.
        self._free_at = 0.0
        #: Before this moment the gateway wants to see nothing.
        self._not_before = 0.0

    def reserve(self, messages: int, now: float) -> float:
        """Reserve room for `messages`; return the seconds to wait before sending them."""
        if self._rate is None:
            return self.held(now)
        start = max(self._free_at, now)
        self._free_at = start + messages / self._rate
        return max(start - now, self.held(now))

    def held(self, now: float) -> float:
        """Return the seconds that the gateway still wants to see nothing."""
        return max(self._not_before - now, 0.0)

    def hold(self, seconds: float | None, attempt: int, now: float) -> None:
        """Stop everything for `seconds`, or where the gateway named none, for longer at each attempt."""
        if seconds is None:
            seconds = backoff(attempt + 1)
        self._not_before = max(self._not_before, now + seconds)
        # Whoever waited for the rate waits anew from there: no burst when the pause ends.
        self._free_at = max(self._free_at, self._not_before)
