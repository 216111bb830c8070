"""What became of a campaign's recipients: in a line, in the closing table, as JSON, as an exit code."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from rich.text import Text

from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRun
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.plan_view import make_table, part_count, write_money
from vavasms.errors import Outcome
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.rows import OVER_BUDGET
from vavasms.ledger.states import CampaignState

#: How each outcome looks on a terminal.
STYLES = {
    Outcome.ACCEPTED: "green",
    Outcome.REJECTED: "red",
    Outcome.NOT_SENT: "yellow",
    Outcome.UNKNOWN: "magenta",
}
_MEANINGS = {
    Outcome.ACCEPTED: N_("the gateway took the message"),
    Outcome.REJECTED: N_("the gateway refused it"),
    Outcome.NOT_SENT: N_("left out or cancelled: nothing was sent to them"),
    Outcome.UNKNOWN: N_("it left, its fate is not known: a person decides"),
}
#: Columns before the command, in what can be done next.
_STEP_WIDTH = 26
#: The first of these that applies.
_ORDER = (exit_codes.UNKNOWN, exit_codes.REJECTED, exit_codes.USAGE, exit_codes.NOT_SENT)


@frozen(kw_only=True)
class SignalledRun(CampaignRun):
    """How a run ended that a signal could stop."""

    #: A signal stopped it before its end.
    interrupted: bool


def count_outcomes(status: CampaignStatus) -> Mapping[Outcome, int]:
    """Count the recipients that have an outcome."""
    return {
        Outcome.ACCEPTED: status.accepted,
        Outcome.REJECTED: status.rejected,
        Outcome.NOT_SENT: status.not_sent,
        Outcome.UNKNOWN: status.unknown,
    }


def settled(status: CampaignStatus) -> int:
    """Count the recipients whose outcome is known, `unknown` being one."""
    return sum(count_outcomes(status).values())


def tell_outcomes(status: CampaignStatus) -> Text:
    """Return the four outcomes in one line."""
    parts = [
        Text(count_outcome(outcome, count), style=STYLES[outcome] if count else "dim")
        for outcome, count in count_outcomes(status).items()
    ]
    return Text(", ").join(parts)


def describe_cost(status: CampaignStatus, policy: Policy) -> str:
    """Return what was spent so far, the unknown taken for sent."""
    cost = policy.cost(status.segments)
    if cost is None:
        return ngettext("{n} segment", "{n} segments", status.segments)
    return write_money(cost)


def make_object(status: CampaignStatus) -> dict[str, object]:
    """Return a status as JSON has it."""
    return {
        "id": status.id,
        "state": status.state.value,
        "recipients": status.recipients,
        "queued": status.queued,
        "sending": status.sending,
        **{outcome.value: count for outcome, count in count_outcomes(status).items()},
        "batches": status.batches,
        "segments": status.segments,
        "reason": status.reason,
    }


def show_outcomes(status: CampaignStatus, policy: Policy) -> None:
    """Show what became of every recipient, what that means and what it cost."""
    table = make_table(_("Recipients"), _("Outcome"), _("Which means"))
    for outcome, count in count_outcomes(status).items():
        number, word = part_count(count_outcome(outcome, count))
        style = STYLES[outcome] if count else "dim"
        table.add_row(number, Text(word, style=style), _(_MEANINGS[outcome]) if count else "")
    if waiting := status.queued + status.sending:
        number, word = part_count(ngettext("{n} queued", "{n} queued", waiting))
        table.add_row(number, Text(word, style="cyan"), _("still to be sent"))
    table.add_section()
    cost = _("cost: {cost}", cost=describe_cost(status, policy))
    table.add_row(*part_count(_("{n} in all", n=status.recipients)), cost)
    output.output().print(table)


def show_next(status: CampaignStatus, ledger: str) -> None:
    """Show the commands that go on from here; `ledger` is the option that names it, or nothing."""
    waits = status.queued + status.sending > 0 and status.state is not CampaignState.CANCELLED
    steps = {
        _("To go on:"): ("resume", waits),
        _("To decide on the unknown:"): ("resolve", status.unknown > 0),
        _("Recipient by recipient:"): ("report", True),
    }
    commands = {}
    for purpose, (command, applies) in steps.items():
        if applies:
            more = " --budget XOF" if command == "resume" and status.reason == OVER_BUDGET else ""
            commands[purpose] = f"campaign {command} {status.id}{ledger}{more}"
    output.say()
    show_steps(commands)


def show_steps(commands: Mapping[Sentence, str]) -> None:
    """Show commands, each behind its purpose."""
    width = max(_STEP_WIDTH, *(len(purpose) + 1 for purpose in commands))
    for purpose, command in commands.items():
        output.say(f"{purpose:<{width}}vavasms {command}")


def choose_code(ended: SignalledRun) -> int:
    """Choose the exit code of a run."""
    if ended.interrupted:
        return exit_codes.INTERRUPTED
    counts = dict(count_outcomes(ended.status))
    counts[Outcome.NOT_SENT] += ended.status.queued + ended.status.sending
    codes = {exit_codes.worst([outcome for outcome, count in counts.items() if count])}
    if ended.error is not None:
        codes.add(exit_codes.code_of(ended.error))
    return next((code for code in _ORDER if code in codes), exit_codes.DONE)


def count_outcome(outcome: Outcome, count: int) -> Sentence:
    """Return how many recipients have an outcome: `3 not sent`."""
    if outcome is Outcome.ACCEPTED:
        return ngettext("{n} accepted", "{n} accepted", count)
    if outcome is Outcome.REJECTED:
        return ngettext("{n} rejected", "{n} rejected", count)
    if outcome is Outcome.NOT_SENT:
        return ngettext("{n} not sent", "{n} not sent", count)
    return ngettext("{n} unknown", "{n} unknown", count)


def name_outcome(outcome: Outcome) -> Sentence:
    """Return what an outcome is called: `not sent`."""
    return _(outcome.value.replace("_", " "))
