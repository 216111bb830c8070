"""What a ledger takes and returns: campaigns, batches, claims, opt-outs."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from attrs import field, frozen

from vavasms.ledger.states import BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: Seconds of a rate that can be reserved ahead: whoever dies while it waits leaves no longer a gap behind.
RESERVE_AHEAD = 60.0
#: Seconds; no batch is put off for longer. What seems to be was put off by a clock that was set back since.
LONGEST_DELAY = 120.0
#: Digits of a number that are its prefix: in Côte d'Ivoire the calling code and two more.
PREFIX_DIGITS = 5


class Exclusion(Enum):
    """Why a recipient of a batch was left out when it was claimed: its own outcome is `NOT_SENT`."""

    #: On the opt-out list.
    OPTED_OUT = "opted_out"
    #: Has had its messages of this rolling day.
    CAPPED = "capped"


@frozen(kw_only=True)
class NewCampaign:
    """A campaign to be kept."""

    id: str
    #: Whose account pays: the rate counts per account. Never a password.
    account: str = field(repr=False)
    sender_id: str
    #: The template, as it was written.
    message: str = field(repr=False)
    #: The policy as JSON: the ledger keeps it, and reads in it at most whether there is a rate.
    policy: str = "{}"
    created_at: float
    #: Segments that may be spent in all; None: no budget.
    max_segments: int | None = None
    #: Messages a recipient may have in a rolling day, over all campaigns; None: no cap.
    daily_cap: int | None = None
    #: The campaign whose recipients are sent to once more; None for any other.
    retry_of: str | None = None


@frozen(kw_only=True)
class NewBatch:
    """A batch to be kept: one text and whom to send it to."""

    #: From 0, one after the other.
    number: int
    #: The text as it will be sent.
    message: str = field(repr=False)
    #: SMS to pay per recipient.
    segments: int
    recipients: tuple[Msisdn, ...]
    #: Of each recipient the cells of the list that are kept; empty where none are.
    kept: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


@frozen(kw_only=True)
class Campaign:
    """A campaign as the ledger has it."""

    id: str
    state: CampaignState
    #: Why it is paused or cancelled; None otherwise.
    reason: str | None
    account: str = field(repr=False)
    sender_id: str
    message: str = field(repr=False)
    policy: str
    #: The plan as JSON; `{}` while it is loading.
    plan: str
    #: Tells whether two campaigns send the same texts to the same recipients; empty while loading.
    plan_hash: str
    created_at: float
    #: Counts its starts after a pause. Its limits change only while it waits: who knows an older number knows
    #: other limits, and neither claims nor pauses any more.
    revision: int
    #: The campaign whose recipients are sent to once more; None for any other.
    retry_of: str | None = None


@frozen(kw_only=True)
class CampaignStatus:
    """How far a campaign is, in recipients. The eight add up: see `recipients`."""

    id: str
    state: CampaignState
    reason: str | None
    #: queued + sending + accepted + rejected + not_sent + unknown.
    recipients: int
    queued: int
    sending: int
    accepted: int
    rejected: int
    not_sent: int
    unknown: int
    batches: int
    #: SMS paid or possibly paid so far: of what is accepted, unknown or under way, and of the earlier
    #: attempts of what was sent again, since nobody knows what became of them.
    segments: int


@frozen(kw_only=True)
class QueuedBatch:
    """A batch that waits: enough to reserve its share of the rate."""

    number: int
    #: Messages to send, exclusions so far left out.
    messages: int
    #: SMS to pay per recipient.
    segments: int
    #: Not to be tried before; more than `LONGEST_DELAY` ahead it says nothing.
    not_before: float

    def is_due(self, now: float) -> bool:
        """Return whether it may be tried now."""
        return not now < self.not_before <= now + LONGEST_DELAY


@frozen(kw_only=True)
class Claim:
    """A committed intent: the right to make one call."""

    campaign_id: str
    number: int
    #: New for each attempt; TX2 is fenced by it.
    token: str
    #: When it was committed.
    at: float
    #: How often this batch was claimed since a person last started the campaign, this time included.
    attempt: int
    message: str = field(repr=False)
    segments: int
    #: Whom to send to, exclusions left out; never empty.
    recipients: tuple[Msisdn, ...]


@frozen(kw_only=True)
class BatchRecord:
    """What is kept of the answer to a batch: one value on its row."""

    #: Empty where the gateway named none.
    lot_id: str = ""
    message_ids: tuple[str, ...] = ()
    #: `TypeOfError: its sentence`, or what a person decided; None for a plain success.
    error: str | None = None
    #: The gateway's own words; kept of single sends only.
    description: str = field(default="", repr=False)
    #: The code of that error; None where there is none, and of what older versions wrote.
    code: str | None = None


@frozen(kw_only=True)
class StoredBatch:
    """A batch with its recipients, for reports and decisions."""

    number: int
    state: BatchState
    #: The text; empty where it is purged.
    message: str = field(repr=False)
    segments: int
    record: BatchRecord
    #: Attempts before the latest of which nobody knows whether they went out.
    unknown_attempts: int
    #: When its last intent was committed; None where there was none.
    sending_at: float | None
    #: The account's balance as last read before the claim, and as first read after the answer: a hint.
    balance_before: Decimal | None
    balance_after: Decimal | None
    #: In the order they were sent, with why one was left out.
    recipients: tuple[tuple[Msisdn, Exclusion | None], ...]
    #: Of each of them the cells of the list that are kept: the plan names their columns.
    kept: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


@frozen(kw_only=True)
class Delivery:
    """What a delivery report said of one message."""

    message_id: str
    status: DeliveryStatus
    raw_status: str
    at: float
    #: The first digits of the number it was for; empty where ids and numbers cannot be paired. No operator's:
    #: numbers are ported.
    prefix: str = ""


@frozen(kw_only=True)
class OptOut:
    """A number that wants no messages."""

    recipient: Msisdn
    #: Where it came from: `cli`, a file's name, `inbound`.
    source: str
    at: float
