"""Outcomes that a ledger did not take: written once it does, at the end of the process at the latest."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

#: Writes an outcome that the ledger did not take; the claim's token keeps it from a newer attempt.
Owed = Callable[[], Awaitable[object]]

#: Seconds for which whoever ends tries to write what is owed; the last try may take longer.
LAST_WORDS = 10.0

logger = logging.getLogger("vavasms")


async def write_owed(owed: list[Owed]) -> None:
    """Write what is owed, and forget what was written. Raises where the ledger still does not take it."""
    problems: list[Exception] = []

    async def work(write: Owed) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await write()
        except Exception as error:  # noqa: BLE001  raised below: the others need not wait for it
            problems.append(error)
        else:
            # Another who writes may have been quicker.
            with suppress(ValueError):
                owed.remove(write)

    # At once: each may wait for a server that is away, and none of that can be cancelled.
    async with anyio.create_task_group() as tasks:
        for write in [*owed]:
            tasks.start_soon(work, write)
    if problems:
        raise problems[0]


async def write_last(owed: list[Owed], seconds: float = LAST_WORDS) -> bool:
    """Try for some seconds to write what is owed; False where the ledger did not take it till the end.

    Raises nothing of the ledger's: whoever ends has told of that already.
    """
    with anyio.move_on_after(seconds):
        while owed:
            with suppress(Exception):
                await write_owed(owed)
            if owed:
                await anyio.sleep(seconds / 20)
    if owed:
        logger.warning("The ledger did not take %d outcome(s): they are unknown from now on.", len(owed))
    return not owed
