"""Some of a list, drawn by a seed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from heapq import nsmallest

_BYTES = 8


def draw_sample(numbers: Iterable[int], count: int, seed: int) -> frozenset[int]:
    """Return `count` of the numbers, or all where there are fewer.

    Which ones depends on the seed and on the numbers alone: the same list in another order has the same
    sample, and whoever is added to it takes the place of one at most.
    """
    keyed = blake2b(digest_size=_BYTES, key=str(seed).encode())

    def rank(number: int) -> bytes:
        ranked = keyed.copy()
        ranked.update(number.to_bytes(_BYTES))
        return ranked.digest()

    return frozenset(nsmallest(count, numbers, key=rank))
