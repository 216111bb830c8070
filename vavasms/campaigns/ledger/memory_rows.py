"""What the ledger in memory keeps: campaigns and batches that move by the tables of `states` alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from vavasms.campaigns.ledger.port import (
    BatchRecord,
    Campaign,
    CampaignStatus,
    Claim,
    Delivery,
    Exclusion,
    NewBatch,
    NewCampaign,
    StoredBatch,
)
from vavasms.campaigns.ledger.rows import DROPPED
from vavasms.campaigns.states import (
    BATCH_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    BatchEvent,
    BatchState,
    CampaignEvent,
    CampaignState,
    dropping,
)
from vavasms.numbers import Msisdn

#: The states in which a batch's messages are paid or possibly paid.
SPENT = frozenset({BatchState.SENDING, BatchState.ACCEPTED, BatchState.UNKNOWN})
#: While a batch of it is in one of these, a campaign is not done.
OPEN = frozenset({BatchState.QUEUED, BatchState.SENDING})

#: Something of it is still to be sent, or may be.
_UNFINISHED = (CampaignState.QUEUED, CampaignState.RUNNING, CampaignState.PAUSED)


@define(kw_only=True, eq=False)
class BatchRow:
    """A batch and every recipient of it."""

    no: int
    message: str = field(repr=False)
    segments: int
    recipients: tuple[Msisdn, ...]
    #: How many they are, and how many of them are left out: known after a purge, too.
    size: int
    left_out: int = 0
    excluded: dict[Msisdn, Exclusion] = field(factory=dict, repr=False)
    state: BatchState = BatchState.QUEUED
    token: str | None = None
    worker: str = ""
    attempt: int = 0
    sending_at: float | None = None
    not_before: float = 0.0
    #: Attempts before the latest of which nobody knows whether they went out.
    doubt: int = 0
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None
    record: BatchRecord = field(factory=BatchRecord)

    @classmethod
    def of(cls, batch: NewBatch) -> BatchRow:
        """Make the row of a batch that nobody tried yet."""
        phones = tuple(batch.recipients)
        return cls(
            no=batch.no, message=batch.message, segments=batch.segments, recipients=phones, size=len(phones)
        )

    @property
    def messages(self) -> int:
        """How many messages a claim would send, or sent."""
        return self.size - self.left_out

    @property
    def included(self) -> tuple[Msisdn, ...]:
        """Whom a claim would send to, or sent to."""
        return tuple(phone for phone in self.recipients if phone not in self.excluded)

    @property
    def attempts(self) -> int:
        """How many of its attempts went out, or may have."""
        return self.doubt + (self.state in SPENT)

    def allows(self, event: BatchEvent) -> bool:
        """Tell whether the event can happen now."""
        return (self.state, event) in BATCH_TRANSITIONS

    def move(self, event: BatchEvent) -> None:
        """Let the event happen."""
        self.state = BATCH_TRANSITIONS[self.state, event]

    def exclude(self, phone: Msisdn, why: Exclusion) -> None:
        """Leave a recipient out for good."""
        self.excluded[phone] = why
        self.left_out = len(self.excluded)

    def requeue(self, event: BatchEvent, not_before: float) -> None:
        """Let it wait for another claim; an answer to an earlier one matches no more."""
        self.move(event)
        self.token = None
        self.not_before = not_before

    def drop(self, record: BatchRecord = DROPPED) -> None:
        """Have it not sent, as it was queued to be; if an earlier attempt may have been, say so."""
        self.move(dropping(doubtful=self.doubt > 0))
        self.token = None
        if self.doubt:
            self.doubt -= 1
            self.record = record

    def claim(self, campaign_id: str, token: str, worker: str, now: float, balance: Decimal | None) -> Claim:
        """Begin an attempt."""
        self.move(BatchEvent.CLAIM)
        self.token, self.worker, self.sending_at = token, worker, now
        self.attempt += 1
        self.balance_before, self.balance_after = balance, None
        self.record = BatchRecord()
        return Claim(
            campaign_id=campaign_id,
            no=self.no,
            token=token,
            at=now,
            attempt=self.attempt,
            message=self.message,
            segments=self.segments,
            recipients=self.included,
        )

    def halve(self, first: int) -> tuple[BatchRow, BatchRow]:
        """Make two rows of this one, numbered from `first`; who was left out goes along with his place."""
        half = self.messages // 2
        middle = self.recipients.index(self.included[half])
        return (self._part(first, slice(middle)), self._part(first + 1, slice(middle, None)))

    def _part(self, no: int, places: slice) -> BatchRow:
        phones = self.recipients[places]
        excluded = {phone: self.excluded[phone] for phone in phones if phone in self.excluded}
        return BatchRow(
            no=no,
            message=self.message,
            segments=self.segments,
            recipients=phones,
            size=len(phones),
            sending_at=self.sending_at,
            doubt=self.doubt,
            left_out=len(excluded),
            excluded=excluded,
        )

    def forget(self) -> None:
        """Drop its numbers and texts."""
        self.recipients, self.excluded, self.message = (), {}, ""
        self.record = evolve(self.record, message_ids=())

    def stored(self) -> StoredBatch:
        """Give it as the port has it."""
        return StoredBatch(
            no=self.no,
            state=self.state,
            segments=self.segments,
            record=self.record,
            sending_at=self.sending_at,
            balance_before=self.balance_before,
            balance_after=self.balance_after,
            recipients=tuple((phone, self.excluded.get(phone)) for phone in self.recipients),
        )


@define(kw_only=True, eq=False)
class CampaignRow:
    """A campaign and everything of it."""

    given: NewCampaign
    state: CampaignState = CampaignState.LOADING
    reason: str | None = None
    plan: str = "{}"
    plan_hash: str = ""
    batches: dict[int, BatchRow] = field(factory=dict)
    deliveries: dict[str, Delivery] = field(factory=dict, repr=False)
    #: Whether any batch of it was claimed, one that was split since as well.
    claimed: bool = False
    #: Segments of attempts that were in doubt until a later one was accepted: possibly paid, so spent.
    written_off: int = 0
    purged: bool = False

    @property
    def closed(self) -> bool:
        """Whether nothing of it can be sent any more, not even by a person's word."""
        return self.purged or self.state is CampaignState.CANCELLED

    @property
    def segments(self) -> int:
        """SMS paid or possibly paid so far."""
        return sum(batch.segments * batch.messages * batch.attempts for batch in self.batches.values())

    def end_doubt(self, batch: BatchRow) -> None:
        """Note that a batch was sent for sure; the budget does not get back what it may have cost before."""
        self.written_off += batch.segments * batch.messages * batch.doubt
        batch.doubt = 0

    def affords(self, batch: BatchRow) -> bool:
        """Tell whether the budget suffices for one more batch."""
        budget = self.given.max_segments
        spent = self.segments + self.written_off
        return budget is None or spent + batch.segments * batch.messages <= budget

    def move(self, event: CampaignEvent, reason: str | None = None) -> bool:
        """Let the event happen where the state allows it; the reason stays where the state does."""
        new = CAMPAIGN_TRANSITIONS.get((self.state, event))
        if new is None:
            return False
        if new is not self.state:
            self.state, self.reason = new, reason
        return True

    def cancel(self, reason: str) -> bool:
        """End it, and everything that waits."""
        if not self.move(CampaignEvent.CANCEL, reason):
            return False
        for batch in self.allowing(BatchEvent.CANCEL):
            batch.drop()
        return True

    def has_twins(self) -> bool:
        """Tell whether a recipient is in it twice."""
        phones = [phone for batch in self.batches.values() for phone in batch.recipients]
        return len(set(phones)) < len(phones)

    def repeats(self, new: CampaignRow, plan_hash: str) -> bool:
        """Tell whether a new campaign would say the same to the same: see `Ledger.finish_loading`."""
        if self.plan_hash == plan_hash:
            return self.state not in (CampaignState.LOADING, CampaignState.CANCELLED) or self.claimed
        if self.state not in _UNFINISHED or self.given.message != new.given.message:
            return False
        ours, theirs = (
            {phone for batch in row.batches.values() for phone in batch.recipients} for row in (self, new)
        )
        return not ours.isdisjoint(theirs)

    def fenced(self, no: int, token: str, event: BatchEvent) -> BatchRow | None:
        """Give a batch where the event can happen and this token's claim was its latest."""
        batch = self.batches.get(no)
        fits = batch is not None and batch.token == token and batch.allows(event)
        return batch if fits else None

    def take_back(self, *queued: BatchRow) -> None:
        """Fit batches that wait again into what became of the campaign meanwhile."""
        if not self.closed:
            self.reopen(len(queued))
            return
        for batch in queued:
            batch.drop()

    def reopen(self, count: int) -> None:
        """Have batches wait in it again that were settled before."""
        verb = "batch waits" if count == 1 else "batches wait"
        self.move(CampaignEvent.REOPEN, f"{count} {verb} to be sent again")

    def in_order(self) -> Iterator[BatchRow]:
        """Go through the batches by their numbers."""
        return (self.batches[no] for no in sorted(self.batches))

    def allowing(self, event: BatchEvent, numbers: Collection[int] | None = None) -> list[BatchRow]:
        """List the batches, of these numbers, to which the event can happen."""
        return [
            batch
            for batch in self.in_order()
            if batch.allows(event) and (numbers is None or batch.no in numbers)
        ]

    def forget(self) -> None:
        """Drop its numbers and texts, keep its counts."""
        self.purged = True
        self.given = evolve(self.given, message="")
        self.deliveries.clear()
        for batch in self.batches.values():
            batch.forget()

    def shown(self) -> Campaign:
        """Give it as the port has it."""
        given = self.given
        return Campaign(
            id=given.id,
            state=self.state,
            reason=self.reason,
            account=given.account,
            sender_id=given.sender_id,
            message=given.message,
            policy=given.policy,
            plan=self.plan,
            plan_hash=self.plan_hash,
            created_at=given.created_at,
        )

    def status(self) -> CampaignStatus:
        """Count its recipients."""
        counts = Counter[BatchState]()
        for batch in self.batches.values():
            counts[batch.state] += batch.messages
        counted: dict[str, Any] = {each.value: counts[each] for each in BatchState}
        left_out = sum(batch.left_out for batch in self.batches.values())
        counted["not_sent"] = counted.pop("cancelled") + left_out
        return CampaignStatus(
            id=self.given.id,
            state=self.state,
            reason=self.reason,
            recipients=sum(batch.size for batch in self.batches.values()),
            batches=len(self.batches),
            segments=self.segments,
            **counted,
        )
