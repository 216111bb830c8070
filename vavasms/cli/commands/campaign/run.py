"""`campaign run` and `campaign resume`."""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from functools import partial
from typing import Annotated

import anyio
from cyclopts import Parameter

from vavasms.campaigns.limits import change_limits
from vavasms.campaigns.moment import parse_moment
from vavasms.campaigns.planning.retry import RetryReason, parse_reasons
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.runner import CampaignRun, CampaignRunner, nothing_left
from vavasms.campaigns.sending.dispatcher import INTERRUPTED
from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands.campaign import status_view
from vavasms.cli.commands.campaign.options import (
    DEFAULT_ZONE,
    Detach,
    ExpectedPlan,
    RunOptions,
    StartMoment,
    find_place,
    parse_share,
    read_campaign_text,
)
from vavasms.cli.commands.campaign.plan_view import write_moment
from vavasms.cli.commands.campaign.progress import Display, progress
from vavasms.cli.commands.campaign.status_view import make_object
from vavasms.cli.commands.campaign.submit import Submission, not_confirmed
from vavasms.cli.commands.campaign.track import follow_up
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.message_input import uses_stdin
from vavasms.cli.params import CampaignId, Contacts, JsonFlag, Yes, flag, open_contacts
from vavasms.cli.prompts import check_terminal
from vavasms.cli.signals import run_until_signalled, terminable
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import ngettext
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import CampaignEvent, CampaignState, campaign_sources

_ALL_REASONS = ",".join(reason.value for reason in RetryReason)
_NOTICES = (
    N_("Interrupted: finishing what is under way. Ctrl-C again does not wait."),
    N_("Interrupted again: what is under way and was not answered becomes unknown."),
)


def run(
    contacts: Contacts,
    /,
    *,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen; refused where nothing was given
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Plan a campaign, ask, send it, report. Safe to interrupt: it can be resumed."""
    policy, place = options.policy(), find_place(ledger, detach=options.detach)
    if not options.yes:
        check_terminal(contacts, message_is_piped=uses_stdin(options.message, options.message_file))
    text, source = read_campaign_text(options, contacts), open_contacts(contacts)
    submission = Submission(
        keep=lambda runner: runner.submit(
            source,
            text,
            policy=policy,
            sender_id=options.sender_id,
            exclude_campaigns=options.exclude_campaign,
            expect=options.expect,
            again=options.again,
            **options.reading(),
        ),
        ledger=place,
        as_json=as_json,
        yes=options.yes,
        test_to=options.test_to,
        folded=options.fold,
    )
    return _confirm(submission, ledger, detach=options.detach, stay=options.track is True)


def retry(
    campaign_id: CampaignId,
    /,
    *,
    what: Annotated[
        str, Parameter(metavar=_("WHAT"), help=_("Which of them: rejected, undelivered, not-sent."))
    ] = _ALL_REASONS,
    budget: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What it may cost; else what is left of the first."))
    ] = None,
    at: StartMoment = None,
    sender_id: Annotated[
        str | None, Parameter(metavar="ID", help=_("Who it comes from; else who the first came from."))
    ] = None,
    expect: ExpectedPlan = None,
    detach: Detach = False,
    yes: Yes = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Send to those once more to whom nothing came, as a new campaign."""
    wanted, place = parse_reasons(what), find_place(ledger, detach=detach)
    begins = None if at is None else parse_moment(at, now=time.time(), tz=DEFAULT_ZONE)
    if not yes:
        check_terminal(campaign_id, message_is_piped=False)

    submission = Submission(
        keep=lambda runner: runner.retry(
            campaign_id,
            what=wanted,
            budget=budget,
            not_before=begins,
            sender_id=sender_id,
            expect=expect,
        ),
        ledger=place,
        as_json=as_json,
        yes=yes,
    )
    return _confirm(submission, ledger, detach=detach)


def _confirm(submission: Submission, ledger: str | None, *, detach: bool, stay: bool = False) -> int:
    """Keep a campaign, ask for the go, and begin it; return the exit code."""
    with terminable():
        submitted = anyio.run(submission.submit)
        if not submission.yes and not submission.confirm(submitted):
            raise not_confirmed(submitted.trial)
        return _begin(submitted.campaign.id, ledger, detach=detach, stay=stay, as_json=submission.as_json)


def resume(
    campaign_id: CampaignId,
    /,
    *,
    budget: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What it may cost in all, what is spent included."))
    ] = None,
    balance_floor: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What must stay on the account from now on."))
    ] = None,
    min_delivery: Annotated[
        str | None,
        Parameter(metavar=_("SHARE"), help=_("The share that must be delivered from now on, such as 70%.")),
    ] = None,
    track: Annotated[bool, flag(_("Stay until all delivery reports are final, 72 hours at most."))] = False,
    detach: Detach = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Go on with a campaign that was interrupted or paused."""
    find_place(ledger, detach=detach)
    limits = {
        "budget": budget,
        "balance_floor": balance_floor,
        "min_delivery": None if min_delivery is None else parse_share(min_delivery),
    }
    with terminable():
        if any(limit is not None for limit in limits.values()):
            run_on_ledger(ledger, lambda opened: change_limits(opened, campaign_id, **limits))
        return _begin(campaign_id, ledger, detach=detach, stay=track, as_json=as_json)


def _begin(campaign_id: str, ledger: str | None, *, detach: bool, stay: bool, as_json: bool) -> int:
    """Leave a campaign to workers, who follow its delivery up as well, or send it and maybe stay for that."""
    if detach:
        return _detach(campaign_id, ledger, as_json=as_json)
    return _go_on(campaign_id, ledger, stay=stay, as_json=as_json)


def _go_on(campaign_id: str, ledger: str | None, *, stay: bool, as_json: bool) -> int:
    """Send what is queued, then report; return the exit code."""
    option = repeat_option(ledger)
    try:
        ended, policy, budget = run_on_ledger(
            ledger, partial(_send, campaign_id=campaign_id, as_json=as_json)
        )
    except KeyboardInterrupt as interrupt:
        command = f"vavasms campaign resume {campaign_id}{option}"
        note = _("to go on, {command}", command=command)
        interrupt.add_note(f"vavasms: {note.english if as_json else note}")
        raise
    if as_json:
        output.print_json(_as_object(ended, policy))
    else:
        output.say(f"\n{_headline(ended)}", style="bold")
        status_view.show_outcomes(ended.status, policy)
        status_view.show_next(ended.status, option, budget=budget)
    if stay and ended.status.state is CampaignState.DONE:
        sys.stdout.flush()
        follow_up(campaign_id, ledger, as_json=as_json)
    return status_view.choose_code(ended)


async def _send(
    ledger: Ledger, campaign_id: str, *, as_json: bool
) -> tuple[status_view.SignalledRun, Policy, Decimal | None]:
    policy = load_policy((await ledger.campaign(campaign_id)).policy)
    # Two places more, for the balance and for delivery reports.
    client = settings.make_async_client(max_connections=policy.concurrency + 2)
    async with client as sms, CampaignRunner(sms, ledger) as runner:
        status = await ledger.status(campaign_id)
        if status.state in campaign_sources(CampaignEvent.START):
            _announce(status, policy, as_json=as_json)
        with progress(policy, as_json=as_json) as display:
            ended = await run_campaign(runner, campaign_id, display)
        return ended, policy, await status_view.find_budget(ledger, ended.status)


async def run_campaign(
    runner: CampaignRunner, campaign_id: str, display: Display
) -> status_view.SignalledRun:
    """Run a campaign until its end or a signal; return what became of it either way."""
    run, signals = await run_until_signalled(
        partial(runner.run, campaign_id, on_progress=display),
        runner.stop,
        note=display.note,
        sentences=(_(_NOTICES[0]), _(_NOTICES[1])),
    )
    if run is None:
        await runner.ledger.pause(campaign_id, INTERRUPTED)
        run = CampaignRun(status=await runner.ledger.status(campaign_id))
    interrupted = bool(signals) and run.status.state is not CampaignState.DONE
    return status_view.SignalledRun(status=run.status, error=run.error, interrupted=interrupted)


def _announce(status: CampaignStatus, policy: Policy, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"event": "start", **status_view.make_object(status)})
    else:
        head = ngettext(
            "Sending to {queued} of {n} recipient. Ctrl-C pauses it.",
            "Sending to {queued} of {n} recipients. Ctrl-C pauses it.",
            status.recipients,
            queued=status.queued,
        )
        output.say(f"\n{head}", style="bold")
        now = time.time()
        if not policy.is_open(now):
            sentence = _("Nothing leaves before {when}.", when=write_moment(policy.opens_at(now), policy))
            output.say(f"  {sentence}")
    sys.stdout.flush()


def _headline(ended: status_view.SignalledRun) -> str:
    status = ended.status
    if ended.interrupted:
        return _("Interrupted. The report so far")
    if status.state is CampaignState.DONE:
        return _("The closing report")
    return _("The campaign {is_state}", is_state=status_view.tell_state(status))


def _as_object(ended: status_view.SignalledRun, policy: Policy) -> dict[str, object]:
    error = ended.error
    return {
        "event": "end",
        **status_view.make_object(ended.status),
        "cost": policy.cost(ended.status.segments),
        "interrupted": ended.interrupted,
        "error": None if error is None else f"{type(error).__name__}: {error.english}",
    }


def _detach(campaign_id: str, ledger: str | None, *, as_json: bool) -> int:
    """Start a campaign, print who sends it and how to follow it, and return the exit code.

    Raises `InvalidInputError` for a campaign that has ended.
    """
    status = run_on_ledger(ledger, partial(_start, campaign_id=campaign_id))
    if as_json:
        output.print_json({"event": "detach", **make_object(status)})
    else:
        _introduce(status, repeat_option(ledger))
    return exit_codes.DONE


async def _start(ledger: Ledger, campaign_id: str) -> CampaignStatus:
    started = await ledger.start(campaign_id)
    status = await ledger.status(campaign_id)
    if started:
        return status
    raise nothing_left(status)


def _introduce(status: CampaignStatus, option: str) -> None:
    head = ngettext(
        "Left to the workers: {n} recipient to send to.",
        "Left to the workers: {n} recipients to send to.",
        status.queued,
    )
    output.say(f"\n{head}", style="bold")
    steps = {
        _("To follow it:"): f"campaign status {status.id}{option}",
        _("To stop it:"): f"campaign pause {status.id}{option}",
        _("To start a worker:"): f"worker{option}",
    }
    if status.unknown:
        steps[_("To decide on the unknown:")] = f"campaign resolve {status.id}{option}"
    status_view.show_steps(steps)
