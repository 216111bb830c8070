"""What became of a campaign's recipients: in a line, in the closing table, as JSON, as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen
from rich.text import Text

from vavasms.campaigns import words
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.runner import CampaignRun
from vavasms.campaigns.sending.balance_floor import AT_THE_FLOOR, NEAR_THE_FLOOR, UNREAD
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.plan_view import make_table, part_count, write_money
from vavasms.errors import AuthenticationError, Outcome
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.kept import find_template
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
#: Batches that are looked up at once.
_PAGE = 1000
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
        table.add_row(number, Text(word, style=style), _explain(outcome, count) if count else "")
    if waiting := status.queued + status.sending:
        number, word = part_count(ngettext("{n} queued", "{n} queued", waiting))
        table.add_row(number, Text(word, style="cyan"), _("still to be sent"))
    table.add_section()
    cost = _("cost: {cost}", cost=describe_cost(status, policy))
    table.add_row(*part_count(_("{n} in all", n=status.recipients)), cost)
    output.output().print(table)


def tell_state(status: CampaignStatus) -> Sentence:
    """Return a campaign's state and why it is in it, as it stands in a sentence, without a full stop."""
    return words.tell_state(status, output.clean)


async def find_budget(ledger: Ledger, status: CampaignStatus) -> Decimal | None:
    """Return the budget that is enough for all that is queued; None where no budget paused the campaign."""
    if status.reason != OVER_BUDGET or status.state is not CampaignState.PAUSED:
        return None
    segments, after = status.segments, -1
    while page := await ledger.queued(status.id, after=after, limit=_PAGE):
        segments += sum(batch.messages * batch.segments for batch in page)
        after = page[-1].number
    return load_policy((await ledger.campaign(status.id)).policy).cost(segments)


def show_next(status: CampaignStatus, ledger: str, *, budget: Decimal | None = None) -> None:
    """Show the commands that go on from here.

    `ledger` is the option that names it, or nothing; `budget` is one that is enough for what is queued.
    """
    waits = status.queued + status.sending > 0 and status.state is not CampaignState.CANCELLED
    steps = {
        _("To go on:"): ("resume", waits),
        _("To decide on the unknown:"): ("resolve", status.unknown > 0),
        _("Recipient by recipient:"): ("report", True),
    }
    commands = {}
    for purpose, (command, applies) in steps.items():
        if applies:
            more = f" --budget {budget:f}" if command == "resume" and budget is not None else ""
            commands[purpose] = f"campaign {command} {status.id}{ledger}{more}"
    output.say()
    if waits and (advice := _advise(status, budget)):
        output.say(advice)
    show_steps(commands)


def _advise(status: CampaignStatus, budget: Decimal | None) -> Sentence | None:
    """Return what is to be done before a campaign is resumed; None where there is nothing."""
    reason = status.reason or ""
    if budget is not None:
        return _("A budget of {budget} is enough for all that is queued.", budget=write_money(budget))
    if reason.startswith(f"{AuthenticationError.__name__}: "):
        return _("Correct VAVASMS_USERNAME and VAVASMS_PASSWORD first, then resume.")
    if reason == UNREAD or find_template(reason, (AT_THE_FLOOR, NEAR_THE_FLOOR)):
        return _("Top up the account first, or resume with a lower --balance-floor.")
    return None


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


def _explain(outcome: Outcome, count: int) -> Sentence:
    """Return what an outcome of so many recipients means."""
    if outcome is Outcome.ACCEPTED:
        return ngettext("the gateway took the message", "the gateway took the messages", count)
    if outcome is Outcome.REJECTED:
        return ngettext("the gateway refused it", "the gateway refused them", count)
    if outcome is Outcome.NOT_SENT:
        return ngettext(
            "left out or cancelled: nothing was sent",
            "left out or cancelled: nothing was sent to them",
            count,
        )
    return ngettext(
        "it left, its fate is not known: a person decides",
        "they left, their fate is not known: a person decides",
        count,
    )


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
