"""How long an attempt may take, and each of its steps."""

from __future__ import annotations

from vavasms.config import Timeouts
from vavasms.wire.requests import CallKind


def deadlines_of(timeouts: Timeouts, kind: CallKind) -> tuple[dict[str, float], float]:
    """Give httpx's timeouts, each for one read or write, and the deadline of the whole attempt; seconds."""
    reply = timeouts.send if kind is CallKind.SEND else timeouts.read
    steps = {"connect": timeouts.connect, "write": timeouts.write, "pool": timeouts.pool, "read": reply}
    return steps, timeouts.connect + timeouts.write + reply
