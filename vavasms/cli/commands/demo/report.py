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
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import ngettext
from vavasms.ledger.leases import ORPHAN_AFTER
from vavasms.ledger.models import CampaignStatus

#: One letter of it, the ê, doubles its price.
MESSAGE = "Bonjour, votre commande est prête. Présentez ce SMS en boutique. Merci, ACME"

MISSING = N_("a recipient is missing from the account")
NOT_RECEIVED = N_("an accepted number did not receive it once")
RECEIVED_TWICE = N_("a number received it twice")
NOT_EXPECTED = N_("a rejected or unsent number received it")
STRANGER = N_("a stranger received it")
WRONG_COST = N_("the cost is not what left the balance")


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
    output.say()
    output.say(_("The text"), style="bold")
    letters = ", ".join(output.clean(letter) for letter in plain.offending)
    output.say(
        _("  as written {segments}, {cost}, in UCS-2, for {letters}", **_price(plain), letters=letters)
    )
    output.say(_("  as sent    {segments}, {cost}, in GSM-7, folded", **_price(plan)))
    output.say(_("  “{text}”", text=output.clean(plan.first_text)) + "\n", style="dim")
    output.say(_("Campaign {id}, to the sandbox at {url}", id=campaign_id, url=url), style="bold")


def _price(plan: CampaignPlan) -> dict[str, str]:
    assert plan.cost is not None
    return {
        "segments": ngettext("{n} segment", "{n} segments", plan.segments),
        "cost": write_money(plan.cost),
    }


def show_interruption(status: CampaignStatus) -> None:
    """Show what an interruption leaves."""
    output.say()
    output.say(_("Interrupted on purpose at {n}, as Ctrl-C does.", n=settled(status)), style="bold yellow")
    output.say(
        _(
            "What was under way is finished: {unknown} unknown, {queued} still queued.\n"
            "Another runner opens the ledger, as `vavasms campaign resume {id}` does.\n",
            unknown=status.unknown,
            queued=status.queued,
            id=status.id,
        )
    )


def describe_interrupt(status: CampaignStatus, *, by_workers: bool = False) -> str:
    """Return what a real Ctrl-C leaves."""
    outcomes = str(tell_outcomes(status))
    if by_workers:
        return _("{outcomes}, {n} not settled", outcomes=outcomes, n=status.queued + status.sending)
    return _("{outcomes}, {n} not started", outcomes=outcomes, n=status.queued)


def show_workers(pids: Mapping[int, int], concurrency: int) -> None:
    """Show who shares the campaign: the process of each worker, by its number."""
    output.say(
        _(
            "It is in a PostgreSQL database, and {workers} workers share it: processes of\n"
            "`vavasms worker`, each with up to {concurrency} requests under way.",
            workers=len(pids),
            concurrency=concurrency,
        )
    )
    for number, pid in pids.items():
        output.say(_("  worker {number}: process {pid}", number=str(number), pid=str(pid)))


def show_killed(killed: KilledWorker, workers: int) -> None:
    """Show who was killed, and what that leaves."""
    output.say()
    output.say(
        _(
            "Killed on purpose at {n}, by kill -9: worker {number}, process {pid}.",
            n=killed.at,
            number=str(killed.number),
            pid=str(killed.pid),
        ),
        style="bold yellow",
    )
    output.say(
        _(
            "It was waiting for {answers}, on {recipients}. Nobody knows whether\n"
            "the gateway took them: they become unknown, and no worker sends them again.\n"
            "Real workers wait {seconds} seconds for that; this stage knows who is dead.",
            answers=ngettext("{n} answer", "{n} answers", killed.requests),
            recipients=ngettext("{n} recipient", "{n} recipients", killed.recipients),
            seconds=round(ORPHAN_AFTER),
        )
    )
    others = ngettext(
        "The other one goes on with what is still queued.",
        "The other {n} go on with what is still queued.",
        workers - 1,
    )
    output.say(f"{others}\n")


def conclude(result: Result, *, as_json: bool) -> int:
    """Print the result; return 0 where every recipient is accounted for."""
    if as_json:
        output.print_json(_make_object(result))
    else:
        _show_result(result)
    return exit_codes.OUR_FAULT if result.audit.faults else exit_codes.DONE


def _show_result(result: Result) -> None:
    """Show what became of every recipient, how, and the journal's word on it."""
    output.say()
    output.say(_("The closing report"), style="bold")
    show_outcomes(result.status, result.policy)
    output.say()
    output.say(_describe_requests(result))
    for number, recipients in result.carried.items():
        is_killed = result.killed is not None and result.killed.number == number
        output.say(_describe_share(number, recipients, is_killed=is_killed))
    _show_journal(result)
    if result.audit.faults:
        faults = "; ".join(_(fault) for fault in result.audit.faults)
        output.say(_("The account does not add up: {faults}.", faults=faults), style="bold red")
        return
    total = ngettext("{n} recipient", "{n} recipients", result.plan.recipients)
    output.say(
        _("The account adds up: every one of {recipients} in exactly one outcome.", recipients=total),
        style="bold green",
    )


def _describe_requests(result: Result) -> str:
    requests = ngettext("{n} request", "{n} requests", result.requests)
    if not result.pauses:
        return _("{requests} of up to {most} numbers.", requests=requests, most=result.policy.request_size)
    return _(
        "{requests} of up to {most} numbers, {pauses} kept as asked for (429).",
        requests=requests,
        most=result.policy.request_size,
        pauses=ngettext("{n} pause", "{n} pauses", result.pauses),
    )


def _describe_share(number: int, count: int, *, is_killed: bool) -> str:
    recipients = ngettext("{n} recipient", "{n} recipients", count)
    if is_killed:
        return _(
            "Worker {number} carried {recipients}; it was killed.", number=str(number), recipients=recipients
        )
    return _("Worker {number} carried {recipients}.", number=str(number), recipients=recipients)


def _show_journal(result: Result) -> None:
    audit = result.audit
    output.say(
        ngettext(
            "The gateway's journal says: {n} number received it once, {twice} twice.",
            "The gateway's journal says: {n} numbers received it once, {twice} twice.",
            audit.once,
            twice=audit.several_times,
        )
    )
    if unknown := result.status.unknown:
        output.say(
            _(
                "Of the {unknown} unknown, {received} did receive it: to send again would be a second SMS.",
                unknown=unknown,
                received=audit.unknown_received,
            )
        )
    output.say(
        ngettext(
            "Balance {before} → {after}: {n} segment paid.",
            "Balance {before} → {after}: {n} segments paid.",
            audit.segments,
            before=write_money(audit.balance_before),
            after=write_money(audit.balance_after),
        )
    )


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
