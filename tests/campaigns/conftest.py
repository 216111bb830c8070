"""A runner over each ledger, and lists for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.campaigns.staging import Stage, connect
from vavasms.campaigns.ledger.base import Ledger
from vavasms.campaigns.ledger.sqlite.ledger import SqliteLedger
from vavasms.campaigns.ledger.sqlite.memory import MemoryLedger
from vavasms.campaigns.runner import CampaignRunner
from vavasms.sandbox import SandboxServer


@pytest.fixture(params=["memory", "sqlite"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Ledger]:
    """Yield an empty ledger of each kind."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
async def stage(ledger: Ledger, sandbox: SandboxServer, tmp_path: Path) -> AsyncIterator[Stage]:
    """Yield a runner between a ledger and the sandbox."""
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        yield Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
