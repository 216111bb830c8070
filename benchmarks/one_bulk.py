"""One bulk send in a process of its own; prints its peak memory as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from benchmarks.made import stream_wire_numbers
from vavasms import AsyncVavaSMS

#: So many first, to open the connections.
WARM_UP = 10_000


async def _main(url: str, count: int) -> None:
    async with AsyncVavaSMS("bench@example.com", "bench", sender_id="BENCH", base_url=url) as sms:
        for each in (WARM_UP, count):
            async with sms.stream_bulk(stream_wire_numbers(each), "Bonjour", dedupe=False) as results:
                async for _ in results:
                    pass
            assert results.report.accepted == each, results.report
    print(json.dumps({"peak_kib": peak_kib()}))


def peak_kib() -> int:
    """Return the most memory that this process ever held."""
    # Not getrusage: its maximum survives exec, and is that of the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
