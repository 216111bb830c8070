"""What the programs of a simulation are given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import anyio
from attrs import define

from tests.simulation.clock import Timeline
from tests.simulation.host import Caller, caller
from tests.simulation.intents import Book
from tests.simulation.scenario import Scenario
from tests.simulation.server import PASSWORD
from vavasms import AsyncVavaSMS
from vavasms.ledger.models import Claim
from vavasms.ledger.sqlite.ledger import SqliteLedger

#: Where the simulated gateway answers.
URL = "http://127.0.0.1/api"


@define(eq=False, kw_only=True)
class Site:
    """One machine with a ledger, and the gateway that it sends by."""

    scenario: Scenario
    folder: Path
    book: Book
    timeline: Timeline
    #: Draws what callers and persons do.
    draw: Random

    @property
    def ledger(self) -> Path:
        """Return where the ledger is."""
        return self.folder / "ledger.db"

    def client(self, **options: Any) -> AsyncVavaSMS:
        """Make a client."""
        usual = {"timeouts": self.scenario.timeouts, "lots_are_atomic": self.scenario.lots_are_atomic}
        return AsyncVavaSMS(
            self.book.gateway.username,
            PASSWORD,
            sender_id="SANDBOX",
            base_url=URL,
            trust_env=False,
            **{**usual, **options},
        )

    async def open_ledger(self) -> SqliteLedger:
        """Open the ledger, and have its claims watched."""
        ledger = await WatchedLedger.open(self.ledger)
        ledger.site = self
        return ledger

    async def pause(self, longest: float = 2.0) -> None:
        """Wait for a while, as whoever tries again does."""
        await anyio.sleep(self.draw.choice((0.01, 0.1, 1.0)) * longest * self.draw.random())


class WatchedLedger(SqliteLedger):
    """The ledger as it is; nobody may be sent to who had opted out before."""

    site: Site

    async def claim(
        self,
        campaign_id: str,
        number: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
        revision: int | None = None,
    ) -> Claim | None:
        """Claim, and hold the recipients against the opt-outs that were committed before."""
        book = self.site.book
        out = {*book.opt_outs}
        claim = await super().claim(
            campaign_id, number, token=token, worker=worker, now=now, balance=balance, revision=revision
        )
        for recipient in () if claim is None else claim.recipients:
            if str(recipient) in out:
                book.problems.append(f"{campaign_id}: {recipient} had opted out, and is sent to")
        return claim


async def make_calls(calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Make calls beside each other, each of which may be cancelled by itself; raise what one raises."""
    tasks = [asyncio.create_task(_make_call(call)) for call in calls]
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _make_call(call: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    with anyio.CancelScope() as scope:
        caller.set(Caller(lambda is_native: task.cancel() if is_native else scope.cancel()))
        await call()
