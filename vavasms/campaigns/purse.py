"""The floor that a campaign's balance must not fall below, kept by each of several workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
from attrs import define, field

from vavasms.campaigns.balance import BalanceWatch
from vavasms.campaigns.halting import UNREADABLE, at_floor
from vavasms.campaigns.ledger.port import Ledger, QueuedBatch
from vavasms.campaigns.policy import Policy

#: Seconds before the balance is read again, where what is under way may have been paid by then.
_LOOK = 0.5


@define(kw_only=True)
class Purse:
    """Let one batch at a time be claimed, where the balance pays for it and for all that is under way.

    What other campaigns and other workers take shows once it is claimed: each of them may go below the
    floor by a batch.
    """

    ledger: Ledger
    policy: Policy
    balance: BalanceWatch
    account: str
    #: Set where no further batch is to be begun.
    stopping: anyio.Event
    #: Pauses the campaign, for this reason.
    pause: Callable[[str], Awaitable[object]]
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)

    @asynccontextmanager
    async def spend(self, batch: QueuedBatch) -> AsyncIterator[bool]:
        """Say whether the batch may be claimed, within this context: nobody else here claims meanwhile."""
        if self.policy.balance_floor is None:
            yield True
            return
        async with self._lock:
            yield await self._is_paid(batch.messages * batch.segments, self.policy.balance_floor)

    async def _is_paid(self, segments: int, floor: Decimal) -> bool:
        while not self.stopping.is_set():
            # In this order: what is settled in between counts twice, never not at all.
            under_way = await self.ledger.under_way(self.account)
            balance = await self.balance.read()
            if balance is None:
                await self.pause(UNREADABLE)
                return False
            if balance - (self.policy.cost(segments + under_way) or 0) >= floor:
                return True
            if not under_way:
                await self.pause(at_floor(balance, floor))
                return False
            with anyio.move_on_after(_LOOK):
                await self.stopping.wait()
        return False
