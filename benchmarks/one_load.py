"""Plan and load one list in a process of its own; prints rows a second and the peak memory as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.one_bulk import peak_kib
from vavasms import AsyncVavaSMS, CampaignRunner, SqliteLedger


async def _main(url: str, contacts: str) -> None:
    with TemporaryDirectory() as folder:
        async with (
            await SqliteLedger.open(Path(folder) / "ledger.db") as ledger,
            AsyncVavaSMS("bench@example.com", "bench", sender_id="BENCH", base_url=url) as sms,
            CampaignRunner(sms, ledger) as runner,
        ):
            started = time.perf_counter()
            _, plan = await runner.submit(contacts, "Bonjour")
            taken = time.perf_counter() - started
    print(json.dumps({"rate": plan.rows / taken, "peak_kib": peak_kib()}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
