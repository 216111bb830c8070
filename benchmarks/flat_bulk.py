"""One long bulk send and many short ones, turn by turn in one process; prints the time per recipient of both.

A machine's speed drifts by a quarter within the sixteen seconds that a million take, so the two are not run
one after the other: the long send waits while a short one runs, and the other way round. CPU time is the
clock: the gateway answers at once, so it is the time that sending takes, and it stands still while one of
them waits for what is in flight.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator

from attrs import define

from benchmarks.made import stream_wire_numbers
from vavasms import AsyncVavaSMS

#: Recipients of a short send, and of one turn of the long one.
FEW = 10_000
#: Seconds for what is in flight to be settled, so that its cost is on its own account.
_SETTLE = 0.02


@define
class Account:
    """What one side has cost."""

    recipients: int = 0
    seconds: float = 0.0

    @property
    def each(self) -> float:
        """Seconds of CPU per recipient."""
        return self.seconds / self.recipients


async def _send(sms: AsyncVavaSMS, count: int) -> AsyncIterator[int]:
    """Yield the recipients of each batch."""
    async with sms.stream_bulk(stream_wire_numbers(count), "Bonjour", dedupe=False) as results:
        async for result in results:
            yield len(result.recipients)
    assert results.report.accepted == count, results.report


async def _turn(sends: AsyncIterator[int], account: Account) -> bool:
    """Run a send for one turn; False once it has ended."""
    started, done = time.process_time(), 0
    async for recipients in sends:
        done += recipients
        # One step further would end a short send within its turn; the long one stops at any batch.
        if done > FEW:
            break
    await asyncio.sleep(_SETTLE)
    account.recipients += done
    account.seconds += time.process_time() - started
    return done > FEW


async def _main(url: str, count: int) -> None:
    few, many = Account(), Account()
    async with AsyncVavaSMS("bench@example.com", "bench", sender_id="BENCH", base_url=url) as sms:
        await _turn(_send(sms, FEW), Account())
        long = _send(sms, count)
        while await _turn(long, many):
            await _turn(_send(sms, FEW), few)
    print(json.dumps({"few": few.each, "many": many.each}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
