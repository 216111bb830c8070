"""`campaign status`, `list`, `pause`, `cancel`, `purge`: all work beside a runner."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.words import CANCELLED_BY_HAND, PAUSED_BY_HAND
from vavasms.cli import output
from vavasms.cli.commands.campaign import delivery_view
from vavasms.cli.commands.campaign.delivery_view import DeliveryView
from vavasms.cli.commands.campaign.status_view import (
    count_outcomes,
    find_budget,
    make_object,
    show_next,
    show_outcomes,
    tell_state,
)
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag, Yes
from vavasms.cli.prompts import confirm
from vavasms.errors import InvalidInputError
from vavasms.i18n import Sentence, format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign, CampaignStatus
from vavasms.ledger.rows import in_a_state, still_going
from vavasms.ledger.states import CampaignState

_ENDED = (CampaignState.DONE, CampaignState.CANCELLED)


def status(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Show how far a campaign is."""

    async def read(opened: Ledger) -> tuple[Campaign, CampaignStatus, Decimal | None, DeliveryView]:
        campaign, progress = await opened.campaign(campaign_id), await opened.status(campaign_id)
        budget = await find_budget(opened, progress)
        return campaign, progress, budget, await delivery_view.read_delivery(opened, campaign_id)

    campaign, progress, budget, delivery = run_on_ledger(ledger, read)
    if as_json:
        output.print_json(make_object(progress) | {"delivery": delivery_view.make_object(delivery)})
    else:
        _show(campaign, progress)
        delivery_view.show_delivery(delivery)
        show_next(progress, repeat_option(ledger), budget=budget)


def list_campaigns(*, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """List the campaigns of the ledger, the latest first."""
    statuses = run_on_ledger(ledger, lambda opened: opened.statuses())
    if as_json:
        for progress in statuses:
            output.print_json(make_object(progress))
    elif statuses:
        output.output().print(_table(statuses))
    else:
        output.say(_("There is no campaign in this ledger."))


def pause(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Pause a campaign: nothing further is sent, what is under way is finished."""
    paused = run_on_ledger(ledger, lambda opened: _pause(opened, campaign_id))
    if as_json:
        output.print_json(make_object(paused))
        return
    name = output.clean(paused.id)
    output.say(_("The campaign {id} is paused: {left}.", id=name, left=_left(paused)))
    purpose = _("To go on:")
    output.say(f"{purpose} vavasms campaign resume {name}{repeat_option(ledger)}")


def cancel(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """End a campaign for good: what was not sent never is."""
    cancelled = run_on_ledger(ledger, lambda opened: _cancel(opened, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(cancelled))
        return
    output.say(
        ngettext(
            "The campaign {id} is cancelled: {n} recipient not sent to.",
            "The campaign {id} is cancelled: {n} recipients not sent to.",
            cancelled.not_sent,
            id=output.clean(cancelled.id),
        )
    )
    if cancelled.sending:
        output.say(
            ngettext(
                "Still under way, and settled when answered: {n} recipient.",
                "Still under way, and settled when answered: {n} recipients.",
                cancelled.sending,
            )
        )


def purge(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """Forget the numbers and texts of an ended campaign, keep its counts."""
    purged = run_on_ledger(ledger, lambda opened: _purge(opened, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(purged))
    else:
        output.say(_("The numbers and texts of the campaign {id} are forgotten.", id=output.clean(purged.id)))


async def _pause(ledger: Ledger, campaign_id: str) -> CampaignStatus:
    paused = await ledger.pause(campaign_id, PAUSED_BY_HAND)
    progress = await ledger.status(campaign_id)
    if not paused and progress.state is not CampaignState.PAUSED:
        raise InvalidInputError(
            _(
                "The campaign {id} {is_state}: it cannot be paused.",
                id=repr(progress.id),
                is_state=in_a_state(progress.state),
            ),
            error_code="campaign.ended",
            outcome=None,
        )
    return progress


async def _cancel(ledger: Ledger, campaign_id: str, *, yes: bool) -> CampaignStatus:
    progress = await ledger.status(campaign_id)
    if progress.state in _ENDED:
        raise _no_cancelling(progress)
    confirm(
        _(
            "The campaign {id} {is_state}: {left}. They never would be, and it cannot be resumed.",
            id=output.clean(progress.id),
            is_state=in_a_state(progress.state),
            left=_left(progress),
        ),
        word=_("yes"),
        yes=yes,
    )
    done = await ledger.cancel(campaign_id, CANCELLED_BY_HAND)
    progress = await ledger.status(campaign_id)
    if not done:
        raise _no_cancelling(progress)  # pragma: no cover - it ended while the question stood there
    return progress


async def _purge(ledger: Ledger, campaign_id: str, *, yes: bool) -> CampaignStatus:
    progress = await ledger.status(campaign_id)
    if progress.state not in _ENDED:
        raise still_going(campaign_id, progress.state, "purged")
    question: str = ngettext(
        "The numbers, texts and message ids of {n} recipient will be forgotten for good; the counts stay.",
        "The numbers, texts and message ids of {n} recipients will be forgotten for good; the counts stay.",
        progress.recipients,
    )
    if progress.unknown:
        unknown = ngettext(
            "Of {n} recipient the outcome is unknown: nobody can look it up then.",
            "Of {n} recipients the outcome is unknown: nobody can look it up then.",
            progress.unknown,
        )
        question = f"{question} {unknown}"
    confirm(question, word=_("yes"), yes=yes)
    await ledger.purge(campaign_id)
    return await ledger.status(campaign_id)


def _no_cancelling(progress: CampaignStatus) -> InvalidInputError:
    return InvalidInputError(
        _(
            "The campaign {id} {is_state}: it cannot be cancelled.",
            id=repr(progress.id),
            is_state=in_a_state(progress.state),
        ),
        error_code="campaign.ended",
        outcome=None,
    )


def _left(progress: CampaignStatus) -> Sentence:
    left = ngettext(
        "{n} recipient still to be sent to", "{n} recipients still to be sent to", progress.queued
    )
    return _("{left}, {n} under way", left=left, n=progress.sending) if progress.sending else left


def _show(campaign: Campaign, progress: CampaignStatus) -> None:
    head = _("Campaign {id} {is_state}.", id=output.clean(progress.id), is_state=tell_state(progress))
    output.say(head, style="bold")
    show_outcomes(progress, load_policy(campaign.policy))
    batches = ngettext("{n} batch", "{n} batches", progress.batches)
    if progress.sending:
        under_way = ngettext("{n} recipient under way", "{n} recipients under way", progress.sending)
        output.say(_("In {batches}; {under_way}.", batches=batches, under_way=under_way))
    else:
        output.say(_("In {batches}.", batches=batches))


def _table(statuses: Sequence[CampaignStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    # An id that is cut is of no use.
    longest = max(len(progress.id) for progress in statuses)
    table.add_column(_("Campaign"), no_wrap=True, overflow="fold", min_width=longest)
    table.add_column(_("State"))
    for name in (_("Recipients"), _("Left"), _("Accepted"), _("Rejected"), _("Not sent"), _("Unknown")):
        # A word that is cut is of no use either; two break between them.
        table.add_column(name, justify="right", no_wrap=" " not in name)
    for progress in statuses:
        counts = (progress.recipients, progress.queued + progress.sending, *count_outcomes(progress).values())
        numbers = map(format_number, counts)
        table.add_row(Text(output.clean(progress.id)), _(progress.state.value), *numbers)
    return table
