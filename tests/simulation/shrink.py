"""Delta debugging: from the faults of a run that fails, the fewest that make it fail still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Return a part of the items that fails, and of which no single item can be left out (ddmin).

    All of them together fail.
    """
    kept, parts = [*items], 2
    while kept:
        size = max(len(kept) // parts, 1)
        fewer = next((rest for rest in _without_each(kept, size) if fails(rest)), None)
        if fewer is not None:
            kept, parts = fewer, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(kept))
    return kept


def _without_each(items: Sequence[T], size: int) -> Sequence[list[T]]:
    """Return the items without each run of so many of them in turn."""
    return [[*items[:start], *items[start + size :]] for start in range(0, len(items), size)]
