"""Ctrl-C, SIGTERM and a closed terminal for what runs until it is stopped."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds. `timeout` and supervisors signal a process and then its group: that is one wish, not two.
ONE_WISH = 0.3


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a program to end: Ctrl-C, SIGTERM, and a terminal that was closed.

    Where `nohup` had SIGHUP ignored it stays so; Windows has none.
    """
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    is_heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and is_heard else []))


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Turn what asks for an end into `stop`; another one does not wait, for whoever reads may not read on."""
    last = -math.inf

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if stop.is_set() and last - before > ONE_WISH:
            raise KeyboardInterrupt
        stop.set()

    signals = ending_signals()
    before = [signal.signal(one, handle) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)
