"""The totals of a ledger: what became of how many recipients of an account, and what waits. For metrics.

They are sums, with no number, no text and no key in them. A campaign that is over and of which nothing is
unknown never changes: whoever reads again passes in what was read of it, and it is not counted anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from attrs import field, frozen

from vavasms.errors import Outcome
from vavasms.ledger.send_record import SendKind
from vavasms.ledger.states import OUTCOMES, BatchState, CampaignState

_OVER = (CampaignState.DONE, CampaignState.CANCELLED)
#: What is paid, or may be.
_PAID = (BatchState.SENDING, BatchState.ACCEPTED, BatchState.UNKNOWN)


class CodedOutcome(NamedTuple):
    """What became of recipients."""

    outcome: Outcome
    #: The code of the error it ended in; empty where there was none, or none was kept.
    error_code: str = ""


@frozen(kw_only=True)
class RecipientCounts:
    """How many recipients are where."""

    queued: int = 0
    sending: int = 0
    by_outcome: Mapping[CodedOutcome, int] = MappingProxyType({})
    #: SMS paid or possibly paid: of what is accepted, unknown or under way, and of earlier attempts of it of
    #: which nobody knows whether they went out.
    segments: int = 0
    #: Requests of a campaign, or single sends.
    batches: Mapping[BatchState, int] = MappingProxyType({})

    @property
    def unknown(self) -> int:
        """Recipients on which a person must decide."""
        return sum(count for coded, count in self.by_outcome.items() if coded.outcome is Outcome.UNKNOWN)


@frozen(kw_only=True)
class CampaignTotals:
    """What became of one campaign."""

    #: Its key within the database.
    seq: int
    state: CampaignState
    created_at: float
    #: The policy as JSON, which names the price of a segment.
    policy: str = field(repr=False)
    counts: RecipientCounts

    @property
    def is_final(self) -> bool:
        """Whether nothing of it changes any more."""
        open_recipients = self.counts.queued + self.counts.sending + self.counts.unknown
        return self.state in _OVER and not open_recipients


@frozen(kw_only=True)
class LedgerTotals:
    """The totals of one account at one moment."""

    #: By the key of each campaign.
    campaigns: Mapping[int, CampaignTotals]
    sends: Mapping[SendKind, RecipientCounts]
    #: When they were read, seconds since the epoch, by the ledger's clock.
    at: float
    #: Seconds for which the enqueued send that is due the longest has been; 0 where none is.
    send_wait: float
    #: Workers with a heartbeat of late; None of a file, whose workers leave no trace.
    workers: int | None

    @property
    def campaign_wait(self) -> float:
        """Seconds since the oldest running campaign was made of which something is queued; 0 without one."""
        running = [each for each in self.campaigns.values() if each.state is CampaignState.RUNNING]
        waiting = [self.at - each.created_at for each in running if each.counts.queued]
        return max(waiting, default=0.0)

    @property
    def final(self) -> Mapping[int, CampaignTotals]:
        """The campaigns that need not be counted again."""
        return {seq: totals for seq, totals in self.campaigns.items() if totals.is_final}


class TotalsStore(Protocol):
    """Where a ledger's totals are read: `Ledger.totals`."""

    async def read(
        self, account: str, *, now: float, known: Mapping[int, CampaignTotals] = MappingProxyType({})
    ) -> LedgerTotals:
        """Read the totals of an account, all of one moment; `known` is `LedgerTotals.final` of before.

        Goes over the batches of the campaigns that are not known, and over the single sends.
        """
        ...

    async def check(self) -> None:
        """Raise `LedgerError` where the ledger cannot be read, is read-only, or refused its last write.

        Writes nothing: of a disk that is full only a write tells.
        """
        ...


class CampaignKey(NamedTuple):
    """A row of `select_campaigns`."""

    seq: int
    state: str
    created_at: float
    policy: str


class BatchCount(NamedTuple):
    """A row of `count_batches` without its campaign, or of `count_sends` without its kind."""

    state: str
    error_code: str
    batches: int
    recipients: int
    excluded: int
    #: Segments of what is not excluded, and those of its earlier attempts.
    segments: int
    segments_before: int


def find_known(
    keys: Iterable[CampaignKey], known: Mapping[int, CampaignTotals]
) -> Mapping[int, CampaignTotals]:
    """Return what is known of these very campaigns: a file gives the key of a discarded one to the next."""
    return {
        key.seq: known[key.seq]
        for key in keys
        if key.seq in known and known[key.seq].created_at == key.created_at
    }


def choose_campaigns(keys: Iterable[CampaignKey], known: Mapping[int, CampaignTotals]) -> list[int]:
    """Return the campaigns that have to be counted."""
    return [key.seq for key in keys if key.seq not in known or known[key.seq].state.value != key.state]


def sum_campaigns(
    keys: Iterable[CampaignKey], known: Mapping[int, CampaignTotals], rows: Iterable[Sequence[Any]]
) -> Mapping[int, CampaignTotals]:
    """Sum the rows of `count_batches` for each campaign that was counted; the others are as they were."""
    by_campaign = _group(rows)
    return {
        key.seq: CampaignTotals(
            seq=key.seq,
            state=CampaignState(key.state),
            created_at=key.created_at,
            policy=key.policy,
            counts=sum_counts(by_campaign[key.seq]),
        )
        if key.seq not in known or known[key.seq].state.value != key.state
        else known[key.seq]
        for key in keys
    }


def sum_sends(rows: Iterable[Sequence[Any]]) -> Mapping[SendKind, RecipientCounts]:
    """Sum the rows of `count_sends` for each kind."""
    by_kind = _group(rows)
    return {kind: sum_counts(by_kind[kind.value]) for kind in SendKind}


def sum_counts(rows: Iterable[BatchCount]) -> RecipientCounts:
    """Sum counts by state and error code."""
    waiting: dict[BatchState, int] = defaultdict(int)
    by_outcome: dict[CodedOutcome, int] = defaultdict(int)
    batches: dict[BatchState, int] = defaultdict(int)
    segments = 0
    for row in rows:
        state, left = BatchState(row.state), row.recipients - row.excluded
        batches[state] += row.batches
        segments += row.segments_before + (row.segments if state in _PAID else 0)
        outcome = OUTCOMES[state]
        if outcome is None:
            waiting[state] += left
        else:
            by_outcome[CodedOutcome(outcome, row.error_code)] += left
        by_outcome[CodedOutcome(Outcome.NOT_SENT)] += row.excluded
    return RecipientCounts(
        queued=waiting[BatchState.QUEUED],
        sending=waiting[BatchState.SENDING],
        by_outcome={coded: count for coded, count in by_outcome.items() if count},
        segments=segments,
        batches=dict(batches),
    )


def _group(rows: Iterable[Sequence[Any]]) -> Mapping[Any, list[BatchCount]]:
    groups: dict[Any, list[BatchCount]] = defaultdict(list)
    for key, *values in rows:
        groups[key].append(BatchCount(*values))
    return groups
