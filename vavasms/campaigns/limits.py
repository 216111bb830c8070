"""Other limits for a campaign that waits: a budget that was spent, a floor that was reached."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from vavasms.campaigns.policy import dump_policy, load_policy
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.rows import in_a_state
from vavasms.ledger.states import CampaignState


async def change_limits(
    ledger: Ledger,
    campaign_id: str,
    *,
    budget: Decimal | None = None,
    balance_floor: Decimal | None = None,
    min_delivery: Decimal | None = None,
) -> None:
    """Set other limits of a campaign that is queued or paused; None leaves one as it is.

    Budget and balance floor are XOF, the least delivery is a share. The budget is of the whole campaign, what
    is spent already included. What somebody else changes at the same time stays. Raises `InvalidInputError`
    where the campaign runs or has ended, and for a budget where it was begun without: what it spent was not
    counted.
    """
    limits = {"budget": budget, "balance_floor": balance_floor, "min_delivery": min_delivery}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    while given and not await _change(ledger, campaign_id, given):
        pass


async def _change(ledger: Ledger, campaign_id: str, limits: Mapping[str, Any]) -> bool:
    """Change the limits as they are now; False where somebody else did meanwhile."""
    campaign = await ledger.campaign(campaign_id)
    before = load_policy(campaign.policy)
    if "budget" in limits and before.budget is None:
        raise InvalidInputError(
            _("The campaign {id} was begun without a budget: none can be set.", id=repr(campaign_id)),
            error_code="campaign.no_budget",
        )
    policy = evolve(before, **limits)
    text, segments = dump_policy(policy), policy.max_segments
    if await ledger.set_policy(campaign_id, text, max_segments=segments, replacing=campaign.policy):
        return True
    latest = await ledger.campaign(campaign_id)
    if latest.state in (CampaignState.QUEUED, CampaignState.PAUSED) and latest.policy != campaign.policy:
        return False
    if latest.state is CampaignState.RUNNING:
        raise InvalidInputError(
            _("The campaign {id} is running: pause it first. Nothing was changed.", id=repr(campaign_id)),
            error_code="campaign.running",
        )
    raise InvalidInputError(
        _(
            "The campaign {id} {is_state}, and has its limits for good. Nothing was changed.",
            id=repr(campaign_id),
            is_state=in_a_state(latest.state),
        ),
        error_code="campaign.ended",
    )
