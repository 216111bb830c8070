"""Find the characters of a text that make it cost more."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby

from vavasms.text.segments import Encoding, count_segments

__all__ = ["split_by_cost"]


def split_by_cost(text: str) -> list[tuple[str, str]]:
    """Split a text into runs of (text, cost): `ucs2` forces Unicode, `double` takes two places, or empty."""
    found = count_segments(text)
    if found.encoding is Encoding.GSM7:
        runs = groupby(text, key=_double) if found.units > len(text) else [("", text)]
        return [("".join(run), cost) for cost, run in runs]
    forcing = {character for _, character in found.offending}
    return [("".join(run), cost) for cost, run in groupby(text, lambda one: "ucs2" if one in forcing else "")]


@lru_cache(maxsize=256)
def _double(character: str) -> str:
    return "double" if count_segments(character).units == 2 else ""
