"""`campaign status`, `list`, `pause`, `cancel`, `purge`: all work beside a runner."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio
from rich.table import Table
from rich.text import Text

from vavasms.campaigns.ledger.models import Campaign, CampaignStatus
from vavasms.campaigns.ledger.rows import still_going
from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.states import CampaignState
from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import make_object, show_next, show_outcomes
from vavasms.cli.ledger_option import LedgerPath, open_existing, repeat_option
from vavasms.cli.params import CampaignId, JsonFlag, Yes
from vavasms.cli.prompts import confirm
from vavasms.errors import InvalidInputError

_ENDED = (CampaignState.DONE, CampaignState.CANCELLED)


def status(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Show how far a campaign is."""
    campaign, found = anyio.run(_read, ledger, campaign_id)
    if as_json:
        output.print_json(make_object(found))
    else:
        _show(campaign, found)
        show_next(found, repeat_option(ledger))


def list_campaigns(*, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """List the campaigns of the ledger, the latest first."""
    found = anyio.run(_read_all, ledger)
    if as_json:
        for each in found:
            output.print_json(make_object(each))
    elif found:
        output.output().print(_table(found))
    else:
        output.say("There is no campaign in this ledger.")


def pause(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Pause a campaign: nothing further is sent, what is under way is finished."""
    found = anyio.run(_pause, ledger, campaign_id)
    if as_json:
        output.print_json(make_object(found))
        return
    output.say(f"The campaign {output.clean(found.id)} is paused: {_left(found)}.")
    output.say(f"To go on: vavasms campaign resume {output.clean(found.id)}{repeat_option(ledger)}")


def cancel(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """End a campaign for good: what was not sent never is."""
    found = anyio.run(partial(_cancel, ledger, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(found))
        return
    never = output.count(found.not_sent, "recipient")
    output.say(f"The campaign {output.clean(found.id)} is cancelled: {never} not sent to.")
    if found.sending:
        output.say(f"Still under way, and settled when answered: {output.count(found.sending, 'recipient')}.")


def purge(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """Forget the numbers and texts of an ended campaign, keep its counts."""
    found = anyio.run(partial(_purge, ledger, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(found))
    else:
        output.say(f"The numbers and texts of the campaign {output.clean(found.id)} are forgotten.")


async def _read(place: str | None, campaign_id: str) -> tuple[Campaign, CampaignStatus]:
    async with open_existing(place) as ledger:
        return await ledger.campaign(campaign_id), await ledger.status(campaign_id)


async def _read_all(place: str | None) -> Sequence[CampaignStatus]:
    async with open_existing(place) as ledger:
        return await ledger.statuses()


async def _pause(place: str | None, campaign_id: str) -> CampaignStatus:
    async with open_existing(place) as ledger:
        paused = await ledger.pause(campaign_id, "paused by hand")
        found = await ledger.status(campaign_id)
    if not paused and found.state is not CampaignState.PAUSED:
        raise _refusal(found, "paused")
    return found


async def _cancel(place: str | None, campaign_id: str, *, yes: bool) -> CampaignStatus:
    async with open_existing(place) as ledger:
        found = await ledger.status(campaign_id)
        if found.state in _ENDED:
            raise _refusal(found, "cancelled")
        confirm(
            f"The campaign {output.clean(found.id)} is {found.state.value}: {_left(found)}. "
            "They never would be, and it cannot be resumed.",
            word="yes",
            yes=yes,
        )
        done = await ledger.cancel(campaign_id, "cancelled by hand")
        found = await ledger.status(campaign_id)
    if not done:
        raise _refusal(found, "cancelled")  # pragma: no cover - it ended while the question stood there
    return found


async def _purge(place: str | None, campaign_id: str, *, yes: bool) -> CampaignStatus:
    async with open_existing(place) as ledger:
        found = await ledger.status(campaign_id)
        if found.state not in _ENDED:
            raise still_going(campaign_id, found.state, "purged")
        confirm(
            f"The numbers, texts and message ids of {output.count(found.recipients, 'recipient')} will be "
            f"forgotten for good; the counts stay.{_warn_of_unknown(found)}",
            word="yes",
            yes=yes,
        )
        await ledger.purge(campaign_id)
        return await ledger.status(campaign_id)


def _refusal(found: CampaignStatus, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"The campaign {found.id!r} is {found.state.value}: it cannot be {what}.", outcome=None
    )


def _warn_of_unknown(found: CampaignStatus) -> str:
    if not found.unknown:
        return ""
    return (
        f" Of {output.count(found.unknown, 'recipient')} the outcome is unknown: nobody can look it up then."
    )


def _left(found: CampaignStatus) -> str:
    under_way = f", {found.sending:,} under way" if found.sending else ""
    return f"{output.count(found.queued, 'recipient')} still to be sent to{under_way}"


def _show(campaign: Campaign, found: CampaignStatus) -> None:
    why = f": {output.clean(found.reason)}" if found.reason else ""
    output.say(f"Campaign {output.clean(found.id)} is {found.state.value}{why}.", style="bold")
    show_outcomes(found, load_policy(campaign.policy))
    batches = "1 batch" if found.batches == 1 else f"{found.batches:,} batches"
    under_way = f"; {output.count(found.sending, 'recipient')} under way" if found.sending else ""
    output.say(f"In {batches}{under_way}.")


def _table(found: Sequence[CampaignStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    # An id that is cut is of no use.
    table.add_column(
        "Campaign", no_wrap=True, overflow="fold", min_width=max(map(len, (each.id for each in found)))
    )
    table.add_column("State")
    for name in ("Recipients", "Left", "Accepted", "Rejected", "Not sent", "Unknown"):
        table.add_column(name, justify="right")
    for each in found:
        counts = (each.recipients, each.queued + each.sending, each.accepted, each.rejected)
        numbers = [f"{count:,}" for count in (*counts, each.not_sent, each.unknown)]
        table.add_row(Text(output.clean(each.id)), each.state.value, *numbers)
    return table
