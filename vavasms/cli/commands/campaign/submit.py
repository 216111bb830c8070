"""The first half of `campaign run` and `retry`: keep a campaign, show its plan, test it, ask for the go."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import anyio
from attrs import frozen

from vavasms.campaigns.planning.optout_link import make_test_text
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.cli import output, settings
from vavasms.cli.commands.campaign import plan_view
from vavasms.cli.commands.campaign.status_view import name_outcome
from vavasms.cli.ledger_option import open_place
from vavasms.cli.prompts import ask
from vavasms.client import AsyncVavaSMS
from vavasms.errors import InvalidInputError, Outcome, VavaSMSError
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Campaign
from vavasms.models import Lot
from vavasms.numbers import Msisdn, parse_msisdn
from vavasms.storage.location import Place


@frozen(kw_only=True)
class Trial:
    """What became of the test."""

    recipient: Msisdn
    lot: Lot | None = None
    error: VavaSMSError | None = None

    @property
    def outcome(self) -> Outcome:
        """The fate of its one message."""
        if self.error is None:
            return Outcome.ACCEPTED
        return self.error.outcome or Outcome.UNKNOWN

    @property
    def message_id(self) -> str | None:
        """The id to ask for its delivery; None where the gateway named none."""
        return self.lot.message_ids[0] if self.lot is not None and self.lot.message_ids else None


def describe_end(trial: Trial | None) -> Sentence:
    """Return what was sent where the campaign was not: nothing, or the test."""
    if trial is None:
        return _("nothing was sent, and nothing of it is kept")
    number = trial.recipient.e164
    if trial.outcome is Outcome.UNKNOWN:
        return _(
            "the campaign was not sent, and nothing of it is kept; "
            "whether the test to {number} was sent is unknown",
            number=number,
        )
    return _(
        "the campaign was not sent, and nothing of it is kept; the test to {number} was {outcome}",
        number=number,
        outcome=name_outcome(trial.outcome),
    )


def not_confirmed(trial: Trial | None) -> InvalidInputError:
    """Build the error of a campaign to which a person said no; of a test it is said what became of it."""
    # What is unknown of the test has the exit code of the unknown.
    is_unknown = trial is not None and trial.outcome is Outcome.UNKNOWN
    return InvalidInputError(
        _("Not confirmed: {end}.", end=describe_end(trial)),
        error_code="usage.not_confirmed",
        outcome=Outcome.UNKNOWN if is_unknown else None,
    )


async def send_trial(sms: AsyncVavaSMS, recipient: Msisdn, text: str, sender_id: str) -> Trial:
    """Send the test; its error is part of what became of it."""
    try:
        lot = await sms.send(recipient.e164, text, sender_id=sender_id)
    except VavaSMSError as error:
        return Trial(recipient=recipient, error=error.with_traceback(None))
    return Trial(recipient=recipient, lot=lot)


def show_trial(trial: Trial, *, as_json: bool) -> None:
    """Print what became of the test."""
    if as_json:
        output.print_json(
            {
                "event": "test",
                "recipient": trial.recipient,
                "outcome": trial.outcome.value,
                "message_id": trial.message_id,
                "error": None if trial.error is None else trial.error.english,
            }
        )
        return
    values = {"number": trial.recipient.e164, "outcome": name_outcome(trial.outcome)}
    sentence = _("The test to {number}: {outcome}.", **values)
    if trial.error is not None:
        output.say(f"\n{sentence} {output.clean(str(trial.error))}", style="red")
        return
    if trial.message_id:
        message_id = output.clean(trial.message_id)
        sentence = _(
            "The test to {number}: {outcome}, message {message_id}.", **values, message_id=message_id
        )
    output.say(f"\n{sentence}")


@frozen(kw_only=True)
class Submitted:
    """A campaign that is kept and waits for the go."""

    campaign: Campaign
    plan: CampaignPlan
    #: None where no test was asked for.
    trial: Trial | None = None


#: Keeps a campaign, whole and queued.
Keep = Callable[[CampaignRunner], Awaitable[tuple[Campaign, CampaignPlan]]]


@frozen(kw_only=True)
class Submission:
    """What is to be begun."""

    keep: Keep
    ledger: Place
    as_json: bool
    #: Nobody is asked.
    yes: bool
    #: As it was typed; None: no test.
    test_to: str | None = None
    #: Whether the texts are spelt without the letters that cost.
    folded: bool = False

    async def submit(self) -> Submitted:
        """Keep the campaign and show it: its id first. Whatever fails leaves nothing of it."""
        async with (
            settings.make_async_client(max_connections=2) as sms,
            open_place(self.ledger) as ledger,
            CampaignRunner(sms, ledger) as runner,
        ):
            tester = await self._read_tester(sms, ledger)
            campaign, plan = await self.keep(runner)
            try:
                self._introduce(campaign, plan)
                trial = None if tester is None else await self._try(sms, ledger, tester, campaign, plan)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await ledger.discard(campaign.id)
                raise
        return Submitted(campaign=campaign, plan=plan, trial=trial)

    def confirm(self, submitted: Submitted) -> bool:
        """Ask for the go; without one nothing is kept."""
        go = False
        try:
            go = ask(self._question(submitted))
        except KeyboardInterrupt as interrupt:
            sys.stderr.write("\n")
            end = describe_end(submitted.trial)
            interrupt.add_note(f"vavasms: {end.english if self.as_json else end}")
            raise
        finally:
            if not go:
                anyio.run(self._discard, submitted.campaign.id)
        return go

    async def _read_tester(self, sms: AsyncVavaSMS, ledger: Ledger) -> Msisdn | None:
        """Read the number of the test, before anything is kept."""
        if self.test_to is None:
            return None
        tester = parse_msisdn(self.test_to, default_region=sms.account.region)
        if int(tester) in await ledger.opted_out():
            raise InvalidInputError(
                _("The number of --test-to is on the opt-out list. Nothing was sent."),
                error_code="campaign.test_number",
            )
        return tester

    def _introduce(self, campaign: Campaign, plan: CampaignPlan) -> None:
        if self.as_json:
            output.print_json({"event": "plan", "id": campaign.id, **plan_view.make_object(plan)})
        else:
            output.say(campaign.id)
            plan_view.show_plan(plan, load_policy(campaign.policy), folded=self.folded)
        # Whoever started this as a subprocess waits for the id.
        sys.stdout.flush()

    async def _try(
        self, sms: AsyncVavaSMS, ledger: Ledger, tester: Msisdn, campaign: Campaign, plan: CampaignPlan
    ) -> Trial:
        """Send the test. Raises its error where nobody will be asked."""
        text = await make_test_text(ledger, plan, tester)
        trial = await send_trial(sms, tester, text, campaign.sender_id)
        show_trial(trial, as_json=self.as_json)
        if trial.error is not None and self.yes:
            raise trial.error
        return trial

    def _question(self, submitted: Submitted) -> str:
        plan, sender_id = submitted.plan, output.clean(submitted.campaign.sender_id)
        if plan.cost is None:
            question = ngettext(
                "Send {n} message as {sender_id}?",
                "Send {n} messages as {sender_id}?",
                plan.recipients,
                sender_id=sender_id,
            )
        else:
            question = ngettext(
                "Send {n} message for {cost} as {sender_id}?",
                "Send {n} messages for {cost} as {sender_id}?",
                plan.recipients,
                cost=plan_view.write_money(plan.cost),
                sender_id=sender_id,
            )
        return f"\n{question}"

    async def _discard(self, campaign_id: str) -> None:
        async with open_place(self.ledger) as ledger:
            await ledger.discard(campaign_id)
