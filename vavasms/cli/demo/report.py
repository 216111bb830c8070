"""What the demonstration says, within 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import frozen

from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.campaigns.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.cli import show
from vavasms.cli.campaign.outcomes import count_outcomes, settled, show_outcomes
from vavasms.cli.campaign.planshow import show_numbers, write_money
from vavasms.cli.demo.audit import Audit
from vavasms.cli.demo.stage import Watch
from vavasms.errors import Outcome


@frozen(kw_only=True)
class Played:
    """What the demonstration came to."""

    plan: CampaignPlan
    #: Where the campaign stood when it was interrupted; None where it was too short for that.
    halfway: CampaignStatus | None
    status: CampaignStatus
    watch: Watch
    settled: Audit
    balance_before: Decimal
    balance_after: Decimal


def show_plan(plain: CampaignPlan, plan: CampaignPlan) -> None:
    """Show whom the campaign reaches, and what its text costs as written and as sent."""
    show_numbers(plan)
    show.say("\nThe text", style="bold")
    letters = ", ".join(show.clean(letter) for letter in plain.offending)
    show.say(f"  as written {_price(plain)} in UCS-2, for {letters}")
    show.say(f"  as sent    {_price(plan)} in GSM-7, folded")
    show.say(f"  “{show.clean(plan.first_text)}”\n", style="dim")


def show_interruption(status: CampaignStatus) -> None:
    """Say what an interruption leaves."""
    show.say(f"\nInterrupted on purpose at {settled(status):,}, as Ctrl-C does.", style="bold yellow")
    show.say(
        f"What was under way is finished: {status.unknown:,} unknown, {status.queued:,} still queued.\n"
        f"Another runner opens the ledger, as `vavasms campaign resume {status.id}` does.\n"
    )


def show_report(played: Played, policy: Policy, notes: Iterable[str] = ()) -> None:
    """Show what became of every recipient, how, and the journal's word on it."""
    watch = played.watch
    show.say("\nThe closing report", style="bold")
    show_outcomes(played.status, policy)
    pauses = f", {show.count(watch.pauses, 'pause')} kept as asked for (429)" if watch.pauses else ""
    show.say(f"\n{show.count(watch.requests, 'request')} of up to {policy.batch_size} numbers{pauses}.")
    for note in notes:
        show.say(note)
    _show_journal(played)
    _show_verdict(played)


def print_json(played: Played) -> None:
    """Print the same for programs."""
    halfway = played.halfway
    show.print_json(
        {
            **make_object(played),
            "interrupted_at": None if halfway is None else settled(halfway),
            "unknown_when_interrupted": None if halfway is None else halfway.unknown,
        }
    )


def make_object(played: Played) -> Mapping[str, object]:
    """Give what every demonstration comes to as JSON has it."""
    plan, watch, audited = played.plan, played.watch, played.settled
    return {
        "rows": plan.rows,
        "numbers": plan.numbers,
        "numbers_kept": plan.kept - plan.repaired,
        "numbers_repaired": plan.repaired,
        "numbers_duplicate": plan.duplicates,
        "numbers_opted_out": plan.opted_out,
        "numbers_refused": plan.refused,
        "recipients": plan.recipients,
        **{outcome.value: count for outcome, count in count_outcomes(played.status).items()},
        "requests": watch.requests,
        "pauses": watch.pauses,
        "received_once": audited.once,
        "received_twice": audited.several_times,
        "unknown_received": audited.unknown_received,
        "segments": audited.segments,
        "cost": audited.cost,
        "currency": "XOF",
        "balance_before": played.balance_before,
        "balance_after": played.balance_after,
        "adds_up": not audited.faults,
    }


def _price(plan: CampaignPlan) -> str:
    assert plan.cost is not None
    return f"{show.count(plan.segments, 'segment')}, {write_money(plan.cost)},"


def _show_journal(played: Played) -> None:
    audited = played.settled
    once, twice = f"{show.count(audited.once, 'number')} received it once", f"{audited.several_times:,} twice"
    show.say(f"The gateway's journal says: {once}, {twice}.")
    if unknown := count_outcomes(played.status)[Outcome.UNKNOWN]:
        received = f"Of the {unknown:,} unknown, {audited.unknown_received:,} did receive it"
        show.say(f"{received}: to send again would be a second SMS.")
    before, after = write_money(played.balance_before), write_money(played.balance_after)
    show.say(f"Balance {before} → {after}: {show.count(audited.segments, 'segment')} paid.")


def _show_verdict(played: Played) -> None:
    if played.settled.faults:
        show.say(f"The account does not add up: {'; '.join(played.settled.faults)}.", style="bold red")
        return
    numbers = show.count(played.plan.recipients, "recipient")
    show.say(f"The account adds up: every one of {numbers} in exactly one outcome.", style="bold green")
