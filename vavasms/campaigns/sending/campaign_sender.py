"""The batches of one campaign in a worker: its limits, its sender, what stopped it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from attrs import define, field

from vavasms.bulk.breaker import CircuitBreaker
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.queued_batch import (
    OnWait,
    QueuedBatchSender,
    SendResult,
    stop_reason,
)
from vavasms.endpoints import Account
from vavasms.ledger.attempts import name_reason
from vavasms.ledger.models import Campaign, QueuedBatch
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.postgres.ledger import PostgresLedger


@define(kw_only=True, eq=False)
class CampaignSender:
    """The sender of one running campaign's batches in a worker, until `close`."""

    ledger: PostgresLedger
    campaign: Campaign
    account: Account
    worker: str
    clock: Callable[[], float]
    pending: PendingWrites
    #: One for all campaigns of the worker.
    reader: BalanceReader
    on_wait: OnWait = lambda _seconds: None
    sender: QueuedBatchSender = field(init=False)
    #: Set where nothing further of it is to be begun here.
    closed: anyio.Event = field(factory=anyio.Event, init=False)
    _breaker: CircuitBreaker = field(factory=CircuitBreaker, init=False)
    _first: anyio.Lock = field(factory=anyio.Lock, init=False)
    #: The balance was read before the first batch; a batch was answered.
    _is_balance_read: bool = field(default=False, init=False)
    _is_answered: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.sender = QueuedBatchSender(
            transport=self.account.transport,
            ledger=self.ledger,
            campaign=self.campaign,
            worker=self.worker,
            reader=self.reader,
            clock=self.clock,
            stopping=self.closed,
            pending=self.pending,
            on_wait=self.on_wait,
        )

    def close(self) -> None:
        """Begin nothing further; what is under way goes on."""
        self.closed.set()

    async def send(self, batch: QueuedBatch) -> SendResult | None:
        """Send a batch; return None outside of its hours, and where it was not begun.

        Pauses the campaign where all would fare alike. Until this worker has read an answer it has one
        batch of the campaign under way, and before that it reads the balance. Each worker does, since its
        address, its network and its credentials are its own: what another was answered says nothing of them.
        """
        if not self.sender.is_open:
            return None
        if not self._is_answered:
            async with self._first:
                if not self._is_answered:
                    return await self._send(batch) if await self._may_begin() else None
        return await self._send(batch)

    async def _may_begin(self) -> bool:
        """Read the balance before the first batch; False where every send would be refused."""
        if not self._is_balance_read:
            error = await self.reader.look_ahead(self.closed)
            self._is_balance_read = True
            if error is not None:
                await self.ledger.pause(self.campaign.id, name_reason(error), revision=self.campaign.revision)
                self.close()
        return not self.closed.is_set()

    async def _send(self, batch: QueuedBatch) -> SendResult:
        result = await self.sender.send(batch, self._note_answer)
        self._is_answered = self._is_answered or result.is_answered
        stop = stop_reason(self._breaker, result)
        if stop is not None:
            await self.ledger.pause(self.campaign.id, stop, revision=self.campaign.revision)
            self.close()
        return result

    def _note_answer(self) -> None:
        self._is_answered = True
