"""What a gateway repeats of a campaign's numbers and texts does not come into the ledger's record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.campaigns.staging import TEXT as PATH
from tests.campaigns.staging import Stage, connect
from tests.echoes import NUMBER, TEXT, WAYS, left_of
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.sandbox import Fault, FaultKind, SandboxServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_spelling_of_a_secret_comes_into_the_ledgers_record(
    way: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    for part in (NUMBER, TEXT):
        echo = " ".join(WAYS[way](part).split())
        body = json.dumps({"code": 950, "message": "NO", "description": f"Refus : {echo[:180]}"})
        sandbox.faults.script(Fault(kind=FaultKind.RAW, body=body.encode()), path=PATH)
        async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
            stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
            run = await stage.run([NUMBER], message=TEXT)
            (batch,) = await stage.batches(run.status.id)
        error = batch.record.error
        assert error is not None
        assert error.startswith("GatewayError: The gateway refused (NO, 950): ")
        assert left_of(echo[:180], f"{error} {run.status.reason} {run.error!r}") == []
