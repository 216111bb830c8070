"""The account's balance beside a running campaign: a hint for what is unknown, and a floor."""

from __future__ import annotations

import time
from decimal import Decimal

import anyio
from attrs import define, field

from vavasms.campaigns.ledger.port import Ledger
from vavasms.endpoints import Transport, fetch_balance
from vavasms.errors import VavaSMSError

#: Seconds between two readings while a campaign runs.
EVERY = 2.0


@define(kw_only=True)
class BalanceWatch:
    """Read the balance now and then; note it on the batches that were answered in between.

    With several batches in flight their cost cannot be told apart: it stays a hint.
    """

    transport: Transport
    ledger: Ledger
    campaign_id: str
    #: The last reading; None where there was none.
    latest: Decimal | None = None
    _read_at: float = -float("inf")
    _answered: list[int] = field(factory=list, init=False)

    def answered(self, no: int) -> None:
        """Have the next reading noted on this batch."""
        self._answered.append(no)

    async def run(self) -> None:
        """Read on until cancelled."""
        while True:
            await self.read()
            await anyio.sleep(EVERY)

    async def read(self, *, younger_than: float = 0.0) -> Decimal | None:
        """Read the balance, unless the last reading is young enough; None where it cannot be read."""
        if self.latest is not None and time.monotonic() - self._read_at < younger_than:
            return self.latest
        answered, self._answered = self._answered, []
        try:
            balance = await fetch_balance(self.transport)
        except VavaSMSError:
            self._answered += answered
            return None
        self.latest, self._read_at = balance.amount, time.monotonic()
        if answered:
            await self.ledger.note_balance(self.campaign_id, answered, balance.amount)
        return self.latest
