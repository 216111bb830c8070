"""`campaign status`, `list`, `pause`, `cancel`, `purge`: all work beside a runner."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from vavasms.campaigns.policy import load_policy
from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import count_outcomes, make_object, show_next, show_outcomes
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag, Yes
from vavasms.cli.prompts import confirm
from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign, CampaignStatus
from vavasms.ledger.rows import still_going
from vavasms.ledger.states import CampaignState

_ENDED = (CampaignState.DONE, CampaignState.CANCELLED)


def status(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Show how far a campaign is."""

    async def read(opened: Ledger) -> tuple[Campaign, CampaignStatus]:
        return await opened.campaign(campaign_id), await opened.status(campaign_id)

    campaign, progress = run_on_ledger(ledger, read)
    if as_json:
        output.print_json(make_object(progress))
    else:
        _show(campaign, progress)
        show_next(progress, repeat_option(ledger))


def list_campaigns(*, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """List the campaigns of the ledger, the latest first."""
    statuses = run_on_ledger(ledger, lambda opened: opened.statuses())
    if as_json:
        for progress in statuses:
            output.print_json(make_object(progress))
    elif statuses:
        output.output().print(_table(statuses))
    else:
        output.say("There is no campaign in this ledger.")


def pause(campaign_id: CampaignId, /, *, ledger: LedgerPath = None, as_json: JsonFlag = False) -> None:
    """Pause a campaign: nothing further is sent, what is under way is finished."""
    paused = run_on_ledger(ledger, lambda opened: _pause(opened, campaign_id))
    if as_json:
        output.print_json(make_object(paused))
        return
    output.say(f"The campaign {output.clean(paused.id)} is paused: {_left(paused)}.")
    output.say(f"To go on: vavasms campaign resume {output.clean(paused.id)}{repeat_option(ledger)}")


def cancel(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """End a campaign for good: what was not sent never is."""
    cancelled = run_on_ledger(ledger, lambda opened: _cancel(opened, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(cancelled))
        return
    never = output.count(cancelled.not_sent, "recipient")
    output.say(f"The campaign {output.clean(cancelled.id)} is cancelled: {never} not sent to.")
    if cancelled.sending:
        under_way = output.count(cancelled.sending, "recipient")
        output.say(f"Still under way, and settled when answered: {under_way}.")


def purge(
    campaign_id: CampaignId, /, *, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """Forget the numbers and texts of an ended campaign, keep its counts."""
    purged = run_on_ledger(ledger, lambda opened: _purge(opened, campaign_id, yes=yes))
    if as_json:
        output.print_json(make_object(purged))
    else:
        output.say(f"The numbers and texts of the campaign {output.clean(purged.id)} are forgotten.")


async def _pause(ledger: Ledger, campaign_id: str) -> CampaignStatus:
    paused = await ledger.pause(campaign_id, "paused by hand")
    progress = await ledger.status(campaign_id)
    if not paused and progress.state is not CampaignState.PAUSED:
        raise _refusal(progress, "paused")
    return progress


async def _cancel(ledger: Ledger, campaign_id: str, *, yes: bool) -> CampaignStatus:
    progress = await ledger.status(campaign_id)
    if progress.state in _ENDED:
        raise _refusal(progress, "cancelled")
    confirm(
        f"The campaign {output.clean(progress.id)} is {progress.state.value}: {_left(progress)}. "
        "They never would be, and it cannot be resumed.",
        word="yes",
        yes=yes,
    )
    done = await ledger.cancel(campaign_id, "cancelled by hand")
    progress = await ledger.status(campaign_id)
    if not done:
        raise _refusal(progress, "cancelled")  # pragma: no cover - it ended while the question stood there
    return progress


async def _purge(ledger: Ledger, campaign_id: str, *, yes: bool) -> CampaignStatus:
    progress = await ledger.status(campaign_id)
    if progress.state not in _ENDED:
        raise still_going(campaign_id, progress.state, "purged")
    people = output.count(progress.unknown, "recipient")
    unknown = f" Of {people} the outcome is unknown: nobody can look it up then."
    confirm(
        f"The numbers, texts and message ids of {output.count(progress.recipients, 'recipient')} will be "
        f"forgotten for good; the counts stay.{unknown if progress.unknown else ''}",
        word="yes",
        yes=yes,
    )
    await ledger.purge(campaign_id)
    return await ledger.status(campaign_id)


def _refusal(progress: CampaignStatus, end: str) -> InvalidInputError:
    return InvalidInputError(
        f"The campaign {progress.id!r} is {progress.state.value}: it cannot be {end}.", outcome=None
    )


def _left(progress: CampaignStatus) -> str:
    under_way = f", {progress.sending:,} under way" if progress.sending else ""
    return f"{output.count(progress.queued, 'recipient')} still to be sent to{under_way}"


def _show(campaign: Campaign, progress: CampaignStatus) -> None:
    why = f": {output.clean(progress.reason)}" if progress.reason else ""
    output.say(f"Campaign {output.clean(progress.id)} is {progress.state.value}{why}.", style="bold")
    show_outcomes(progress, load_policy(campaign.policy))
    under_way = f"; {output.count(progress.sending, 'recipient')} under way" if progress.sending else ""
    output.say(f"In {output.count(progress.batches, 'batch')}{under_way}.")


def _table(statuses: Sequence[CampaignStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    # An id that is cut is of no use.
    longest = max(len(progress.id) for progress in statuses)
    table.add_column("Campaign", no_wrap=True, overflow="fold", min_width=longest)
    table.add_column("State")
    for name in ("Recipients", "Left", "Accepted", "Rejected", "Not sent", "Unknown"):
        table.add_column(name, justify="right")
    for progress in statuses:
        counts = count_outcomes(progress).values()
        numbers = [
            f"{count:,}" for count in (progress.recipients, progress.queued + progress.sending, *counts)
        ]
        table.add_row(Text(output.clean(progress.id)), progress.state.value, *numbers)
    return table
