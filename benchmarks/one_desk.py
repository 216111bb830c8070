"""The desk over a ledger with a campaign of a million recipients: prints how long each view takes, as JSON.

`python -m benchmarks.one_desk FOLDER [RECIPIENTS] [--personal]`; milliseconds, the median and the
longest of twenty loads of each view over a real socket. `--personal`: each recipient has a batch of its own.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import httpx
from anyio.to_thread import run_sync

from benchmarks.one_report import NAME, make_ledger
from vavasms import AsyncVavaSMS, SqliteLedger
from vavasms.desk.desk import Desk
from vavasms.desk.page import Pages
from vavasms.desk.server import DeskServer
from vavasms.sandbox import SandboxServer

_LOADS = 20
#: Batches that are unknown.
_UNKNOWN = 40
_VIEWS = (
    "/",
    f"/campaigns/{NAME}",
    f"/campaigns/{NAME}/live",
    f"/campaigns/{NAME}/report",
    "/optouts",
    "/sends",
)


async def _measure(path: Path) -> dict[str, dict[str, float]]:
    with SandboxServer() as sandbox:
        gateway = sandbox.gateway
        async with (
            await SqliteLedger.open(path) as ledger,
            AsyncVavaSMS(
                gateway.username, gateway.password, sender_id="SANDBOX", base_url=sandbox.url, ledger=ledger
            ) as sms,
        ):
            server = DeskServer(pages=Pages(desk=Desk(client=sms, ledger=ledger), ledger_name=""), port=0)
            async with server.opened(), anyio.create_task_group() as tasks:
                tasks.start_soon(server.run)
                figures = await run_sync(partial(_load_all, server.link))
                server.stop()
    return figures


def _load_all(link: str) -> dict[str, dict[str, float]]:
    with httpx.Client(trust_env=False, timeout=600) as browser:
        browser.get(link)
        base = httpx.URL(link)
        report = base.join(_VIEWS[3])
        first = _load(browser, report)
        while "refresh" in browser.get(report).text:
            time.sleep(0.1)
        times = {
            view: sorted(_load(browser, base.join(view)) for _load_number in range(_LOADS)) for view in _VIEWS
        }
    figures = {view: {"median": statistics.median(each), "longest": each[-1]} for view, each in times.items()}
    return figures | {"the report, while it is counted": {"median": first, "longest": first}}


def _load(browser: httpx.Client, url: httpx.URL) -> float:
    begin = time.perf_counter()
    browser.get(url).raise_for_status()
    return round(1000 * (time.perf_counter() - begin), 1)


def _make(path: Path, count: int, *, is_personal: bool) -> None:
    anyio.run(make_ledger, path, count, 1 if is_personal else 100)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE campaign SET state = 'paused', reason = 'interrupted'")
        database.execute("UPDATE batch SET state = 'unknown', result = '{}' WHERE number < ?", (_UNKNOWN,))


def main(words: Sequence[str]) -> None:
    """Make the ledger where there is none, and measure."""
    numbers = [word for word in words[1:] if word.isdecimal()]
    is_personal = "--personal" in words
    path = Path(words[0]) / ("personal.db" if is_personal else "desk.db")
    if not path.exists():
        _make(path, int(numbers[0]) if numbers else 1_000_000, is_personal=is_personal)
    print(json.dumps(anyio.run(_measure, path), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
