"""The demonstration in one process: a campaign is planned, interrupted and resumed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import define, field

from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.cli.commands.campaign.progress import progress
from vavasms.cli.commands.campaign.run import run_campaign
from vavasms.cli.commands.demo import report
from vavasms.cli.commands.demo.audit import audit_campaign
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.cli.commands.demo.gateway import MIN_FAULTY_REQUESTS, make_gateway, open_client, plan_faults
from vavasms.cli.signals import terminable
from vavasms.client import AsyncVavaSMS
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.sandbox import SandboxServer
from vavasms.transport.hooks import CallInfo

POLICY = Policy(batch_size=100, concurrency=8, unit_price=Decimal(10))
#: How far the campaign is when it is interrupted, as a share of the recipients.
_INTERRUPTED_AT = 0.4


def run_single(rows: int, *, as_json: bool) -> int:
    """Run it; return the exit code."""
    with TemporaryDirectory(prefix="vavasms-demo-") as folder, terminable():
        contacts, path = Path(folder) / "contacts.csv", Path(folder) / "ledger.db"
        write_contacts(contacts, rows)
        with SandboxServer(make_gateway(rows)) as server:
            demonstration = _SingleDemonstration(server=server, contacts=contacts, path=path, quiet=as_json)
            result = anyio.run(demonstration.perform)
    return report.conclude(result, as_json=as_json)


async def submit(
    sms: AsyncVavaSMS, ledger: Ledger, contacts: Path, policy: Policy
) -> tuple[str, CampaignPlan, CampaignPlan]:
    """Keep the campaign; return its id, its plan, and the plan of the text as it was written."""
    async with CampaignRunner(sms, ledger) as runner:
        plain = await runner.plan(contacts, report.MESSAGE, policy=policy, region="CI", repair=True)
        campaign, plan = await runner.submit(
            contacts, report.MESSAGE, policy=policy, region="CI", repair=True, fold=True
        )
    return campaign.id, plan, plain


@define(kw_only=True)
class _SingleDemonstration:
    server: SandboxServer
    contacts: Path
    #: Where the ledger is.
    path: Path
    quiet: bool
    #: Of `requests` with the text, `pauses` that the gateway asked for, recipients `answered`.
    counts: Counter[str] = field(factory=Counter, init=False)
    #: Called when so many recipients were answered.
    stop: Callable[[], None] = field(default=lambda: None, init=False)
    stop_at: float = field(default=math.inf, init=False)

    async def perform(self) -> report.Result:
        """Send in two parts, then compare the account with the journal."""
        halfway = None
        async with open_client(self.server, self._count) as sms:
            async with await SqliteLedger.open(self.path) as ledger:
                campaign_id, plan, plain = await submit(sms, ledger, self.contacts, POLICY)
            if not self.quiet:
                report.show_plan(plain, plan, campaign_id, self.server.url)
            if plan.requests >= MIN_FAULTY_REQUESTS:
                plan_faults(self.server.faults, plan.requests)
                halfway = await self._run(sms, campaign_id, stop_at=plan.recipients * _INTERRUPTED_AT)
                if not self.quiet:
                    report.show_interruption(halfway)
            status = await self._run(sms, campaign_id)
            async with await SqliteLedger.open(self.path) as ledger:
                audit = await audit_campaign(
                    sms, ledger, campaign_id, plan, self.server.gateway.journal, self.contacts
                )
        return report.Result(
            plan=plan,
            policy=POLICY,
            status=status,
            audit=audit,
            requests=self.counts["requests"],
            pauses=self.counts["pauses"],
            halfway=halfway,
        )

    async def _run(self, sms: AsyncVavaSMS, campaign_id: str, *, stop_at: float = math.inf) -> CampaignStatus:
        """Run it as a process of its own would, as far as that."""
        async with await SqliteLedger.open(self.path) as ledger, CampaignRunner(sms, ledger) as runner:
            self.stop, self.stop_at = runner.stop, stop_at
            with progress(POLICY, as_json=False, quiet=self.quiet) as display:
                ended = await run_campaign(runner, campaign_id, display)
        if ended.interrupted:
            interrupt = KeyboardInterrupt()
            interrupt.add_note(report.describe_interrupt(ended.status))
            raise interrupt
        return ended.status

    def _count(self, call: CallInfo) -> None:
        is_text = call.call == "send_text"
        self.counts["requests"] += is_text
        self.counts["pauses"] += call.http_status == 429
        self.counts["answered"] += call.recipients if is_text and call.error is None else 0
        if self.counts["answered"] >= self.stop_at:
            self.stop()
