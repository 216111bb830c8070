"""A ledger for the length of a process: for tests, and for services that need no more.

No method awaits anything, so each is done at once or not at all, on any event loop. What a method
promises is written at `Ledger`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import islice

from attrs import evolve

from vavasms.campaigns.ledger.memory_registers import Registers, SentIndex
from vavasms.campaigns.ledger.memory_rows import OPEN, BatchRow, CampaignRow
from vavasms.campaigns.ledger.port import (
    BatchRecord,
    Campaign,
    CampaignStatus,
    Claim,
    Delivery,
    Exclusion,
    NewBatch,
    NewCampaign,
    QueuedBatch,
    StoredBatch,
)
from vavasms.campaigns.ledger.rows import DROPPED, HINDERED
from vavasms.campaigns.states import BatchEvent, BatchState, CampaignEvent, CampaignState, settling
from vavasms.errors import InvalidInputError, LedgerBusyError, LedgerError
from vavasms.numbers import Msisdn

_DAY = 86_400.0
_NO_BUDGET = "the budget does not suffice for the next batch"
_NOT_LOADED = "its recipients were not all loaded"
_ORPHANED = BatchRecord(error="The program ended while this batch was under way.")


class MemoryLedger(Registers):
    """Campaigns, batches and opt-outs in plain dictionaries; everything goes with the object."""

    is_shared = False

    def __init__(self) -> None:
        super().__init__()
        self._campaigns: dict[str, CampaignRow] = {}
        self._sent = SentIndex()
        self._taken = False

    async def create(self, campaign: NewCampaign) -> None:
        if campaign.id in self._campaigns:
            raise LedgerError(f"There is a campaign {campaign.id!r} already.")
        self._campaigns[campaign.id] = CampaignRow(given=campaign)

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        row = self._loading(campaign_id)
        new = [BatchRow.of(batch) for batch in batches]
        numbers = {batch.no for batch in new}
        if len(numbers) < len(new) or not row.batches.keys().isdisjoint(numbers):
            raise LedgerError(f"A batch of the campaign {campaign_id!r} was loaded twice; nothing was kept.")
        row.batches.update((batch.no, batch) for batch in new)

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        row = self._loading(campaign_id)
        same = self._find_same(row, plan_hash) if unless_same else None
        if same is not None:
            return same
        if row.has_twins():
            raise LedgerError(f"A recipient is twice in the campaign {campaign_id!r}.")
        row.move(CampaignEvent.LOADED)
        row.plan, row.plan_hash = plan, plan_hash
        return None

    async def discard(self, campaign_id: str) -> None:
        row = self._campaigns.get(campaign_id)
        if row is not None and not row.claimed and row.state is not CampaignState.RUNNING:
            del self._campaigns[campaign_id]

    async def campaign(self, campaign_id: str) -> Campaign:
        return self._row(campaign_id).shown()

    async def status(self, campaign_id: str) -> CampaignStatus:
        return self._row(campaign_id).status()

    async def statuses(self) -> Sequence[CampaignStatus]:
        # Of two of the same moment the one created last comes first: the sort is stable.
        latest = [*reversed(self._campaigns.values())]
        latest.sort(key=lambda row: -row.given.created_at)
        return [row.status() for row in latest]

    async def start(self, campaign_id: str) -> bool:
        row = self._row(campaign_id)
        if not row.move(CampaignEvent.START):
            return False
        for batch in row.allowing(BatchEvent.CLAIM):
            batch.attempt, batch.not_before = 0, 0.0
        return True

    async def set_policy(self, campaign_id: str, policy: str, *, max_segments: int | None) -> bool:
        row = self._row(campaign_id)
        fits = (row.given.max_segments is None) == (max_segments is None)
        if not fits or row.state not in (CampaignState.QUEUED, CampaignState.PAUSED):
            return False
        row.given = evolve(row.given, policy=policy, max_segments=max_segments)
        return True

    async def pause(self, campaign_id: str, reason: str) -> bool:
        return self._row(campaign_id).move(CampaignEvent.PAUSE, reason)

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        return self._row(campaign_id).cancel(reason)

    async def finish(self, campaign_id: str) -> bool:
        row = self._row(campaign_id)
        waiting = any(batch.state in OPEN for batch in row.batches.values())
        return not waiting and row.move(CampaignEvent.FINISH)

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncGenerator[Mapping[str, Sequence[int]]]:  # noqa: ARG002
        if self._taken:
            raise LedgerBusyError("Another runner works on this ledger.")
        self._taken = True
        try:
            yield self._reap()
        finally:
            self._taken = False

    def _reap(self) -> Mapping[str, Sequence[int]]:
        found = {}
        for campaign_id, row in self._campaigns.items():
            if row.state is CampaignState.LOADING:
                row.cancel(_NOT_LOADED)
            orphans = row.allowing(BatchEvent.ORPHAN)
            for batch in orphans:
                batch.move(BatchEvent.ORPHAN)
                batch.record = _ORPHANED
            if orphans:
                found[campaign_id] = [batch.no for batch in orphans]
        return found

    async def reap_dead(self, *, now: float) -> Mapping[str, Sequence[int]]:
        del now
        return {}

    async def now(self) -> float:
        return time.time()

    async def under_way(self, account: str, *, but: str | None = None) -> int:
        del account, but
        return 0

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        waiting = (
            QueuedBatch(
                no=batch.no,
                messages=batch.messages,
                segments=batch.segments,
                not_before=batch.not_before,
            )
            for batch in self._row(campaign_id).in_order()
            if batch.no > after and batch.state is BatchState.QUEUED
        )
        return list(islice(waiting, limit))

    async def claim(
        self,
        campaign_id: str,
        no: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
    ) -> Claim | None:
        row = self._row(campaign_id)
        batch = row.batches.get(no)
        if batch is None or not batch.allows(BatchEvent.CLAIM) or now < batch.not_before:
            return None
        if row.state is not CampaignState.RUNNING or not self._can_send(row, batch, now):
            return None
        row.claimed = True
        self._sent.add(batch)
        return batch.claim(campaign_id, token, worker, now, balance)

    def _can_send(self, row: CampaignRow, batch: BatchRow, now: float) -> bool:
        """Leave out whom nothing may be sent to; cancel or pause where that leaves nobody or no budget."""
        hindered = self._hindered(batch, row.given.daily_cap, now - _DAY)
        if hindered and batch.doubt:
            why = min(hindered.values(), key=[*Exclusion].index)
            batch.drop(HINDERED[why])
            return False
        for phone, exclusion in hindered.items():
            batch.exclude(phone, exclusion)
        if not batch.messages:
            batch.move(BatchEvent.CANCEL)
            return False
        if not row.affords(batch):
            row.move(CampaignEvent.PAUSE, _NO_BUDGET)
            return False
        return True

    def _hindered(self, batch: BatchRow, cap: int | None, since: float) -> Mapping[Msisdn, Exclusion]:
        found = {}
        for phone in batch.included:
            if phone in self._opt_outs:
                found[phone] = Exclusion.OPTED_OUT
            elif cap is not None and self._sent.count(phone, since) >= cap:
                found[phone] = Exclusion.CAPPED
        return found

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        return self._settle(claim.campaign_id, claim.no, claim.token, event, record, not_before)

    async def abandon(self, campaign_id: str, no: int, token: str) -> bool:
        return self._settle(campaign_id, no, token, BatchEvent.TURN_BACK, BatchRecord(), 0.0)

    def _settle(
        self, campaign_id: str, no: int, token: str, event: BatchEvent, record: BatchRecord, not_before: float
    ) -> bool:
        row = self._row(campaign_id)
        batch = row.fenced(no, token, event)
        if batch is None:
            return False
        batch.record = evolve(record, message_ids=()) if row.purged else record
        first, *more = settling(event, doubtful=batch.doubt > 0, closed=row.closed)
        if first is not BatchEvent.TURN_BACK:
            batch.move(first)
            if event is BatchEvent.ACCEPT:
                row.end_doubt(batch)
            return True
        batch.requeue(first, not_before)
        if more:
            batch.drop(batch.record if event is BatchEvent.REJECT else DROPPED)
        else:
            row.reopen(1)
        return True

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        row = self._row(claim.campaign_id)
        batch = row.fenced(claim.no, claim.token, BatchEvent.TURN_BACK)
        if batch is None:
            return None
        if row.purged:
            # Nobody is left to part.
            await self.abandon(claim.campaign_id, claim.no, claim.token)
            return None
        if batch.messages < 2:
            raise InvalidInputError(f"Batch {claim.no} has one recipient: it cannot be halved.")
        halves = batch.halve(max(row.batches) + 1)
        del row.batches[batch.no]
        self._sent.remove(batch)
        row.batches.update((half.no, half) for half in halves)
        for half in halves:
            # What may have gone out before counts on for the daily cap.
            self._sent.add(half)
        row.take_back(*halves)
        return halves[0].no, halves[1].no

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        for batch in self._row(campaign_id).in_order():
            if batch.no in numbers and batch.balance_after is None:
                batch.balance_after = balance

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        return [batch.stored() for batch in self._row(campaign_id).allowing(BatchEvent.MARK_SENT)]

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        row = self._row(campaign_id)
        sent = row.allowing(BatchEvent.MARK_SENT, numbers)
        for batch in sent:
            batch.move(BatchEvent.MARK_SENT)
            row.end_doubt(batch)
            batch.record = evolve(batch.record, error=note)
        return len(sent)

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        row = self._row(campaign_id)
        if row.closed:
            why = "its numbers are forgotten" if row.purged else "it is cancelled"
            raise InvalidInputError(f"Nothing of the campaign {campaign_id!r} can be sent again: {why}.")
        again = [
            batch
            for batch in row.allowing(BatchEvent.RESEND, numbers)
            if batch.sending_at is not None and batch.sending_at < sent_before
        ]
        for batch in again:
            batch.requeue(BatchEvent.RESEND, 0.0)
            batch.attempt = 0
            batch.doubt += 1
            batch.record = BatchRecord()
        if again:
            row.reopen(len(again))
        return len(again)

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        later = (batch.stored() for batch in self._row(campaign_id).in_order() if batch.no > after)
        return list(islice(later, limit))

    async def record_deliveries(self, campaign_id: str, deliveries: Collection[Delivery]) -> None:
        row = self._row(campaign_id)
        known = row.deliveries
        for each in () if row.purged else deliveries:
            if each.message_id not in known or known[each.message_id].at <= each.at:
                known[each.message_id] = each

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        known = self._row(campaign_id).deliveries
        return {each: known[each] for each in message_ids if each in known}

    async def purge(self, campaign_id: str) -> None:
        row = self._row(campaign_id)
        if row.state not in (CampaignState.DONE, CampaignState.CANCELLED):
            raise InvalidInputError(
                f"The campaign {campaign_id!r} is {row.state.value}: it cannot be purged."
            )
        for batch in row.batches.values():
            self._sent.remove(batch)
        row.forget()

    async def aclose(self) -> None:
        """Do nothing: the object may be used on."""

    def _find_same(self, new: CampaignRow, plan_hash: str) -> str | None:
        others = [
            row
            for row in self._campaigns.values()
            if row is not new and row.given.account == new.given.account and row.repeats(new, plan_hash)
        ]
        others.sort(key=lambda row: (row.plan_hash != plan_hash, row.given.created_at))
        return others[0].given.id if others else None

    def _loading(self, campaign_id: str) -> CampaignRow:
        row = self._row(campaign_id)
        if row.state is not CampaignState.LOADING:
            raise InvalidInputError(
                f"The campaign {campaign_id!r} is {row.state.value}: it cannot be loaded."
            )
        return row

    def _row(self, campaign_id: str) -> CampaignRow:
        row = self._campaigns.get(campaign_id)
        if row is None:
            raise InvalidInputError(f"There is no campaign {campaign_id!r}.")
        return row
