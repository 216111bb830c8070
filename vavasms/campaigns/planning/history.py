"""What a ledger knows of a list's numbers before anything of it is sent."""

from __future__ import annotations

from collections.abc import Container, Sequence

from attrs import field, frozen

from vavasms.campaigns.planning.plan import Earlier
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign
from vavasms.ledger.rows import check_campaign_id, still_going
from vavasms.ledger.states import CampaignState

_DAY = 86_400


@frozen(kw_only=True)
class Reach:
    """The numbers that one campaign, or the single sends, reached today or may have reached."""

    #: None: single sends.
    campaign_id: str | None = None
    sender_id: str | None = None
    #: As it was written; empty of single sends, whose texts are not kept.
    message: str = field(default="", repr=False)
    numbers: frozenset[int] = field(repr=False)

    def count(self, message: str, recipients: Container[int]) -> Earlier:
        """Count those that are among the recipients of a message."""
        return Earlier(
            campaign_id=self.campaign_id,
            sender_id=self.sender_id,
            is_same_message=self.message == message,
            count=sum(number in recipients for number in self.numbers),
        )


@frozen(kw_only=True)
class History:
    """What is known of numbers: who wants no message, who is left out, who had one today."""

    opted_out: frozenset[int] = field(default=frozenset(), repr=False)
    #: The campaigns whose recipients are left out, and these.
    exclude: tuple[str, ...] = ()
    excluded: frozenset[int] = field(default=frozenset(), repr=False)
    today: tuple[Reach, ...] = field(default=(), repr=False)


async def read_history(ledger: Ledger, *, exclude: str | Sequence[str] = (), now: float) -> History:
    """Read it. Today begins at midnight in Abidjan, which is UTC.

    `exclude` names campaigns: whoever has the message of one or of a retry of it, may have it, or is still to
    have it, is left out. Raises `InvalidInputError` where there is no such campaign, or one is loading or
    purged.
    """
    excluded: frozenset[int] = frozenset()
    names = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    for name in names:
        check_campaign_id(name)
        first = await ledger.campaign(name)
        if first.state is CampaignState.LOADING:
            # Whom else it is for is not known yet.
            raise still_going(name, first.state, "excluded")
        for campaign in await read_family(ledger, first):
            excluded |= await ledger.addressed(campaign.id)
    return History(
        opted_out=await ledger.opted_out(),
        exclude=names,
        excluded=excluded,
        today=await _read_today(ledger, since=now - now % _DAY),
    )


async def read_family(ledger: Ledger, campaign: Campaign) -> Sequence[Campaign]:
    """Return a campaign, its retries, and theirs.

    Raises `InvalidInputError` where one is purged: nobody knows any more who was in it.
    """
    family, place = [campaign], 0
    while place < len(family):
        if not family[place].message:
            raise InvalidInputError(
                _(
                    "The numbers of the campaign {id} are forgotten: nobody can say who has its message. "
                    "Nothing was sent.",
                    id=family[place].id,
                ),
                error_code="campaign.purged",
            )
        family += await ledger.retries(family[place].id)
        place += 1
    return family


async def _read_today(ledger: Ledger, *, since: float) -> tuple[Reach, ...]:
    reaches = [
        Reach(
            campaign_id=campaign.id,
            sender_id=campaign.sender_id,
            message=campaign.message,
            numbers=await ledger.reached(campaign.id, since=since),
        )
        for campaign in await ledger.active_since(since)
    ]
    return (*reaches, Reach(numbers=await ledger.sends.reached(since)))
