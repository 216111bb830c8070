"""What stands in the file of a ledger, whatever its methods say."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vavasms.ledger.models import BatchRecord, Delivery, NewBatch, NewCampaign
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

RECIPIENTS = (Msisdn("2250700000001"), Msisdn("2250700000002"))


async def start(ledger: SqliteLedger) -> None:
    """Keep and start a campaign of two batches."""
    campaign = NewCampaign(id="c", account="ops", sender_id="ACME", message="Bonjour", created_at=10.0)
    await ledger.create(campaign)
    batches = [
        NewBatch(number=number, message="Bonjour", segments=1, recipients=(recipient,))
        for number, recipient in enumerate(RECIPIENTS)
    ]
    await ledger.load("c", batches)
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    assert await ledger.start("c")


def values_in(file: Path) -> Iterator[object]:
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                yield from row


async def test_who_loses_the_log_still_finds_that_a_campaign_ran(tmp_path: Path) -> None:
    file, alone = tmp_path / "ledger.db", tmp_path / "alone.db"
    async with await SqliteLedger.open(file) as ledger:
        await start(ledger)
        shutil.copy(file, alone)
    with closing(sqlite3.connect(alone)) as connection:
        assert connection.execute("SELECT id, state FROM campaign").fetchall() == [("c", "running")]


async def test_after_a_purge_no_table_holds_a_number_a_text_or_an_id(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    async with await SqliteLedger.open(file) as ledger:
        await start(ledger)
        made = await ledger.claim("c", 0, token="t", worker="w", now=1000.0)
        assert made is not None
        await ledger.settle(made, BatchEvent.ACCEPT, BatchRecord(lot_id="L1", message_ids=("SM-1",)))
        word = Delivery(message_id="SM-1", status=DeliveryStatus.SENT, raw_status="sent", at=10.0)
        await ledger.record_deliveries("c", [word])
        await ledger.cancel("c", "enough")
        secret = {*map(int, RECIPIENTS), "Bonjour", "SM-1"}
        assert secret <= set(values_in(file))
        await ledger.purge("c")
    kept = list(values_in(file))
    assert secret.isdisjoint(kept)
    assert not [value for value in kept if isinstance(value, str) and "SM-1" in value]


async def test_what_waits_in_a_file_that_is_recovered_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    async with await SqliteLedger.open(file) as ledger:
        await start(ledger)
    assert await SqliteLedger.recover(file) == 2
    async with await SqliteLedger.open(file) as ledger:
        assert (await ledger.campaign("c")).state is CampaignState.PAUSED
        stored = await ledger.batches("c", after=-1, limit=9)
        why = "The ledger was recovered: this may have been sent."
        assert [(batch.state, batch.record.error) for batch in stored] == [(BatchState.UNKNOWN, why)] * 2
