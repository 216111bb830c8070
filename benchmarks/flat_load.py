"""One long list and many short ones, planned and loaded turn by turn; prints the CPU time per row of both."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.flat_bulk import Account
from vavasms import SqliteLedger
from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.campaigns.planning.planner import Planner
from vavasms.campaigns.planning.template import parse_template
from vavasms.ledger.models import NewCampaign


async def _load(ledger: SqliteLedger, campaign_id: str, path: Path) -> AsyncIterator[int]:
    """Yield the rows of each transaction, 0 for the last step."""
    template = parse_template("Bonjour")
    new = NewCampaign(id=campaign_id, account="bench", sender_id="BENCH", message="Bonjour", created_at=0.0)
    await ledger.create(new)
    with read_contacts(path) as contacts:
        planner = Planner(
            judge=Judge(), template=template.bind(contacts.columns), batch_size=100, is_plain=True
        )
        rows = 0
        for batches in planner.plan(contacts):
            await ledger.load(campaign_id, batches)
            now = planner.result(None).rows
            yield now - rows
            rows = now
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    yield 0


async def _turn(loads: AsyncIterator[int], account: Account) -> bool:
    """Load on by one transaction; False once the list has ended."""
    started = time.process_time()
    rows = await anext(loads, None)
    account.seconds += time.process_time() - started
    account.recipients += rows or 0
    return rows is not None


async def _main(many_path: str, few_path: str) -> None:
    few, many = Account(), Account()
    with TemporaryDirectory() as folder:
        async with await SqliteLedger.open(Path(folder) / "ledger.db") as ledger:
            long, number = _load(ledger, "long", Path(many_path)), 0
            short = _load(ledger, "short-0", Path(few_path))
            while await _turn(long, many):
                if not await _turn(short, few):
                    number += 1
                    short = _load(ledger, f"short-{number}", Path(few_path))
            while await _turn(short, few):
                pass
    print(json.dumps({"few": few.each, "many": many.each}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
