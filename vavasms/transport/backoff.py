"""The wait between tries, where the gateway named no delay. Pure."""

from __future__ import annotations

import random

#: Seconds: the longest first wait, and the longest of all.
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0


def backoff(attempt: int) -> float:
    """Return the seconds to wait after the `attempt`-th try, counted from 1.

    Full jitter: clients that failed together must not come back together.
    """
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))  # noqa: S311
