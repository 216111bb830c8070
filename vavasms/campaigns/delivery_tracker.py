"""`DeliveryTracker`: follows up the delivery of an account's campaigns, beside their sending and after it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

import anyio
from attrs import define, field

from vavasms.campaigns.delivery_floor import find_shortfall
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.prefixes import DeliveryCounts
from vavasms.campaigns.tracking import (
    EXPIRED,
    FINAL,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OLD_PAUSE,
    RATE,
    UNAVAILABLE,
    CampaignTracker,
    StatusReader,
    is_known_absent,
    is_unavailable,
)
from vavasms.endpoints import NO_STATUS_CALL as KNOWN_ABSENT
from vavasms.endpoints import Account
from vavasms.errors import LedgerError, VavaSMSError, name_error
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign

#: Seconds after its last acceptance for which a campaign is followed up.
TRACKED_FOR = 72 * 3600.0
#: The part of its age that old messages are left alone for.
_AGE_PARTS = 12
#: Seconds for which a message that the gateway does not know may still come to be known.
_NOT_FOUND_FOR = 3600.0
#: Seconds between two looks for campaigns that are over their time.
_EXPIRE_EVERY = 3600.0
#: Seconds after which a turn is asked for anew: its connection may be gone.
_TURN_SECONDS = 600.0
#: Seconds between two tries to get it.
_TURN_PAUSE = 15.0
#: Batches gone over at a time, after which it is another campaign's turn.
_PAGE = 10

NO_STATUS_CALL = N_("The gateway has no delivery status call at VAVASMS_STATUS_PATH: delivery stays unknown.")

logger = logging.getLogger("vavasms")


def pause_after(age: float) -> float:
    """Return the seconds to wait before a campaign is asked after again whose last message is so old.

    They double up to a minute, and grow with the hours up to a quarter of one.
    """
    return min(max(FIRST_PAUSE, min(age, LONGEST_PAUSE), age / _AGE_PARTS), OLD_PAUSE)


@define(kw_only=True, eq=False)
class _Tracked:
    """A campaign that is followed up."""

    tracker: CampaignTracker
    policy: Policy
    revision: int
    #: What was final when this start of it was first looked at: only what became so since is judged.
    before: DeliveryCounts
    #: When its next round begins, or goes on.
    due: float = 0.0
    #: Whether a round has begun.
    is_begun: bool = field(default=False, init=False)
    #: Whether all of it was settled when the round began.
    is_settled: bool = field(default=False, init=False)
    #: Nor does anything of it wait for a late answer or a person: no other message can become accepted.
    is_decided: bool = field(default=False, init=False)


@define(kw_only=True, eq=False)
class DeliveryTracker:
    """The follow-up of all campaigns of an account, within one rate, until all is final or 72 hours are over.

    It ends a campaign's tracking where the gateway has no status call, and pauses a campaign whose delivery
    is under its floor. What fails is tried again, and never disturbs the sending.
    """

    account: Account
    ledger: Ledger
    clock: Callable[[], float] = time.time
    #: Requests a second, for all campaigns.
    rate: float = RATE
    _reader: StatusReader = field(init=False)
    _tracked: dict[str, _Tracked] = field(factory=dict, init=False)
    _expire_at: float = field(default=0.0, init=False)
    _has_told: bool = field(default=False, init=False)

    @_reader.default
    def _make_reader(self) -> StatusReader:
        # One at a time: connections are for the sending.
        return StatusReader(account=self.account, rate=self.rate, concurrency=1)

    async def run(self) -> None:
        """Track until cancelled, whenever it is this process's turn. Raises nothing of its own."""
        # What was sent this moment has no report yet.
        await anyio.sleep(FIRST_PAUSE)
        while True:
            try:
                async with self.ledger.tracking_turn(self.account.name) as is_ours:
                    if is_ours:
                        await self._use_turn()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("Delivery reports wait for the ledger (%s)."), name_error(error))
            await anyio.sleep(_TURN_PAUSE)

    async def _use_turn(self) -> None:
        ends = self.clock() + _TURN_SECONDS
        while self.clock() < ends:  # noqa: ASYNC110  the clock is no event
            await anyio.sleep(await self.run_once())

    async def run_once(self) -> float:
        """Ask after a page of each campaign that is due; return the seconds until the next one is.

        Raises `LedgerError` where the ledger is not at hand.
        """
        await self._expire()
        found = await self.ledger.to_track(self.account.name, since=self.clock() - TRACKED_FOR)
        self._tracked = {key: tracked for key, tracked in self._tracked.items() if key in found}
        for campaign_id in found:
            tracked = await self._find(campaign_id)
            if tracked.policy.track and tracked.due <= self.clock():
                await self._ask(campaign_id, tracked)
        due = [tracked.due for tracked in self._tracked.values() if tracked.policy.track]
        return min(max(min(due, default=float("inf")) - self.clock(), 0.0), FIRST_PAUSE)

    async def _expire(self) -> None:
        now = self.clock()
        if now >= self._expire_at:
            await self.ledger.expire_tracking(self.account.name, EXPIRED, before=now - TRACKED_FOR)
            self._expire_at = now + _EXPIRE_EVERY

    async def _find(self, campaign_id: str) -> _Tracked:
        """Return what is known of a campaign, by the limits that it has now."""
        campaign = await self.ledger.campaign(campaign_id)
        tracked = self._tracked.get(campaign_id)
        if tracked is None or tracked.revision != campaign.revision:
            tracked = self._tracked[campaign_id] = await self._begin(campaign)
        return tracked

    async def _begin(self, campaign: Campaign) -> _Tracked:
        tracker = CampaignTracker(
            reader=self._reader,
            ledger=self.ledger,
            campaign_id=campaign.id,
            clock=self.clock,
            began=self.clock(),
            grace=FIRST_PAUSE,
            page=_PAGE,
        )
        policy = load_policy(campaign.policy)
        # A first start is judged from its beginning, whatever process that was; a later one by what is new.
        is_later = campaign.revision > 1 and policy.min_delivery is not None
        before = await self.ledger.delivery_counts(campaign.id) if is_later else {}
        return _Tracked(tracker=tracker, policy=policy, revision=campaign.revision, before=before)

    async def _ask(self, campaign_id: str, tracked: _Tracked) -> None:
        """Ask after the next page of a campaign; at the end of a round decide what that means."""
        if not tracked.is_begun:
            await self._begin_round(campaign_id, tracked)
        try:
            is_more = await tracked.tracker.ask_page()
        except LedgerError:
            raise
        except VavaSMSError as error:
            await self._give_up(campaign_id, tracked, error)
            return
        await self._pause_under_floor(campaign_id, tracked)
        if is_more:
            return
        tracked.is_begun = False
        age = self.clock() - tracked.tracker.sent_at
        tracked.due = self.clock() + pause_after(age)
        if tracked.is_decided and _is_final(tracked.tracker, age):
            await self.ledger.end_tracking(campaign_id, FINAL, revision=tracked.revision)

    async def _begin_round(self, campaign_id: str, tracked: _Tracked) -> None:
        now, status = self.clock(), await self.ledger.status(campaign_id)
        tracked.is_begun, tracked.is_settled = True, not status.queued and not status.sending
        tracked.is_decided = tracked.is_settled and not status.unknown
        tracked.tracker.begin_round()
        if tracked.policy.min_delivery is not None and not tracked.is_settled:
            # Not at each page: of a million messages it takes a second.
            tracked.tracker.by_prefix = Counter(await self.ledger.delivery_counts(campaign_id))
        if now - tracked.tracker.sent_at < _NOT_FOUND_FOR:
            # What was not found a round ago may be known by now.
            tracked.tracker.began = now

    async def _give_up(self, campaign_id: str, tracked: _Tracked, error: VavaSMSError) -> None:
        """End the tracking where there is no such call; else try all of it again much later."""
        if is_unavailable(error):
            await self.ledger.end_tracking(campaign_id, UNAVAILABLE, revision=tracked.revision)
            if not self._has_told:
                self._has_told = True
                logger.warning(KNOWN_ABSENT if is_known_absent(error) else NO_STATUS_CALL)
            return
        logger.warning(
            N_("Delivery reports could not be read (%s): they are asked for again later."), name_error(error)
        )
        tracked.is_begun, tracked.due = False, self.clock() + OLD_PAUSE

    async def _pause_under_floor(self, campaign_id: str, tracked: _Tracked) -> None:
        floor = tracked.policy.min_delivery
        if floor is None or tracked.is_settled:
            return
        shortfall = find_shortfall(tracked.tracker.by_prefix, floor, before=tracked.before)
        if shortfall is not None:
            await self.ledger.pause(campaign_id, shortfall.sentence.english, revision=tracked.revision)


def _is_final(tracker: CampaignTracker, age: float) -> bool:
    summary = tracker.summary()
    return not summary.waiting and (not summary.not_found or age >= _NOT_FOUND_FOR)
