"""One bulk send in a process of its own; prints its peak memory and its time per recipient as JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

from benchmarks.made import stream_wire_numbers
from vavasms import AsyncVavaSMS

#: So many before the clock starts, to open the connections.
WARM_UP = 10_000


async def _send(sms: AsyncVavaSMS, count: int) -> float:
    started = time.perf_counter()
    async with sms.stream_bulk(stream_wire_numbers(count), "Bonjour", dedupe=False) as results:
        async for _ in results:
            pass
    assert results.report.accepted == count, results.report
    return (time.perf_counter() - started) / count


async def _main(url: str, count: int, times: int) -> None:
    async with AsyncVavaSMS("bench@example.com", "bench", sender_id="BENCH", base_url=url) as sms:
        await _send(sms, WARM_UP)
        seconds = statistics.median([await _send(sms, count) for _ in range(times)])
    print(json.dumps({"peak_kib": _peak_kib(), "seconds": seconds}))


def _peak_kib() -> int:
    # Not getrusage: its maximum survives exec, and is that of the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
