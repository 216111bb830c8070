"""The account's balance beside running campaigns: a hint for what is unknown, and a floor."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import anyio
from attrs import define, field

from vavasms.bulk.preflight import LONGEST, ends_sending
from vavasms.campaigns.policy import Policy
from vavasms.endpoints import Transport, fetch_balance
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign, QueuedBatch
from vavasms.transport.http import Attempt

#: Seconds between two readings while a campaign runs.
EVERY = 2.0
#: Seconds before a batch is tried again that the balance does not pay beside what is in flight.
RECHECK = 0.5
#: Why a campaign is paused, as a ledger keeps it.
UNREAD = N_("the balance could not be read, and there is a floor for it")
AT_THE_FLOOR = N_("the balance of {balance} XOF is at or under the floor of {floor} XOF")
NEAR_THE_FLOOR = N_(
    "the balance of {balance} XOF does not pay for the next batch above the floor of {floor} XOF"
)


@define(kw_only=True)
class BalanceReader:
    """The reader of an account's balance, one request at a time: beside the sends there is room for one."""

    transport: Transport
    #: The last reading; None where there was none.
    latest: Decimal | None = None
    #: When the request for it began, on the monotonic clock.
    asked_at: float = -float("inf")
    #: Held from a reading until the batch that it pays for is claimed, by all campaigns of the account.
    claiming: anyio.Lock = field(factory=anyio.Lock, init=False)
    #: What the last reading met that every send would meet as well; and when it ended.
    _obstacle: VavaSMSError | None = field(default=None, init=False)
    _ended_at: float = field(default=-float("inf"), init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def read(self, *, younger_than: float = 0.0) -> Decimal | None:
        """Read the balance, unless the last reading is young enough; None where it cannot be read."""
        async with self._turn:
            asked_at = time.monotonic()
            if self.latest is not None and asked_at - self.asked_at < younger_than:
                return self.latest
            return await self._read(asked_at)

    async def look_ahead(self, stopping: anyio.Event) -> VavaSMSError | None:
        """Return the error of a reading that every send would meet as well, None where there is none.

        Asked before the first batch. It ends when `stopping` is set, and within `LONGEST` seconds: a
        gateway that is slow to tell the balance says nothing about sends.
        """
        obstacle = None
        with anyio.move_on_after(LONGEST):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_with, stopping, tasks.cancel_scope)
                obstacle = await self._find_obstacle(time.monotonic())
                tasks.cancel_scope.cancel()
        return obstacle

    async def _find_obstacle(self, began: float) -> VavaSMSError | None:
        async with self._turn:
            # A reading that was under way already will do.
            if self._ended_at < began:
                await self._read(time.monotonic())
            return self._obstacle

    async def _read(self, asked_at: float) -> Decimal | None:
        attempt = Attempt()
        self._obstacle = None
        try:
            balance = await fetch_balance(self.transport, attempt)
        except VavaSMSError as error:
            if ends_sending(error, attempt):
                self._obstacle = error.with_traceback(None)
            self._ended_at = time.monotonic()
            return None
        self.latest, self.asked_at, self._ended_at = balance.amount, asked_at, time.monotonic()
        return self.latest


async def _end_with(stopping: anyio.Event, scope: anyio.CancelScope) -> None:
    await stopping.wait()
    scope.cancel()


@define(kw_only=True)
class BalanceFloor:
    """The balance beside one campaign: its floor, and the readings noted on the batches answered in between.

    With several batches in flight their cost cannot be told apart: the notes stay a hint.
    """

    reader: BalanceReader
    ledger: Ledger
    campaign: Campaign
    _answered: list[int] = field(factory=list, init=False)

    def answered(self, number: int) -> None:
        """Note the next reading on this batch."""
        self._answered.append(number)

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
            await self.ledger.note_balance(self.campaign.id, answered, balance)
        return balance

    @asynccontextmanager
    async def reserve(self, batch: QueuedBatch, policy: Policy, stopping: anyio.Event) -> AsyncIterator[bool]:
        """Yield whether a batch may be claimed in this context: the balance pays for it and all in flight.

        Where it never will, the campaign is paused and `stopping` set. What other processes claim shows once
        they did: each of them may go below the floor by a batch.
        """
        floor = policy.balance_floor
        if floor is None:
            yield True
            return
        async with self.reader.claiming:
            # In this order: what is settled in between counts twice, never not at all.
            in_flight = await self.ledger.under_way(self.campaign.account)
            balance = await self.read()
            cost = policy.cost(batch.messages * batch.segments + in_flight) or Decimal(0)
            is_paid = balance is not None and balance - cost >= floor
            if not is_paid and (balance is None or not in_flight):
                await self.ledger.pause(
                    self.campaign.id, _pause_reason(balance, floor), revision=self.campaign.revision
                )
                stopping.set()
            yield is_paid and not stopping.is_set()


def _pause_reason(balance: Decimal | None, floor: Decimal) -> str:
    if balance is None:
        return UNREAD
    reason = AT_THE_FLOOR if balance <= floor else NEAR_THE_FLOOR
    # It is kept in the ledger.
    return _(reason, balance=balance, floor=floor).english
