"""The first half of `campaign run`: keep a campaign, show its plan, test it, ask for the go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import anyio
from attrs import frozen

from vavasms.campaigns.ledger.port import Campaign
from vavasms.campaigns.ledger.sqlite import SqliteLedger
from vavasms.campaigns.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.cli import account, show
from vavasms.cli.campaign import planshow
from vavasms.cli.campaign.confirm import ask
from vavasms.cli.campaign.options import RunOptions
from vavasms.cli.campaign.trial import send_trial, show_trial
from vavasms.client import AsyncVavaSMS
from vavasms.numbers import Msisdn, parse_msisdn


@frozen(kw_only=True)
class Begun:
    """A campaign that is kept and waits for the go."""

    campaign: Campaign
    plan: CampaignPlan


@frozen(kw_only=True)
class Beginning:
    """What is to be begun."""

    contacts: Path | BinaryIO
    options: RunOptions
    policy: Policy
    ledger: Path
    as_json: bool

    async def begin(self) -> Begun:
        """Keep the campaign and show it: its id first. Whatever fails leaves nothing of it."""
        async with (
            account.make_async_client(max_connections=2) as sms,
            await SqliteLedger.open(self.ledger) as ledger,
            CampaignRunner(sms, ledger) as runner,
        ):
            tester = self._read_tester(sms)
            campaign, plan = await self._submit(runner)
            try:
                self._introduce(campaign, plan)
                if tester is not None:
                    await self._try(sms, tester, campaign, plan)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await ledger.discard(campaign.id)
                raise
        return Begun(campaign=campaign, plan=plan)

    def confirm(self, begun: Begun) -> bool:
        """Ask for the go; without one nothing is kept."""
        go = False
        try:
            go = ask(self._question(begun))
        except KeyboardInterrupt as interrupt:
            sys.stderr.write("\n")
            interrupt.add_note("vavasms: nothing was sent, and nothing of it is kept")
            raise
        finally:
            if not go:
                anyio.run(self._discard, begun.campaign.id)
        return go

    def _read_tester(self, sms: AsyncVavaSMS) -> Msisdn | None:
        """Read the number of the test, before anything is kept."""
        if self.options.test_to is None:
            return None
        return parse_msisdn(self.options.test_to, default_region=sms.account.region)

    async def _submit(self, runner: CampaignRunner) -> tuple[Campaign, CampaignPlan]:
        options = self.options
        return await runner.submit(
            self.contacts,
            options.message,
            policy=self.policy,
            sender_id=options.sender_id,
            expect=options.expect,
            again=options.again,
            **options.reading(),
        )

    def _introduce(self, campaign: Campaign, plan: CampaignPlan) -> None:
        if self.as_json:
            show.print_json({"event": "plan", "id": campaign.id, **planshow.make_object(plan)})
        else:
            show.say(campaign.id)
            planshow.show_plan(plan, self.policy, folded=self.options.fold)
        # Whoever started this as a subprocess waits for the id.
        sys.stdout.flush()

    async def _try(self, sms: AsyncVavaSMS, tester: Msisdn, campaign: Campaign, plan: CampaignPlan) -> None:
        """Send the test. Raises its error where nobody will be asked."""
        trial = await send_trial(sms, tester, plan.first_text, campaign.sender_id)
        show_trial(trial, as_json=self.as_json)
        if trial.error is not None and self.options.yes:
            raise trial.error

    def _question(self, begun: Begun) -> str:
        cost = "" if begun.plan.cost is None else f" for {planshow.write_money(begun.plan.cost)}"
        return (
            f"\nSend {show.count(begun.plan.recipients, 'message')}{cost} "
            f"as {show.clean(begun.campaign.sender_id)}?"
        )

    async def _discard(self, campaign_id: str) -> None:
        async with await SqliteLedger.open(self.ledger) as ledger:
            await ledger.discard(campaign_id)
