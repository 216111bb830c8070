"""A campaign made of another one's recipients: who was rejected, not sent to, or not delivered to."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum

from attrs import evolve, field, frozen

from vavasms.campaigns.planning.contacts import ContactList, Judge
from vavasms.campaigns.planning.history import History, read_family
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.planner import Planner
from vavasms.campaigns.report import PAGE, pair_ids
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign, Delivery, Exclusion, StoredBatch
from vavasms.ledger.rows import check_campaign_id, still_going
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.models import DeliveryStatus

#: The cells of a row before those that are kept: the number and the text.
_NUMBER, _TEXT = "number", "text"
_Row = tuple[int, list[str]]


class RetryReason(Enum):
    """Why a recipient may be sent to once more. The unknown are none of these: they may have the message."""

    REJECTED = "rejected"
    #: The gateway reported that the message failed.
    UNDELIVERED = "undelivered"
    #: Cancelled, or left out when its batch was sent.
    NOT_SENT = "not-sent"


@frozen(kw_only=True)
class RetryList:
    """Whom a retry is for, each with the text and the kept cells that it had; in memory."""

    campaign: Campaign
    rows: Sequence[_Row] = field(repr=False)
    counts: Mapping[RetryReason, int]
    #: Who would be in it, and is in an earlier retry of the same campaign.
    before: int
    #: The columns whose cells are kept.
    keep: tuple[str, ...]

    def open(self) -> ContactList:
        """Return it as the list that a planner takes."""
        columns = (_NUMBER, _TEXT, *self.keep)
        return ContactList(stream=io.BytesIO(), records=iter(self.rows), columns=columns, phone_index=0)

    def make_planner(self, batch_size: int, history: History) -> Planner:
        """Return the planner of it; each one's text is the one that was planned for it before."""
        return Planner(
            judge=Judge(opted_out=history.opted_out, excluded=history.excluded),
            template=StoredTexts(),
            batch_size=batch_size,
            is_plain=False,
            keep=tuple(range(2, 2 + len(self.keep))),
        )

    def describe(self, plan: CampaignPlan) -> CampaignPlan:
        """Add what it was made of to a plan."""
        counts = {reason.value: count for reason, count in self.counts.items()}
        return evolve(
            plan, retry_of=self.campaign.id, retries=counts, retried_before=self.before, keep=self.keep
        )


@frozen
class StoredTexts:
    """Stands in for the message of a campaign whose texts are there already: the second cell of each row."""

    names: tuple[str, ...] = ()
    #: The codes are in the texts already.
    has_link: bool = False

    def render(self, cells: Sequence[str]) -> str:
        """Return the text to the letter."""
        return cells[1]

    def used(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return what is looked at for letters that were misread."""
        return (cells[1],)

    def filled(self, _cells: Sequence[str]) -> frozenset[str]:
        """Return no names: there are no columns."""
        return frozenset()

    def count_no_values(self, _cells: Sequence[str]) -> int:
        """Return 0."""
        return 0

    def missing(self, _cells: Sequence[str]) -> tuple[str, ...]:
        """Return no names."""
        return ()


def parse_reasons(what: str | Iterable[str | RetryReason]) -> frozenset[RetryReason]:
    """Read `rejected,undelivered,not-sent`, or several such words. Raises `InvalidInputError` for another."""
    words = what.split(",") if isinstance(what, str) else what
    try:
        reasons = frozenset(RetryReason(word.strip() if isinstance(word, str) else word) for word in words)
    except (TypeError, ValueError):
        reasons = frozenset()
    if not reasons:
        raise InvalidInputError(
            _(
                "What is retried is {words}, not {text}. The unknown never are: `vavasms campaign resolve` "
                "decides on them. Nothing was sent.",
                words=_name_reasons(RetryReason),
                text=repr(what)[:60],
            ),
            error_code="campaign.retry",
        )
    return reasons


def _name_reasons(reasons: Iterable[RetryReason]) -> str:
    """Return the words as they are typed."""
    return ", ".join(f"`{reason.value}`" for reason in reasons)


async def read_retry(ledger: Ledger, campaign_id: str, reasons: Collection[RetryReason]) -> RetryList:
    """Collect whom a retry of a campaign is for.

    Nobody who is in an earlier retry of it: that one can be retried itself. Raises `InvalidInputError` where
    the campaign has not ended, it or a retry of it is purged, or nobody is left.
    """
    check_campaign_id(campaign_id)
    campaign = await ledger.campaign(campaign_id)
    if campaign.state not in (CampaignState.DONE, CampaignState.CANCELLED):
        raise still_going(campaign.id, campaign.state, "retried")
    if not campaign.plan_hash:
        raise InvalidInputError(
            _(
                "The campaign {id} was never whole: it was cut off as its list was loaded. Nothing was sent.",
                id=repr(campaign_id),
            ),
            error_code="campaign.state",
        )
    await read_family(ledger, campaign)
    earlier = await ledger.retries(campaign_id)
    people = [await ledger.recipients(retry.id) for retry in earlier]
    retried = frozenset().union(*people)
    keep = tuple(json.loads(campaign.plan).get("keep", ()))
    counts: Counter[RetryReason] = Counter()
    rows: list[_Row] = []
    before, after = 0, -1
    while batches := await ledger.batches(campaign_id, after=after, limit=PAGE):
        after = batches[-1].number
        known = await _read_deliveries(ledger, campaign_id, batches)
        for batch in batches:
            for place, reason in _find_places(batch, known, reasons):
                number = batch.recipients[place][0]
                if int(number) in retried:
                    before += 1
                    continue
                counts[reason] += 1
                rows.append((len(rows) + 1, [str(number), batch.message, *batch.kept[place]]))
    if not rows:
        raise await _nobody(ledger, campaign, earlier if before else (), reasons)
    return RetryList(campaign=campaign, rows=rows, counts=counts, before=before, keep=keep)


async def find_others(ledger: Ledger, campaign: Campaign) -> Sequence[str]:
    """Return the campaigns that sent the same message since a campaign was made, but for those it comes of.

    Somebody may have sent by hand to those to whom nothing came.
    """
    line, name = {campaign.id}, campaign.retry_of
    while name is not None and name not in line:
        line.add(name)
        name = (await ledger.campaign(name)).retry_of
    active = await ledger.active_since(campaign.created_at)
    return [other.id for other in active if other.message == campaign.message and other.id not in line]


async def _read_deliveries(
    ledger: Ledger, campaign_id: str, batches: Sequence[StoredBatch]
) -> Mapping[str, Delivery]:
    ids = [message_id for batch in batches for message_id in batch.record.message_ids]
    return await ledger.deliveries(campaign_id, ids) if ids else {}


def _find_places(
    batch: StoredBatch, known: Mapping[str, Delivery], reasons: Collection[RetryReason]
) -> Iterator[tuple[int, RetryReason]]:
    """Yield the places of a batch's recipients that are retried, and why."""
    ids = iter(pair_ids(batch))
    for place, (_number, exclusion) in enumerate(batch.recipients):
        message_id = None if exclusion is not None else next(ids, None)
        reason = _find_reason(batch, exclusion, known.get(message_id or ""))
        if reason is not None and reason in reasons:
            yield place, reason


def _find_reason(
    batch: StoredBatch, exclusion: Exclusion | None, delivery: Delivery | None
) -> RetryReason | None:
    """Return why a recipient may be sent to again; None where it may have the message, or waits for it."""
    if exclusion is not None or batch.state is BatchState.CANCELLED:
        return RetryReason.NOT_SENT
    if batch.state is BatchState.REJECTED:
        return RetryReason.REJECTED
    has_failed = delivery is not None and delivery.status is DeliveryStatus.FAILED
    # What was sent again after an unknown attempt may have come by that.
    if batch.state is BatchState.ACCEPTED and has_failed and not batch.unknown_attempts:
        return RetryReason.UNDELIVERED
    return None


async def _nobody(
    ledger: Ledger, campaign: Campaign, earlier: Sequence[Campaign], reasons: Collection[RetryReason]
) -> InvalidInputError:
    """Build the error of a retry that would be for nobody; `earlier` are the retries that have them."""
    values = {
        "id": campaign.id,
        "words": _name_reasons([reason for reason in RetryReason if reason in reasons]),
    }
    if earlier:
        names = ", ".join(retry.id for retry in earlier)
        sentence = _(
            "All of the campaign {id} who could be retried ({words}) are in a retry already: {names}. "
            "Nothing was sent.",
            **values,
            names=names,
        )
    elif (await ledger.status(campaign.id)).unknown:
        sentence = _(
            "Nobody of the campaign {id} is left to retry ({words}). The unknown never are: "
            "`vavasms campaign resolve {id}` decides on them. Nothing was sent.",
            **values,
        )
    else:
        sentence = _("Nobody of the campaign {id} is left to retry ({words}). Nothing was sent.", **values)
    return InvalidInputError(sentence, error_code="list.nobody")
