"""The account's balance beside running campaigns: a hint for what is unknown, and a floor."""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import Decimal

import anyio
from attrs import define, field

from vavasms.campaigns.ledger.port import Ledger
from vavasms.endpoints import Transport, fetch_balance
from vavasms.errors import LedgerError, VavaSMSError

#: Seconds between two readings while a campaign runs.
EVERY = 2.0


@define(kw_only=True)
class BalanceReader:
    """Read the balance of an account, one request at a time: beside the sends there is room for one."""

    transport: Transport
    #: The last reading; None where there was none.
    latest: Decimal | None = None
    #: When the request for it began, on the monotonic clock.
    asked_at: float = -float("inf")
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def read(self, *, younger_than: float = 0.0) -> Decimal | None:
        """Read the balance, unless the last reading is young enough; None where it cannot be read."""
        async with self._turn:
            asked_at = time.monotonic()
            if self.latest is not None and asked_at - self.asked_at < younger_than:
                return self.latest
            try:
                balance = await fetch_balance(self.transport)
            except VavaSMSError:
                return None
            self.latest, self.asked_at = balance.amount, asked_at
            return self.latest


@define(kw_only=True)
class BalanceWatch:
    """Have the balance read now and then; note it on the batches of a campaign that were answered in between.

    With several batches in flight their cost cannot be told apart: it stays a hint.
    """

    reader: BalanceReader
    ledger: Ledger
    campaign_id: str
    _answered: list[int] = field(factory=list, init=False)

    @property
    def latest(self) -> Decimal | None:
        """The last reading; None where there was none."""
        return self.reader.latest

    def answered(self, no: int) -> None:
        """Have the next reading noted on this batch."""
        self._answered.append(no)

    async def run(self) -> None:
        """Read on until cancelled."""
        while True:
            # A note that fails is not the last one.
            with suppress(LedgerError):
                await self.read()
            await anyio.sleep(EVERY)

    async def read(self, *, younger_than: float = 0.0) -> Decimal | None:
        """Read the balance, unless the last reading is young enough; None where it cannot be read."""
        answered, self._answered = self._answered, []
        began = time.monotonic()
        balance = await self.reader.read(younger_than=younger_than)
        if balance is None or self.reader.asked_at < began:
            # What was asked for before these answers came says nothing of them.
            self._answered += answered
        elif answered:
            await self.ledger.note_balance(self.campaign_id, answered, balance)
        return balance
