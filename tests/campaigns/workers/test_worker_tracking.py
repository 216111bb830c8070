"""Workers follow delivery up: one of them at a time, and another once it is gone."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest

from tests.campaigns.crew import Crew, muster, until
from tests.campaigns.staging import phones
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.states import BatchEvent
from vavasms.sandbox import Answer, Gateway, SandboxServer

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


class Recorder(Gateway):
    """A gateway that remembers which messages it was asked after."""

    def __init__(self) -> None:
        super().__init__(sent_after=0.0, delivered_after=0.0)
        self.asked: list[str] = []

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        self.asked += [fields["message_id"]] if "message_id" in fields else []
        return super().handle(path, fields)


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
async def crew(postgres: str, tmp_path: Path) -> AsyncIterator[Crew]:
    with SandboxServer(Recorder()) as sandbox:
        async with muster(postgres, sandbox, tmp_path) as crew:
            yield crew


async def send(crew: Crew, numbers: list[str], *, ago: float) -> str:
    """Keep a campaign that somebody sent so many seconds ago; return its id."""
    campaign_id = await crew.start(numbers, batch_size=2)
    gateway = crew.stage.sandbox.gateway
    for batch in await crew.stage.batches(campaign_id):
        claim = await crew.ledger.claim(
            campaign_id, batch.number, token=f"{campaign_id}{batch.number}", worker="w", now=time.time() - ago
        )
        assert claim is not None
        login = {"username": gateway.username, "password": gateway.password, "sender_id": "SANDBOX"}
        gateway.handle(
            "/v1/text/single", {**login, "phone": ",".join(claim.recipients), "message": "Bonjour"}
        )
        entry = gateway.journal.entries[-1]
        record = BatchRecord(lot_id=entry.lot_id, message_ids=entry.message_ids)
        assert await crew.ledger.settle(claim, BatchEvent.ACCEPT, record)
    assert await crew.ledger.finish(campaign_id)
    return campaign_id


@pytest.mark.slow
async def test_of_three_workers_one_asks_once_after_each_message(crew: Crew) -> None:
    campaign_id = await send(crew, phones(12), ago=60.0)

    async def is_final() -> bool:
        return await crew.ledger.tracking(campaign_id) == "final"

    async with crew.work(3):
        await until(is_final)
    gateway = crew.stage.sandbox.gateway
    assert isinstance(gateway, Recorder)
    assert sorted(gateway.asked) == sorted({*gateway.asked})
    assert len(gateway.asked) == 12
    counts = await crew.ledger.delivery_counts(campaign_id)
    assert {(prefix, status.value): count for (prefix, status), count in counts.items()} == {
        ("22507", "delivered"): 12
    }


HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1447122505 AND granted"


@pytest.mark.slow
async def test_after_a_kill_another_process_has_the_turn(crew: Crew) -> None:
    sandbox = crew.stage.sandbox
    command = [sys.executable, "-m", "tests.campaigns.tracker_process", crew.url, sandbox.url, "10"]

    async def is_held() -> bool:
        return bool(crew.ask(HOLDERS))

    async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as first:
        await until(is_held)
        before = crew.ask(HOLDERS)
        async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as second:

            async def is_another() -> bool:
                holders = crew.ask(HOLDERS)
                assert len(holders) <= 1
                return bool(holders) and holders != before

            try:
                first.kill()
                await until(is_another)
            finally:
                second.kill()
