"""The ledger: what every implementation must do, and the values that go in and out.

A ledger decides; whoever wakes the workers does not. Each method is one committed transaction: once it
returned, its effect outlives this process. One that raised `LedgerError` did nothing, or nobody can tell:
then nothing may be sent on the strength of it.

Times are seconds since the epoch and passed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Protocol

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.ledger.models import (
    BatchRecord,
    Campaign,
    CampaignStatus,
    Claim,
    Delivery,
    NewBatch,
    NewCampaign,
    OptOut,
    QueuedBatch,
    StoredBatch,
)
from vavasms.ledger.optout_codes import OptOutCodes
from vavasms.ledger.otp import OtpStore
from vavasms.ledger.sends import SendStore
from vavasms.ledger.states import BatchEvent
from vavasms.ledger.totals import TotalsStore
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn


def check_open(ledger: object) -> None:
    """Raise `ConfigurationError` for the place of a ledger, where an open one is needed."""
    if not hasattr(ledger, "sends"):
        raise misconfigured(
            _("ledger is an open ledger here, such as await SqliteLedger.open('campaigns.db')."),
            "config.ledger_place",
        )


class Ledger(Protocol):
    """Where campaigns and single sends are kept. Every implementation passes `tests/contract/`."""

    @property
    def sends(self) -> SendStore:
        """The single sends."""
        ...

    @property
    def otp(self) -> OtpStore:
        """The one-time codes that were sent and tried."""
        ...

    @property
    def optout_codes(self) -> OptOutCodes:
        """The codes of opt-out links."""
        ...

    @property
    def totals(self) -> TotalsStore:
        """The sums of campaigns and sends."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether others may run its campaigns at the same time; an embedded ledger has one runner."""
        ...

    async def create(self, campaign: NewCampaign) -> None:
        """Keep a new campaign, `loading`."""
        ...

    async def load(self, campaign_id: str, batches: Sequence[NewBatch]) -> None:
        """Add batches to a campaign that is `loading`, all of them or none.

        A text that holds `CODE_MARK` is one recipient's: the code of the number's opt-out link is put there,
        and kept by the same commit where it is new.
        """
        ...

    async def finish_loading(
        self, campaign_id: str, *, plan: str, plan_hash: str, unless_same: bool = False
    ) -> str | None:
        """Make a campaign `queued`: it is whole.

        With `unless_same`, returns the id of the oldest other campaign of the account that has the same plan
        hash, unless it was cancelled before anything was claimed or this one is a retry of it; else of the
        oldest that is not over, has the same message and a recipient in common, or is a retry of the same
        campaign and has a recipient in common, or is purged. Where there is one, this one stays `loading`.

        Raises `LedgerError`, and leaves it `loading`, where a recipient is in it twice.
        """
        ...

    async def discard(self, campaign_id: str) -> None:
        """Forget a campaign that does not run, and of which nothing was ever claimed. Others stay.

        The codes that were drawn for it go with it, but for those that are in another one's texts by now.
        """
        ...

    async def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign. Raises `InvalidInputError` where there is none of this id."""
        ...

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Count a campaign's recipients. Raises `InvalidInputError` where there is none of this id."""
        ...

    async def statuses(self) -> Sequence[CampaignStatus]:
        """Count the recipients of every campaign, the latest first."""
        ...

    async def set_policy(
        self, campaign_id: str, policy: str, *, max_segments: int | None, replacing: str | None = None
    ) -> bool:
        """Change the limits of a campaign; False where it is not `queued` or `paused`.

        False, too, where a budget would come or go: segments are counted from the beginning or not at all.
        With `replacing`, False where its policy is another one by now: somebody else changed it.
        """
        ...

    async def start(self, campaign_id: str) -> bool:
        """Start a campaign, attempts counted anew and nothing put off; False where its state forbids it."""
        ...

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        """Pause a campaign: no further batch is claimed. False where it is not `queued` or `running`.

        With `revision`, False too where it was started anew since: a person's word counts for more than
        what a runner found out before it. None pauses it in any case.
        """
        ...

    async def cancel(self, campaign_id: str, reason: str) -> bool:
        """Cancel what is queued; False where the campaign has ended.

        What was queued to be sent again is unknown after it: the earlier attempt may have gone out.
        """
        ...

    async def finish(self, campaign_id: str) -> bool:
        """Make a `running` campaign `done` where nothing of it is queued or being sent."""
        ...

    def take_over(self, now: float) -> AbstractAsyncContextManager[Mapping[str, Sequence[int]]]:
        """Take over as the one runner of an embedded ledger; every `sending` of before becomes `unknown`.

        Yields those batches by campaign. Campaigns left `loading` are cancelled. Raises `LedgerBusyError`
        where another runner lives. A distributed ledger excludes nobody and yields nothing.
        """
        ...

    async def reap_orphans(self, *, now: float) -> Mapping[str, Sequence[int]]:
        """Make `unknown` what was claimed longer ago than a call can take, on a shared ledger.

        Returns those batches by campaign; none on an embedded one, where `take_over` does it.
        """
        ...

    async def now(self) -> float:
        """Return the time as all have it who share the ledger, seconds since the epoch."""
        ...

    async def under_way(self, account: str) -> int:
        """Return how many segments of an account are being sent, in campaigns and single sends, by anyone."""
        ...

    async def queued(self, campaign_id: str, *, after: int, limit: int) -> Sequence[QueuedBatch]:
        """Return queued batches in order of their numbers, those after `after`."""
        ...

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        """Take the room of `messages` in the account's rate; return the seconds to wait before sending.

        GCRA: `tat = max(tat, now) + messages / rate`, the wait is what `tat - now` was. `rate` is in
        messages a second. Where the wait is more than `RESERVE_AHEAD` nothing is taken: ask again later.
        A clock that is set back takes what is reserved along: nothing waits for it, nothing is sent sooner.
        """
        ...

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        """Release the room of `messages` that was reserved at this rate and not used."""
        ...

    async def hold(self, account: str, until: float, *, now: float) -> None:
        """Reserve nothing before `until`: the gateway asked for a pause."""
        ...

    async def claim(
        self,
        campaign_id: str,
        number: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
        revision: int | None = None,
    ) -> Claim | None:
        """TX1: commit the intent to send a batch, under a token that was never used before.

        None where it is not `queued`, not due by `QueuedBatch.is_due`, or its campaign not `running`, or
        `revision` is given and no longer the campaign's: a batch is never claimed under limits that were
        changed. Recipients that opted out or are over the daily cap are left out for good; where nobody is
        left the batch is cancelled. Where the budget does not suffice, the campaign is paused with its
        reason. Of a batch that a person had sent again nobody is left out: it goes back to `unknown` whole,
        with the reason in its record, where someone opted out or is over the cap; its own earlier attempts
        count for the cap.
        """
        ...

    async def settle(
        self,
        claim: Claim,
        event: BatchEvent,
        record: BatchRecord,
        *,
        not_before: float = 0.0,
    ) -> bool:
        """TX2: write what became of a claim: `ACCEPT`, `REJECT`, `MARK_UNKNOWN` or `REQUEUE`.

        False, and nothing written, where the batch is another attempt's by now. What is requeued after
        its campaign was cancelled or purged is cancelled. Where a person had the batch sent again, the
        earlier attempt may have gone out: then a `REJECT` ends in `unknown`, and what would be cancelled
        does too; after an `ACCEPT` the budget and the daily cap count the earlier attempts on. Message ids
        are dropped where the campaign is purged.
        """
        ...

    async def abandon(self, campaign_id: str, number: int, token: str) -> bool:
        """Requeue a claim whose own answer was lost: nothing was sent on the strength of it.

        False where there is no such claim: its commit never happened.
        """
        ...

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        """TX2 of a lot that was refused as a whole: queue its halves as two new batches in its place.

        Returns their numbers; None, and nothing written, where the batch is another attempt's by now, and
        None where the campaign is purged: then it is requeued. Raises `InvalidInputError` for a single
        recipient.
        """
        ...

    async def note_balance(self, campaign_id: str, numbers: Collection[int], balance: Decimal) -> None:
        """Keep the balance that was first read after these batches were answered."""
        ...

    async def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        """Return the batches on which a person must decide."""
        ...

    async def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        """Take unknown batches for accepted; return how many of them were."""
        ...

    async def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        """Queue unknown batches again that were claimed before `sent_before`; return how many.

        On a shared ledger never one that was claimed within `RESEND_GRACE`: whoever claimed it might still
        send. The earlier attempt stays possibly sent and paid: the budget and the daily cap count it on. A
        campaign that was `done` is `paused` after it. Raises `InvalidInputError` where it is cancelled or
        purged.
        """
        ...

    async def batches(self, campaign_id: str, *, after: int, limit: int) -> Sequence[StoredBatch]:
        """Return batches in order of their numbers, those after `after`."""
        ...

    async def active_since(self, since: float) -> Sequence[Campaign]:
        """Return the campaigns of which anything was sent since then, the oldest first; no purged one."""
        ...

    async def reached(self, campaign_id: str, *, since: float = 0.0) -> frozenset[int]:
        """Return the numbers that have a campaign's message, or may have it: what was sent since then.

        As integers for their size. What is unknown, under way or queued to be sent again counts: nobody can
        say that it was not sent.
        """
        ...

    async def addressed(self, campaign_id: str) -> frozenset[int]:
        """Return the numbers that have a campaign's message, may have it, or are still to have it."""
        ...

    async def recipients(self, campaign_id: str) -> frozenset[int]:
        """Return the numbers of a campaign, whatever became of them; none of a purged one."""
        ...

    async def retries(self, campaign_id: str) -> Sequence[Campaign]:
        """Return the campaigns made of this one's recipients, the oldest first; those that are whole."""
        ...

    async def record_deliveries(self, campaign_id: str, deliveries: Collection[Delivery]) -> None:
        """Keep the latest word on each of these messages; nothing of a purged campaign."""
        ...

    async def deliveries(self, campaign_id: str, message_ids: Collection[str]) -> Mapping[str, Delivery]:
        """Return what is known of these messages."""
        ...

    async def delivery_counts(self, campaign_id: str) -> Mapping[tuple[str, DeliveryStatus], int]:
        """Count the messages that have a report, by prefix and status; what is not found counts as `OTHER`.

        The prefix is empty where ids and numbers cannot be paired.
        """
        ...

    async def accepted_by_prefix(self, campaign_id: str) -> Mapping[str, int]:
        """Count the recipients whose message was accepted, by prefix. Goes over all of them."""
        ...

    async def to_track(self, account: str, *, since: float) -> Sequence[str]:
        """Return the campaigns of an account of which something was accepted since, the oldest first.

        Without those whose tracking has ended, that are loading or purged. A start has it begin anew.
        """
        ...

    async def tracking(self, campaign_id: str) -> str | None:
        """Return why nobody asks for a campaign's delivery reports any more; None where somebody may."""
        ...

    async def end_tracking(
        self, campaign_id: str, reason: str | None, *, revision: int | None = None
    ) -> None:
        """Keep why nobody asks for a campaign's delivery reports any more; None: somebody may again.

        With `revision`, nothing is kept where it was started anew since: what is sent by that has no report.
        """
        ...

    async def expire_tracking(self, account: str, reason: str, *, before: float) -> int:
        """End the tracking of the campaigns of an account whose last message was accepted before then.

        Returns how many there were.
        """
        ...

    def tracking_turn(self, account: str) -> AbstractAsyncContextManager[bool]:
        """Hold the turn to ask for an account's delivery reports; yields False where another has it.

        It ends with the process, or with its connection: whoever holds it asks for it anew now and then.
        Of an embedded ledger it is always the one runner's.
        """
        ...

    async def purge(self, campaign_id: str) -> None:
        """Forget a campaign's numbers and texts, keep its counts; the daily cap forgets them too.

        The codes of opt-out links stay, each with its number: a link in an SMS works on.

        In parts, between which others write. Where it is cut off nothing of it is sent any more, and another
        purge goes on.

        Raises `InvalidInputError` where it is neither `done` nor `cancelled`; `LedgerError` where it is
        forgotten, and what was there could not be erased yet: purge again.
        """
        ...

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        """Return the opt-out list in order of the numbers, those after `after`."""
        ...

    async def opted_out(self) -> frozenset[int]:
        """Return the numbers of the whole opt-out list, as integers for their size."""
        ...

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the opt-out list; return how many were new.

        A number that a link put there keeps its place by this reason from now on, unless that is a link too:
        the link does not take it back any more.
        """
        ...

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Take numbers off the opt-out list; return how many were on it."""
        ...

    async def aclose(self) -> None:
        """Close the connections. May be called twice."""
        ...
