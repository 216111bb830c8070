"""The program that submits campaigns and runs them: one runner at a time, whoever is first."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.simulation.intents import Intent, IntentKind
from tests.simulation.scenario import Scenario
from tests.simulation.site import Site, make_calls
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError, LedgerError, VavaSMSError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import CampaignState

#: How often a runner tries: another one may be at work, the ledger may be full.
_TURNS = 4
#: How often a campaign is gone on with that was paused.
_RESUMES = 2


async def run_campaigns(site: Site) -> None:
    """Submit the campaigns that are not in the ledger yet, and run them all."""
    for _turn in range(_TURNS):
        try:
            async with (
                site.client(max_connections=6) as sms,
                await site.open_ledger() as ledger,
                CampaignRunner(sms, ledger) as runner,
            ):
                await make_calls(
                    [
                        partial(_run_campaign, site, runner, intent)
                        for intent in site.scenario.of(IntentKind.CAMPAIGN)
                    ]
                )
                return
        except LedgerError:
            await site.pause(5.0)


async def _run_campaign(site: Site, runner: CampaignRunner, intent: Intent) -> None:
    for _turn in range(_TURNS):
        try:
            campaign_id = await _find_or_submit(site, runner, intent)
            if campaign_id is None or await _run(site, runner, campaign_id):
                return
        except InvalidInputError as error:
            # Somebody else ended it meanwhile, or everybody opted out.
            if not error.error_code.startswith(("campaign.", "list.nobody")):
                raise
        except VavaSMSError:
            pass
        await site.pause()


async def _run(site: Site, runner: CampaignRunner, campaign_id: str) -> bool:
    """Run a campaign; return whether it has ended, or is left for a person."""
    for _resume in range(_RESUMES):
        run = await runner.run(campaign_id)
        if run.status.state in (CampaignState.DONE, CampaignState.CANCELLED):
            return True
        await site.pause()
    return True


async def _find_or_submit(site: Site, runner: CampaignRunner, intent: Intent) -> str | None:
    """Return the id of the campaign that is to be run; None where there is none left."""
    found = await find_campaigns(runner.ledger, intent)
    left = [
        status for status in found if status.state not in (CampaignState.CANCELLED, CampaignState.LOADING)
    ]
    if left:
        return left[0].id
    if any(status.segments for status in found):
        # Cancelled, and some of it was sent: a person decides whether all of it is sent once more.
        return None
    campaign, _plan = await runner.submit(
        _write_list(site, intent), intent.text, policy=policy_of(site.scenario, intent)
    )
    return campaign.id


async def find_campaigns(ledger: Ledger, intent: Intent) -> list[CampaignStatus]:
    """Return the campaigns of an intent, the latest first."""
    statuses = await ledger.statuses()
    return [status for status in statuses if (await ledger.campaign(status.id)).message == intent.text]


def policy_of(scenario: Scenario, intent: Intent) -> Policy:
    """Return the limits of a campaign."""
    return scenario.policies[intent.number % len(scenario.policies)]


def _write_list(site: Site, intent: Intent) -> Path:
    path = site.folder / f"{intent.name}.csv"
    path.write_text("\n".join(["phone", *intent.recipients, ""]), encoding="utf-8")
    return path
