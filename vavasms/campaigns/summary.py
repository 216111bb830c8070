"""What became of a campaign as a whole: the figures of its report, without a number of a recipient."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import chain, repeat
from typing import Any
from zoneinfo import ZoneInfo

from attrs import Attribute, Factory, asdict, define, field, frozen

from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.prefixes import find_owner, find_prefix
from vavasms.campaigns.report import LEFT, PAID, count_included, pair_ids, read_pages, write_number
from vavasms.campaigns.timeline import Span, Timeline
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign, CampaignStatus, Delivery, StoredBatch
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: Unknown batches that are listed, and reasons that are counted apart; the others are counted together.
MOST_UNKNOWN, MOST_REASONS = 40, 20
#: What the gateway says may name the number that it speaks of.
_NUMBER = re.compile(r"(?<![\d-])(?!\d{4}-\d\d-\d\d)\+?\d(?:[ .-]?\d){7,}")
_FATES = {
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.FAILED: "failed",
    DeliveryStatus.SENT: "pending",
    DeliveryStatus.PENDING: "pending",
    DeliveryStatus.OTHER: "other",
}


@frozen(kw_only=True)
class PrefixDeliveries:
    """How far the accepted messages came to the numbers of one prefix. The five add up to `messages`."""

    #: The calling code, and the two digits behind it of an Ivorian number: numbers are ported, so it is no
    #: operator. Empty for messages that cannot be told apart by number.
    prefix: str
    #: Who the range was first given to.
    owner: str | None = None
    messages: int = 0
    delivered: int = 0
    failed: int = 0
    #: Sent or pending: a later report may say more.
    pending: int = 0
    #: A word that nobody documented.
    other: int = 0
    #: No report was read.
    silent: int = 0


@frozen(kw_only=True)
class UnknownBatch:
    """A batch on which a person must decide."""

    number: int
    recipients: int
    segments: int
    sent_at: datetime | None
    #: Why nobody knows, as the ledger keeps it.
    error: str | None


@frozen(kw_only=True)
class PlanFigures:
    """What was planned; all 0 where a campaign was loaded without a plan."""

    #: See `CampaignPlan`: numbers = recipients + duplicates + opted_out + refused.
    numbers: int = 0
    recipients: int = 0
    repaired: int = 0
    duplicates: int = 0
    opted_out: int = 0
    refused: int = 0
    passed_over: int = 0
    segments: int = 0
    cost: Decimal | None = None
    #: By reason, rows that were refused.
    refusals: Mapping[str, int] = field(factory=dict)
    #: Characters that make a text dearer, by recipients.
    offending: Mapping[str, int] = field(factory=dict)
    ucs2_recipients: int = 0
    segments_if_folded: int = 0


@frozen(kw_only=True)
class CampaignSummary:
    """A campaign in figures, as of `made_at`; of one that is still sent, no snapshot."""

    id: str
    state: CampaignState
    #: Why it is paused or cancelled; None otherwise.
    reason: str | None
    #: The campaign whose recipients were sent to once more; None for any other.
    retry_of: str | None
    sender_id: str
    #: The template; empty where it is forgotten.
    message: str = field(repr=False)
    #: The zone of all moments.
    zone: str
    created_at: datetime
    made_at: datetime
    #: When the first and the last batch left; None where none did.
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    #: queued + sending + accepted + rejected + not_sent + unknown.
    recipients: int
    queued: int
    sending: int
    accepted: int
    rejected: int
    not_sent: int
    unknown: int
    batches: int
    #: SMS paid or possibly paid, earlier attempts of what was sent again among them.
    segments: int
    earlier_segments: int
    #: XOF; None where no unit price is known.
    cost: Decimal | None
    unit_price: Decimal | None
    budget: Decimal | None
    plan: PlanFigures
    #: By reason, the recipients that were rejected, and those that were left out or cancelled; `` for any
    #: further reason.
    rejections: Mapping[str, int]
    exclusions: Mapping[str, int]
    #: The most frequent prefix first.
    deliveries: Sequence[PrefixDeliveries]
    #: Seconds of each span of `timeline`.
    span_seconds: int
    timeline: Sequence[Span]
    #: The first of the unknown batches, and how many more there are.
    unknown_batches: Sequence[UnknownBatch]
    unknown_batches_more: int

    @property
    def is_forgotten(self) -> bool:
        """Whether the numbers and texts were purged: only counts are left."""
        return not self.message

    @property
    def delivered(self) -> int:
        """The messages of which a report says that they were delivered."""
        return sum(entry.delivered for entry in self.deliveries)

    @property
    def reported(self) -> int:
        """The accepted messages of which any delivery report was read."""
        return sum(entry.messages - entry.silent for entry in self.deliveries)


async def read_summary(ledger: Ledger, campaign_id: str, *, now: float) -> CampaignSummary:
    """Read a campaign once and return its figures; memory stays flat.

    `now` is in seconds since the epoch. Raises `InvalidInputError` where there is no campaign of this id.
    """
    campaign = await ledger.campaign(campaign_id)
    tally = _Tally(timeline=Timeline(load_policy(campaign.policy).zone))
    async for batches, known in read_pages(ledger, campaign_id):
        for batch in batches:
            tally.add(batch, known)
    return _summarize(campaign, await ledger.status(campaign_id), tally, now)


def dump_summary(summary: CampaignSummary) -> str:
    """Write a summary as one object of JSON in ASCII: moments in ISO 8601, amounts as numbers."""
    values = asdict(summary, value_serializer=_to_json)
    counts = {"delivered": summary.delivered, "reported": summary.reported}
    return json.dumps(values | counts) + "\n"


def _to_json(_owner: object, _field: Attribute[Any] | None, value: object) -> object:
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat(timespec="seconds")
        case Decimal():
            return write_number(value)
    return value


#: What a summary has of a ledger's own counts, and of those of a plan.
_COUNTS = (
    *("recipients", "queued", "sending", "accepted", "rejected", "not_sent", "unknown"),
    *("batches", "segments"),
)
_PLAN_COUNTS = (
    *("numbers", "recipients", "repaired", "duplicates", "opted_out", "refused", "passed_over"),
    *("segments", "ucs2_recipients", "segments_if_folded"),
)


def read_plan(text: str) -> PlanFigures:
    """Return the figures of a plan as a ledger keeps it."""
    plan: dict[str, Any] = json.loads(text)
    counts = {name: plan[name] for name in _PLAN_COUNTS if name in plan}
    refusals = {reason: example["count"] for reason, example in plan.get("refusals", {}).items()}
    cost = plan.get("cost")
    return PlanFigures(
        **counts,
        cost=None if cost is None else Decimal(cost),
        refusals=_sort(refusals),
        offending=_sort(plan.get("offending", {})),
    )


@define(kw_only=True)
class _Tally:
    """What is counted of the batches as they go by."""

    timeline: Timeline
    first: float | None = None
    last: float | None = None
    segments: int = 0
    rejections: Counter[str] = Factory(Counter)
    exclusions: Counter[str] = Factory(Counter)
    #: By prefix, what became of the messages.
    deliveries: dict[str, Counter[str]] = Factory(dict)
    unknown: list[StoredBatch] = Factory(list)
    unknown_more: int = 0

    def add(self, batch: StoredBatch, known: Mapping[str, Delivery]) -> None:
        """Count a batch."""
        included = [recipient for recipient, exclusion in batch.recipients if exclusion is None]
        self._count_reasons(batch, len(included))
        if batch.state in LEFT and batch.sending_at is not None and included:
            self._count_time(batch.sending_at, len(included))
        if batch.state in PAID:
            self.segments += batch.segments * len(included)
        if batch.state is BatchState.ACCEPTED:
            self._count_deliveries(batch, included, known)
        if batch.state is BatchState.UNKNOWN and len(self.unknown) < MOST_UNKNOWN:
            self.unknown.append(batch)
        elif batch.state is BatchState.UNKNOWN:
            self.unknown_more += 1

    def _count_time(self, at: float, messages: int) -> None:
        self.first = at if self.first is None else min(at, self.first)
        self.last = at if self.last is None else max(at, self.last)
        self.timeline.add(at, messages)

    def _count_reasons(self, batch: StoredBatch, included: int) -> None:
        for _recipient, exclusion in batch.recipients:
            if exclusion is not None:
                self.exclusions[exclusion.value] += 1
        if batch.state is BatchState.REJECTED:
            _count(self.rejections, batch.record.error, included)
        elif batch.state is BatchState.CANCELLED and included:
            _count(self.exclusions, batch.record.error or "cancelled", included)

    def _count_deliveries(
        self, batch: StoredBatch, included: Sequence[Msisdn], known: Mapping[str, Delivery]
    ) -> None:
        for prefix, message_id in _pair_prefixes(batch, included):
            delivery = known.get(message_id)
            fate = "silent" if delivery is None else _FATES[delivery.status]
            self.deliveries.setdefault(prefix, Counter())[fate] += 1


def _pair_prefixes(batch: StoredBatch, included: Sequence[Msisdn]) -> Iterable[tuple[str, str]]:
    """Return the prefix and the id of each message; no prefix where ids and numbers cannot be paired."""
    if ids := pair_ids(batch):
        return zip(map(find_prefix, included), ids, strict=True)
    if not batch.record.message_ids:
        return ((find_prefix(recipient), "") for recipient in included)
    # What is reported is of one of them: nobody knows of which.
    return zip(repeat("", len(included)), chain(batch.record.message_ids, repeat("")), strict=False)


def _count(reasons: Counter[str], error: str | None, recipients: int) -> None:
    reason = hide_numbers(error or "")
    if reason not in reasons and len(reasons) >= MOST_REASONS:
        reason = ""
    reasons[reason] += recipients


def hide_numbers(text: str) -> str:
    """Return a text without what may be the number of somebody."""
    return _NUMBER.sub("…", text)


def _summarize(campaign: Campaign, status: CampaignStatus, tally: _Tally, now: float) -> CampaignSummary:
    policy = load_policy(campaign.policy)
    moment = partial(_read_moment, zone=policy.zone)
    return CampaignSummary(
        id=campaign.id,
        state=status.state,
        reason=status.reason and hide_numbers(status.reason),
        retry_of=campaign.retry_of,
        sender_id=campaign.sender_id,
        message=campaign.message,
        zone=policy.zone.key,
        created_at=datetime.fromtimestamp(campaign.created_at, policy.zone),
        made_at=datetime.fromtimestamp(now, policy.zone),
        first_sent_at=moment(tally.first),
        last_sent_at=moment(tally.last),
        **{name: getattr(status, name) for name in _COUNTS},
        # Of a purged campaign nobody can say any more which were which.
        earlier_segments=max(status.segments - tally.segments, 0) if campaign.message else 0,
        cost=policy.cost(status.segments),
        unit_price=policy.unit_price,
        budget=policy.budget,
        plan=read_plan(campaign.plan),
        rejections=_sort(tally.rejections),
        exclusions=_sort(tally.exclusions),
        deliveries=_list_deliveries(tally.deliveries),
        span_seconds=tally.timeline.width,
        timeline=tally.timeline.spans,
        unknown_batches=[_describe_unknown(batch, policy.zone) for batch in tally.unknown],
        unknown_batches_more=tally.unknown_more,
    )


def _read_moment(at: float | None, zone: ZoneInfo) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, zone)


def _describe_unknown(batch: StoredBatch, zone: ZoneInfo) -> UnknownBatch:
    recipients = count_included(batch)
    return UnknownBatch(
        number=batch.number,
        recipients=recipients,
        segments=recipients * batch.segments,
        sent_at=_read_moment(batch.sending_at, zone),
        error=batch.record.error and hide_numbers(batch.record.error),
    )


def _list_deliveries(counts: Mapping[str, Counter[str]]) -> Sequence[PrefixDeliveries]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return [
        PrefixDeliveries(
            prefix=prefix,
            owner=find_owner(prefix),
            messages=fates.total(),
            **fates,
        )
        for prefix, fates in ordered
    ]


def _sort(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return what is counted, the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
