"""A runner follows delivery up beside the sending, and pauses a campaign whose messages do not arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.campaigns.staging import Stage, connect
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import CampaignState
from vavasms.models import DeliveryStatus
from vavasms.sandbox import Gateway, SandboxServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FLOOR = Decimal("0.8")


@pytest.fixture
def anyio_backend() -> str:
    """Seconds go by: once is enough."""
    return "asyncio"


@asynccontextmanager
async def stage(folder: Path, failing: float) -> AsyncIterator[Stage]:
    """Open a runner on a file, and a gateway that delivers all but a share of one prefix at once."""
    gateway = Gateway(
        balance=10**9, sent_after=0.0, delivered_after=0.0, failing={"22507": failing}, reports_lots=True
    )
    with SandboxServer(gateway) as sandbox:
        async with (
            connect(sandbox) as sms,
            await SqliteLedger.open(folder / "ledger.db") as ledger,
            CampaignRunner(sms, ledger) as runner,
        ):
            yield Stage(runner=runner, sandbox=sandbox, folder=folder)


async def test_60_percent_of_one_prefix_pause_a_campaign_with_a_floor_of_80(tmp_path: Path) -> None:
    async with stage(tmp_path, failing=0.4) as scene:
        # Three in four are of another prefix: all together are above the floor.
        mixed = [f"2250{7 if index % 4 == 0 else 5}57{index:06d}" for index in range(60_000)]
        run = await scene.run(mixed, rate=800.0, min_delivery=FLOOR)
        assert run.error is None
        assert run.status.state is CampaignState.PAUSED
        assert "messages to the prefix 22507 were delivered, fewer than the 80 percent" in run.status.reason  # type: ignore[operator]
        assert run.status.queued > 0
        assert run.status.unknown == run.status.sending == 0


async def test_85_percent_do_not(tmp_path: Path) -> None:
    async with stage(tmp_path, failing=0.15) as scene:
        run = await scene.run(9_000, rate=600.0, min_delivery=FLOOR)
        assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 9_000)
        counts = await scene.ledger.delivery_counts(run.status.id)
        delivered, failed = (
            counts["22507", each] for each in (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)
        )
        assert delivered + failed >= 1_000
        assert 0.8 < delivered / (delivered + failed) < 0.9
