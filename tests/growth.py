"""Whether work grows with its size as it should: a ratio within one run, never a time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: How much larger the large one is, and the ratio of their times that is no longer linear: quadratic is 16.
FACTOR, LIMIT = 4, 12
#: Noise makes one measurement slow, never all of them; what is quadratic is so in each.
ROUNDS = 12


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Assert that `work(size)` takes no more than a linear share of the time of `work(size // 4)`.

    The two are measured by turns, by the processor time of this thread, and the fastest of each count, so that
    whatever runs beside does not.
    """
    smallest = largest = float("inf")
    for _ in range(ROUNDS):
        smallest = min(smallest, _seconds(work, size // FACTOR))
        largest = min(largest, _seconds(work, size))
        if largest < LIMIT * smallest:
            return
    raise AssertionError(f"{FACTOR} times the size takes {largest / smallest:.1f} times the time")


def _seconds(work: Callable[[int], object], size: int) -> float:
    was_enabled = gc.isenabled()
    # What it walks through is all that other tests left, and only a large one makes it begin.
    gc.disable()
    try:
        started = time.thread_time()
        work(size)
        return time.thread_time() - started
    finally:
        if was_enabled:
            gc.enable()
