"""What comes last: all is well again, whoever died is started once more, and the ledger is read."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tests.simulation.intents import IntentKind
from tests.simulation.outbox import work_off
from tests.simulation.scenario import Role
from tests.simulation.site import Site
from vavasms.campaigns.report import RecipientReport, read_report
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.models import Campaign, CampaignStatus, StoredBatch
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchState, CampaignState

_ENDED = (CampaignState.DONE, CampaignState.CANCELLED)


@frozen(kw_only=True)
class CampaignAudit:
    """A campaign at the end."""

    campaign: Campaign
    status: CampaignStatus
    batches: Sequence[StoredBatch]
    report: Sequence[RecipientReport]
    #: Segments that count as spent, and that may be; None where there is no budget.
    committed: int
    max_segments: int | None


@frozen(kw_only=True)
class Audit:
    """What the ledger says at the end."""

    campaigns: Sequence[CampaignAudit] = ()
    sends: Sequence[SendRecord] = ()


async def recover(site: Site) -> Audit:
    """Go on with whatever is left, and return what the ledger says then."""
    if not site.ledger.exists():
        return Audit()
    async with site.client() as sms, await site.open_ledger() as ledger:
        if Role.RUNNER in site.scenario.roles:
            async with CampaignRunner(sms, ledger) as runner:
                await _finish_campaigns(runner)
        if site.scenario.of(IntentKind.ENQUEUED):
            await work_off(site, sms, ledger, seconds=60.0)
        return await _read(ledger)


async def _finish_campaigns(runner: CampaignRunner) -> None:
    ledger = runner.ledger
    for status in await ledger.statuses():
        if status.state in _ENDED:
            continue
        run = await runner.run(status.id)
        if run.status.state not in _ENDED:
            # Its budget is spent, or the account's money.
            await ledger.cancel(status.id, "the end")


async def _read(ledger: SqliteLedger) -> Audit:
    sends = ledger.sends
    await sends.reap(now=0.0)
    campaigns = [await _read_campaign(ledger, status) for status in await ledger.statuses()]
    return Audit(
        campaigns=campaigns, sends=await sends.records(None, states=[*BatchState], since=0.0, limit=1000)
    )


async def _read_campaign(ledger: SqliteLedger, status: CampaignStatus) -> CampaignAudit:
    # No method of a ledger tells what it counts.
    committed, most = await ledger._database.read(
        lambda c: c.execute(
            "SELECT committed, max_segments FROM campaign WHERE id = ?", (status.id,)
        ).fetchone()
    )
    return CampaignAudit(
        campaign=await ledger.campaign(status.id),
        status=status,
        batches=await ledger.batches(status.id, after=-1, limit=1000),
        report=[report async for report in read_report(ledger, status.id)],
        committed=committed,
        max_segments=most,
    )
