"""What the runner's tests begin with: numbers, lists, clients, and an audit against the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync
from attrs import define, frozen

from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRun, CampaignRunner
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.queued_batch import QueuedBatchSender
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Campaign, Claim, StoredBatch
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

TEXT = "/v1/text/single"


def phones(number: int, first: int = 0) -> list[str]:
    """Return so many numbers that no magic is in."""
    return [f"2250757{index:06d}" for index in range(first, first + number)]


def connect(sandbox: SandboxServer, password: str | None = None, **options: Any) -> AsyncVavaSMS:
    """Make a client of the sandbox."""
    gateway = sandbox.gateway
    options = {"sender_id": "SANDBOX", "base_url": sandbox.url, **options}
    return AsyncVavaSMS(gateway.username, password or gateway.password, **options)


def stall(sandbox: SandboxServer, seconds: float = 0.1, *, accepted: bool = True) -> None:
    """Delay every send, after or before it is accepted; the balance is told at once."""
    moment = Moment.AFTER_ACCEPTING if accepted else Moment.AFTER_READING
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=moment, seconds=seconds): 1.0})
    sandbox.faults.script(*[None] * 2000, path="/v1/check/balance")


async def make_sender(
    sms: AsyncVavaSMS, ledger: Ledger, campaign_id: str, clock: Callable[[], float]
) -> QueuedBatchSender:
    """Start a campaign, and return the sender of its batches."""
    assert await ledger.start(campaign_id)
    transport = sms.account.transport
    return QueuedBatchSender(
        transport=transport,
        ledger=ledger,
        campaign=await ledger.campaign(campaign_id),
        worker="test",
        reader=BalanceReader(transport=transport),
        clock=clock,
        stopping=anyio.Event(),
        pending=PendingWrites(),
    )


async def accepted(sandbox: SandboxServer, entries: int) -> None:
    """Wait until the gateway has accepted so many requests."""
    assert await run_sync(partial(sandbox.gateway.journal.wait_for, entries))


@define
class Clock:
    """Real time, some seconds off."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class HastyLedger(MemoryLedger):
    """Time goes on by ten seconds whenever a batch is settled: nothing is put off for long."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        done = await super().settle(claim, event, record, not_before=not_before)
        self.clock.now += 10
        return done


@frozen
class Stage:
    """A runner between a ledger and the sandbox."""

    runner: CampaignRunner
    sandbox: SandboxServer
    folder: Path

    @property
    def ledger(self) -> Ledger:
        """The runner's."""
        return self.runner.ledger

    def write(self, numbers: Sequence[str], name: str = "list.csv") -> Path:
        """Write a list."""
        path = self.folder / name
        path.write_text("\n".join(["phone", *numbers, ""]), encoding="utf-8")
        return path

    async def submit(self, numbers: Sequence[str] | int, message: str = "Bonjour", **options: Any) -> str:
        """Submit a campaign; give its id. What is no option of `submit` is the policy's."""
        own = {key: options.pop(key) for key in ("sender_id", "again", "expect") if key in options}
        path = self.write(phones(numbers) if isinstance(numbers, int) else numbers)
        campaign, _ = await self.runner.submit(path, message, policy=Policy(**options), **own)
        return campaign.id

    async def run(self, numbers: Sequence[str] | int, **options: Any) -> CampaignRun:
        """Submit a campaign and run it."""
        return await self.runner.run(await self.submit(numbers, **options))

    async def batches(self, campaign_id: str) -> Sequence[StoredBatch]:
        """Return all its batches."""
        return await self.ledger.batches(campaign_id, after=-1, limit=1000)

    async def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign."""
        return await self.ledger.campaign(campaign_id)

    def received(self) -> dict[str, int]:
        """Return how often the gateway accepted something for whom."""
        return dict(self.sandbox.gateway.journal.counts())
