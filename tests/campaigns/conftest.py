"""A runner over each ledger, and lists for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.campaigns.staging import Stage, connect
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.base import Ledger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.sandbox import SandboxServer


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the runner on a file under trio.

    The loop is the runner's matter and shows over the ledger in memory, the file is the ledger's and shows under
    asyncio; the contract has each ledger under each loop, and the crashes have runners on files under both.
    """
    out = [each for each in items if _is_file_under_trio(each)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [each for each in items if each not in out]


def _is_file_under_trio(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    params = {} if callspec is None else callspec.params
    is_here = item.path.is_relative_to(Path(__file__).parent)
    return is_here and (params.get("ledger"), params.get("anyio_backend")) == ("sqlite", "trio")


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
