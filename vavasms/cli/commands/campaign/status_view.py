"""What became of a campaign's recipients: in a line, in the closing table, as JSON, as an exit code."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from rich.text import Text

from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRun
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.plan_view import make_table, write_money
from vavasms.errors import Outcome
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
    Outcome.ACCEPTED: "the gateway took the message",
    Outcome.REJECTED: "the gateway refused it",
    Outcome.NOT_SENT: "left out or cancelled: nothing was sent to them",
    Outcome.UNKNOWN: "it left, its fate is not known: a person decides",
}
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
        Text(f"{count:,} {_name(outcome)}", style=STYLES[outcome] if count else "dim")
        for outcome, count in count_outcomes(status).items()
    ]
    return Text(", ").join(parts)


def describe_cost(status: CampaignStatus, policy: Policy) -> str:
    """Return what was spent so far, the unknown taken for sent."""
    cost = policy.cost(status.segments)
    return output.count(status.segments, "segment") if cost is None else write_money(cost)


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
    table = make_table("Recipients", "Outcome", "Which means")
    for outcome, count in count_outcomes(status).items():
        word = Text(_name(outcome), style=STYLES[outcome] if count else "dim")
        table.add_row(f"{count:,}", word, _MEANINGS[outcome] if count else "")
    if waiting := status.queued + status.sending:
        table.add_row(f"{waiting:,}", Text("queued", style="cyan"), "still to be sent")
    table.add_section()
    table.add_row(f"{status.recipients:,}", "in all", f"cost: {describe_cost(status, policy)}")
    output.output().print(table)


def show_next(status: CampaignStatus, ledger: str) -> None:
    """Show the commands that go on from here; `ledger` is the option that names it, or nothing."""
    waits = status.queued + status.sending > 0 and status.state is not CampaignState.CANCELLED
    steps = {
        "To go on": ("resume", waits),
        "To decide on the unknown": ("resolve", status.unknown > 0),
        "Recipient by recipient": ("report", True),
    }
    output.say()
    for purpose, (command, applies) in steps.items():
        if applies:
            more = " --budget XOF" if command == "resume" and status.reason == OVER_BUDGET else ""
            output.say(f"{purpose + ':':<26}vavasms campaign {command} {status.id}{ledger}{more}")


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


def _name(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")
