"""Load: workers that call one thing over and over, and what a call cost them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from attrs import frozen

#: Longest that one half of a pair may take, in seconds.
DEADLINE = 300.0

One = Callable[[], Awaitable[object]]
#: Opens a client on so many connections and gives the call to repeat.
Client = Callable[[str, int], AbstractAsyncContextManager[One]]


@frozen(kw_only=True)
class Cost:
    """What calls cost, warm: calls a second, and CPU seconds of this process for each."""

    rate: float
    cpu: float


def measure_client(client: Client, url: str, *, connections: int, calls: int) -> Cost:
    """Open a client, warm its connections, and let as many workers call it `calls` times in all."""
    return asyncio.run(_measure_client(client, url, connections, calls))


async def _measure_client(client: Client, url: str, connections: int, calls: int) -> Cost:
    async with asyncio.timeout(DEADLINE), client(url, connections) as one:
        await drive(one, connections, 2 * connections)
        started, cpu = time.perf_counter(), time.process_time()
        await drive(one, connections, calls)
        taken, used = time.perf_counter() - started, time.process_time() - cpu
    return Cost(rate=calls / taken, cpu=used / calls)


async def drive(one: One, workers: int, calls: int) -> None:
    """Share `calls` among workers that each wait for one call before the next."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
