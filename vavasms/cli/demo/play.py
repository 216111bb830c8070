"""The demonstration from beginning to end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import define, field

from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.campaigns.ledger.sqlite import SqliteLedger
from vavasms.campaigns.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.cli import exits, show
from vavasms.cli.campaign.outcomes import tell_outcomes
from vavasms.cli.campaign.progress import progress
from vavasms.cli.campaign.running import run_campaign
from vavasms.cli.demo import report
from vavasms.cli.demo.audit import audit, read_account, read_recipients
from vavasms.cli.demo.listing import write_contacts
from vavasms.cli.demo.stage import BATCH_SIZE, Watch, is_eventful, make_gateway, plan_faults
from vavasms.cli.signals import terminable
from vavasms.client import AsyncVavaSMS
from vavasms.sandbox import SandboxServer

#: One letter of it, the ê, doubles its price.
MESSAGE = "Bonjour, votre commande est prête. Présentez ce SMS en boutique. Merci, ACME"
POLICY = Policy(batch_size=BATCH_SIZE, concurrency=8, unit_price=Decimal(10))


def play(rows: int, *, as_json: bool) -> int:
    """Play it; the exit code is 0 where every recipient is accounted for."""
    with TemporaryDirectory(prefix="vavasms-demo-") as folder, terminable():
        contacts = Path(folder) / "contacts.csv"
        write_contacts(contacts, rows)
        with SandboxServer(make_gateway(rows)) as server:
            stage = _Stage(server=server, contacts=contacts, ledger=Path(folder) / "ledger.db", quiet=as_json)
            played = _perform(stage)
    if as_json:
        report.print_json(played)
    else:
        report.show_report(played, POLICY)
    return exits.OUR_FAULT if played.settled.faults else exits.DONE


def _perform(stage: _Stage) -> report.Played:
    """Perform it; a real Ctrl-C ends it with the account so far."""
    try:
        return anyio.run(stage.perform)
    except _LeftError as left:
        status = left.status
    interrupt = KeyboardInterrupt()
    interrupt.add_note(f"{tell_outcomes(status)}, {status.queued:,} not started")
    raise interrupt


class _LeftError(Exception):
    """Somebody pressed Ctrl-C."""

    def __init__(self, status: CampaignStatus) -> None:
        super().__init__()
        self.status = status


@define(kw_only=True)
class _Stage:
    """A campaign in three acts: planned, interrupted, resumed."""

    server: SandboxServer
    contacts: Path
    ledger: Path
    #: Says nothing.
    quiet: bool
    watch: Watch = field(factory=Watch, init=False)

    async def perform(self) -> report.Played:
        """Play all acts, then compare the account with the journal."""
        async with self._open_client() as sms:
            campaign_id, plan = await self._plan(sms)
            halfway = await self._interrupt(sms, campaign_id, plan)
            status = await self._carry(sms, campaign_id)
            balance = (await sms.balance()).amount
        async with await SqliteLedger.open(self.ledger) as ledger:
            account = await read_account(ledger, campaign_id)
        assert plan.balance is not None
        recipients = list(read_recipients(self.contacts))
        return report.Played(
            plan=plan,
            halfway=halfway,
            status=status,
            watch=self.watch,
            settled=audit(self.server.gateway.journal, recipients, account, plan.balance - balance),
            balance_before=plan.balance,
            balance_after=balance,
        )

    def _open_client(self) -> AsyncVavaSMS:
        # The sandbox refuses a lot for one number as a whole, so it may be halved to find the number.
        return AsyncVavaSMS(
            self.server.gateway.username,
            self.server.gateway.password,
            sender_id="SANDBOX",
            base_url=self.server.url,
            trust_env=False,
            lots_are_atomic=True,
            on_response=self.watch.see,
        )

    async def _plan(self, sms: AsyncVavaSMS) -> tuple[str, CampaignPlan]:
        """Plan the text as it is written, then keep the campaign as it will be sent."""
        async with await SqliteLedger.open(self.ledger) as ledger, CampaignRunner(sms, ledger) as runner:
            plain = await runner.plan(self.contacts, MESSAGE, policy=POLICY, region="CI", repair=True)
            campaign, plan = await runner.submit(
                self.contacts, MESSAGE, policy=POLICY, region="CI", repair=True, fold=True
            )
        if not self.quiet:
            report.show_plan(plain, plan)
            show.say(f"Campaign {campaign.id}, to the sandbox at {self.server.url}", style="bold")
        return campaign.id, plan

    async def _interrupt(
        self, sms: AsyncVavaSMS, campaign_id: str, plan: CampaignPlan
    ) -> CampaignStatus | None:
        """Send the first part, until somebody seems to press Ctrl-C; None for a list too short for that."""
        if not is_eventful(plan.recipients):
            return None
        plan_faults(self.server.faults, plan.recipients)
        status = await self._carry(sms, campaign_id, until=plan.recipients)
        if not self.quiet:
            report.show_interruption(status)
        return status

    async def _carry(
        self, sms: AsyncVavaSMS, campaign_id: str, *, until: int | None = None
    ) -> CampaignStatus:
        """Run it as a process of its own would; with `until` recipients in all, interrupt it on the way."""
        async with await SqliteLedger.open(self.ledger) as ledger, CampaignRunner(sms, ledger) as runner:
            if until is not None:
                self.watch.arm(until, runner.stop)
            with progress(POLICY, as_json=False, quiet=self.quiet) as display:
                ended = await run_campaign(runner, campaign_id, display)
        if ended.interrupted:
            raise _LeftError(ended.status)
        return ended.status
