"""100,000 messages are followed up through a kill: each final state once, none lost, within the rate."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from vavasms import AsyncVavaSMS
from vavasms.campaigns.tracking import FIRST_PAUSE
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sandbox import Answer, Gateway, SandboxServer

pytestmark = pytest.mark.slow

LOTS, SIZE = 1_000, 100
#: Requests a second; a process can make twice as many.
RATE = 20
TEXT = "/v1/text/single"
ROOT = Path(__file__).parents[2]


class Recorder(Gateway):
    """A gateway that reports whole lots, and remembers when it was asked after what."""

    def __init__(self) -> None:
        failing = {"22507": 0.15, "22505": 0.05}
        super().__init__(
            balance=10**9, sent_after=0.0, delivered_after=0.0, failing=failing, reports_lots=True
        )
        self.asked: list[tuple[float, str]] = []

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        if "message_id" in fields:
            self.asked.append((time.monotonic(), fields["lot_id"]))
        return super().handle(path, fields)


def number(lot: int, position: int) -> str:
    """Return a number of three prefixes in turn."""
    return f"2250{(7, 5, 1)[lot % 3]}57{lot * SIZE + position:06}"


async def load(path: Path, account: str, gateway: Gateway) -> None:
    """Keep a campaign that was sent a minute ago, straight into the file."""
    lots = [tuple(Msisdn(number(lot, each)) for each in range(SIZE)) for lot in range(LOTS)]
    async with await SqliteLedger.open(path) as ledger:
        new = NewCampaign(id="c", account=account, sender_id="ACME", message="B", created_at=time.time())
        await ledger.create(new)
        for first in range(0, LOTS, 100):
            batches = [
                NewBatch(number=each, message="B", segments=1, recipients=lots[each])
                for each in range(first, first + 100)
            ]
            await ledger.load("c", batches)
        await ledger.finish_loading("c", plan="{}", plan_hash="h")
    login = {"username": gateway.username, "password": gateway.password, "sender_id": "SANDBOX"}
    rows = []
    for lot, recipients in enumerate(lots):
        gateway.handle(TEXT, {**login, "phone": ",".join(recipients), "message": "B"})
        entry = gateway.journal.entries_after(lot)[-1]
        result = json.dumps({"lot": entry.lot_id, "ids": entry.message_ids})
        rows.append((result, time.time() - 60, lot))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "UPDATE batch SET state = 'accepted', result = ?, sending_at = ? WHERE number = ?", rows
        )
        connection.execute("UPDATE campaign SET state = 'done'")
        connection.execute("COMMIT")


@define
class Trackers:
    """Processes that track, one after the other."""

    path: Path
    sandbox: SandboxServer
    gateway: Recorder
    #: When each began, and by which request.
    began: list[tuple[float, int]] = field(factory=list)

    def run(self, until: Callable[[], bool], seconds: float = 240.0) -> None:
        """Start one, and kill it once something is so."""
        self.began.append((time.monotonic(), len(self.gateway.asked)))
        command = [sys.executable, "-m", "tests.campaigns.tracker_process"]
        with subprocess.Popen([*command, str(self.path), self.sandbox.url, str(RATE)], cwd=ROOT) as process:
            deadline = time.monotonic() + seconds
            try:
                while not until():
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            finally:
                process.kill()

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what the ledger's file holds."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def tracked(self) -> object:
        """Return why the tracking has ended."""
        return self.read("SELECT tracked FROM campaign")[0][0]


def test_each_final_state_is_kept_once_and_none_is_lost(tmp_path: Path) -> None:
    gateway, path = Recorder(), tmp_path / "ledger.db"
    with SandboxServer(gateway) as sandbox:
        client = AsyncVavaSMS(gateway.username, gateway.password, sender_id="SANDBOX", base_url=sandbox.url)
        anyio.run(load, path, client.account.name, gateway)
        trackers = Trackers(path, sandbox, gateway)
        trackers.run(lambda: len(gateway.asked) >= LOTS // 3)
        assert trackers.tracked() is None
        trackers.run(lambda: trackers.tracked() is not None)
        assert trackers.tracked() == "final"
        kept = dict(trackers.read("SELECT message_id, status FROM delivery"))
        ids = [each for entry in gateway.journal.entries_after(0) for each in entry.message_ids]
        assert len(ids) == len(kept) == LOTS * SIZE
        assert {each: gateway.status_of(each) for each in ids} == kept
        assert Counter(kept.values())["failed"] > 5_000
        # What one process had kept the next one did not ask after: only what was under way at the kill.
        lots = Counter(lot for _at, lot in gateway.asked)
        assert len(lots) == LOTS
        assert sum(lots.values()) <= LOTS + 1
        prefixes = trackers.read("SELECT prefix, count(*) FROM delivery GROUP BY prefix ORDER BY prefix")
        assert prefixes == [("22501", 33_300), ("22505", 33_300), ("22507", 33_400)]
        keep_the_rate(trackers)


def keep_the_rate(trackers: Trackers) -> None:
    """Assert that no process asked more often than it may, from its first look on."""
    asked = trackers.gateway.asked
    ends = [first for _began, first in trackers.began[1:]] + [len(asked)]
    for (began, first), end in zip(trackers.began, ends, strict=True):
        assert end - first > LOTS // 4
        for count, (at, _lot) in enumerate(asked[first:end]):
            assert at - began - FIRST_PAUSE >= count / RATE
