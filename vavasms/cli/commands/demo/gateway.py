"""The sandbox that the demonstration sends to: it misbehaves a little."""

from __future__ import annotations

import math

from vavasms.client import AsyncVavaSMS
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, Moment, SandboxServer
from vavasms.transport.hooks import Hook

_TEXT_PATH = "/v1/text/single"
#: Below as many requests a lost one would be most of the list: nothing goes wrong then.
MIN_FAULTY_REQUESTS = 8


def make_gateway(rows: int) -> Gateway:
    """Return a gateway with enough credit."""
    return Gateway(balance=max(1_000_000, 40 * rows))


def open_client(server: SandboxServer, on_response: Hook | None = None) -> AsyncVavaSMS:
    """Return a client of the sandbox's account."""
    return AsyncVavaSMS(
        server.gateway.username,
        server.gateway.password,
        sender_id="SANDBOX",
        base_url=server.url,
        trust_env=False,
        # The sandbox refuses a lot for one number as a whole, so it may be halved to find the number.
        lots_are_atomic=True,
        on_response=on_response,
    )


def plan_faults(plan: FaultPlan, requests: int) -> None:
    """Plan two requests for a slower pace, and one connection lost after accepting."""
    steps: list[Fault | None] = [None] * (requests * 3 // 4)
    slower = Fault(kind=FaultKind.RATE_LIMIT, retry_after="1")
    steps[requests // 8] = steps[requests // 4] = slower
    steps[-1] = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
    plan.script(*steps, path=_TEXT_PATH)


def _stall(seconds: float) -> Fault:
    return Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=seconds)


class SlowFaults(FaultPlan):
    """Delay the answer to every text, and from request `hold_at` on for long.

    What waits has been accepted: a worker that dies of it leaves an SMS that was sent, and no word of it.
    """

    _usual, _late = _stall(0.2), _stall(2.0)

    def __init__(self) -> None:
        super().__init__()
        #: How many requests carried the text.
        self.requests = 0
        self.hold_at = math.inf

    @property
    def holds(self) -> bool:
        """Whether answers are delayed for long now."""
        return self.requests >= self.hold_at

    def take(self, path: str) -> Fault | None:
        """Return the delay of a request."""
        if path != _TEXT_PATH:
            return super().take(path)
        self.requests += 1
        return self._late if self.holds else self._usual
