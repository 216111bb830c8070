"""The sandbox that the demonstration sends to: it misbehaves a little, and somebody presses Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway
from vavasms.transport.telling import CallInfo

BATCH_SIZE = 100
TEXT_PATH = "/v1/text/single"
#: Below as many batches a lost one would be most of the list: nothing goes wrong then.
_BATCHES_FOR_FAULTS = 8
#: How far the campaign is when it is interrupted, in percent of the recipients.
_INTERRUPTED_AT = 40


def make_gateway(rows: int) -> Gateway:
    """Make a gateway with enough credit."""
    return Gateway(balance=max(1_000_000, 40 * rows))


def is_eventful(recipients: int, batch_size: int = BATCH_SIZE) -> bool:
    """Say whether the list is long enough for something to go wrong."""
    return -(-recipients // batch_size) >= _BATCHES_FOR_FAULTS


def plan_faults(plan: FaultPlan, recipients: int) -> None:
    """Plan what goes wrong: two requests for a slower pace, one connection lost after accepting."""
    batches = -(-recipients // BATCH_SIZE)
    steps: list[Fault | None] = [None] * (batches * 3 // 4)
    slower = Fault(kind=FaultKind.RATE_LIMIT, retry_after="1")
    steps[batches // 8] = steps[batches // 4] = slower
    steps[-1] = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
    plan.script(*steps, path=TEXT_PATH)


@define(kw_only=True)
class Watch:
    """Count the calls, and interrupt at the right moment."""

    #: Requests that carried the text, those turned away too.
    requests: int = 0
    #: How often the gateway asked for a pause (429), which was kept.
    pauses: int = 0
    _answered: int = 0
    _limit: float = float("inf")
    _stop: Callable[[], None] | None = None

    def arm(self, recipients: int, stop: Callable[[], None]) -> None:
        """Call `stop` once, when enough of the recipients were answered."""
        self._limit, self._stop = recipients * _INTERRUPTED_AT / 100, stop

    def see(self, call: CallInfo) -> None:
        """Take in one answer, or one that did not come."""
        self.requests += call.call == "send_text"
        self.pauses += call.http_status == 429
        if call.call == "send_text" and call.error is None:
            self._answered += call.recipients
        if self._stop is not None and self._answered >= self._limit:
            stop, self._stop = self._stop, None
            stop()
