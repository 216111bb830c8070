"""One worker in a process of its own, until its standard input is closed."""

from __future__ import annotations

import asyncio
import os
import sys

from benchmarks.clients import SECRET, SENDER, USERNAME
from vavasms import AsyncVavaSMS, CampaignWorker, PostgresLedger


async def _main(url: str, concurrency: int) -> None:
    client = AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=url, max_connections=concurrency + 1)
    async with client as sms, await PostgresLedger.open(os.environ["VAVASMS_LEDGER"]) as ledger:
        worker = CampaignWorker(sms, ledger, concurrency=concurrency)
        working = asyncio.create_task(worker.run())
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        worker.stop()
        await working


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
