"""Ctrl-C while something is being sent: say that it takes a moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NOTICE = b"Interrupted: waiting for what is under way. Ctrl-C again does not wait.\n"


@contextmanager
def announced() -> Iterator[None]:
    """Answer the first Ctrl-C with a line before it does its work; the second works as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def announce(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Past all buffers and locks, which this thread may be holding.
        os.write(2, _NOTICE)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, announce)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
