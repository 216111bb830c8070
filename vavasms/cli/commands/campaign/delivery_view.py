"""How far the messages of a campaign came: by prefix, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from vavasms.campaigns.prefixes import PrefixDelivery, count_by_prefix, name_country
from vavasms.campaigns.tracking import EXPIRED, FINAL, UNAVAILABLE
from vavasms.cli import output
from vavasms.cli.commands.campaign.plan_view import make_table
from vavasms.i18n import format_number
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger

#: By why nobody asks any more.
_ENDS: Mapping[str, str] = {
    FINAL: N_("All delivery reports are final."),
    EXPIRED: N_("Delivery reports are not asked for any more: 72 hours are over."),
    UNAVAILABLE: N_(
        "Delivery reports are not asked for: the gateway has no such call at VAVASMS_STATUS_PATH."
    ),
}


@frozen(kw_only=True)
class DeliveryView:
    """What is known of a campaign's delivery."""

    prefixes: Sequence[PrefixDelivery]
    #: Why its reports are not asked for any more; None while they may be.
    tracking: str | None


async def read_delivery(ledger: Ledger, campaign_id: str) -> DeliveryView:
    """Count a campaign's messages by prefix; goes over all of its recipients."""
    accepted = await ledger.accepted_by_prefix(campaign_id)
    counts = await ledger.delivery_counts(campaign_id)
    return DeliveryView(
        prefixes=count_by_prefix(accepted, counts), tracking=await ledger.tracking(campaign_id)
    )


def make_object(view: DeliveryView) -> dict[str, object]:
    """Return it as JSON has it."""
    return {
        "tracking": view.tracking,
        "prefixes": [
            {
                "prefix": each.prefix,
                "owner": each.owner,
                "accepted": each.accepted,
                "delivered": each.delivered,
                "undelivered": each.undelivered,
                "pending": each.pending,
            }
            for each in view.prefixes
        ],
    }


def show_delivery(view: DeliveryView) -> None:
    """Show a line for each prefix; nothing where nothing was accepted."""
    if not view.prefixes:
        return
    table = make_table(_("Accepted"), _("Delivered"), _("Undelivered"), _("Pending"), _("To the prefix"))
    for column in table.columns[1:4]:
        column.justify = "right"
    for each in view.prefixes:
        counts = (each.accepted, each.delivered, each.undelivered, each.pending)
        table.add_row(*map(format_number, counts), _name(each))
    output.say()
    output.output().print(table)
    if view.tracking is not None and view.tracking in _ENDS:
        output.say(_(_ENDS[view.tracking]))


def _name(each: PrefixDelivery) -> str:
    if not each.prefix:
        return _("not told apart: the gateway gave more or fewer ids than numbers")
    if each.owner is None:
        return name_country(each.prefix)
    return _("+{prefix}, {owner}'s prefix", prefix=each.prefix, owner=each.owner)
