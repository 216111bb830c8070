"""The demonstration with several workers, one of which is killed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import define, field

from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.campaigns.ledger.postgres import PostgresLedger
from vavasms.campaigns.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.states import CampaignState
from vavasms.cli import exits, show
from vavasms.cli.campaign.outcomes import tell_outcomes
from vavasms.cli.campaign.progress import Display, progress
from vavasms.cli.demo import together_report as say
from vavasms.cli.demo.audit import audit, read_account, read_recipients
from vavasms.cli.demo.crew import Crew
from vavasms.cli.demo.database import serve_database
from vavasms.cli.demo.holding import HoldingFaults
from vavasms.cli.demo.listing import write_contacts
from vavasms.cli.demo.play import MESSAGE
from vavasms.cli.demo.report import Played, show_plan
from vavasms.cli.demo.stage import Watch, is_eventful, make_gateway
from vavasms.cli.demo.watching import Killing, LedgerWatch
from vavasms.cli.serving import settings
from vavasms.cli.signals import terminable, undisturbed
from vavasms.client import AsyncVavaSMS
from vavasms.sandbox import SandboxServer

#: A worker is killed from that share of the requests on, in percent.
_KILLED_AT = 35
#: Seconds between two looks at the ledger, and until all that was sent before is answered.
_GLANCE, _SETTLED = 0.2, 0.4


def play_workers(rows: int, workers: int, *, as_json: bool) -> int:
    """Play it; the exit code is 0 where every recipient is accounted for."""
    with terminable(), ExitStack() as stack:
        folder = Path(_enter_folder(stack))
        write_contacts(folder / "contacts.csv", rows, refused=False)
        if not as_json:
            show.say("Starting a PostgreSQL server for the workers, for as long as this lasts.\n")
        url = stack.enter_context(serve_database(folder / "postgres"))
        faults = HoldingFaults()
        server = stack.enter_context(SandboxServer(make_gateway(rows), faults))
        crew = stack.enter_context(Crew(folder=folder, settings={**settings(server), "VAVASMS_LEDGER": url}))
        stage = _Stage(
            url=url,
            server=server,
            faults=faults,
            crew=crew,
            contacts=folder / "contacts.csv",
            # Long lists in larger requests: the show takes its time otherwise.
            policy=Policy(batch_size=min(max(rows // 500, 20), 100), unit_price=Decimal(10)),
            quiet=as_json,
        )
        played = _perform(stage, workers)
    if as_json:
        say.print_json(played)
    else:
        say.show_report(played, stage.policy)
    return exits.OUR_FAULT if played.played.settled.faults else exits.DONE


def _enter_folder(stack: ExitStack) -> str:
    with undisturbed():
        return stack.enter_context(TemporaryDirectory(prefix="vavasms-demo-", ignore_cleanup_errors=True))


def _perform(stage: _Stage, workers: int) -> say.PlayedTogether:
    """Perform it; a real Ctrl-C ends it with the account so far."""
    try:
        return anyio.run(stage.perform, workers)
    except KeyboardInterrupt as interrupt:
        # What the workers finish now counts.
        stage.crew.end()
        if stage.campaign_id is not None:
            status = anyio.run(stage.read_status, stage.campaign_id)
            interrupt.add_note(f"{tell_outcomes(status)}, {status.queued + status.sending:,} not settled")
        raise


@define(kw_only=True)
class _Stage:
    """A campaign in three acts: handed over, a worker killed, carried to its end by the others."""

    url: str
    server: SandboxServer
    faults: HoldingFaults
    crew: Crew
    contacts: Path
    policy: Policy
    #: Says nothing.
    quiet: bool
    #: Once it is handed over.
    campaign_id: str | None = field(default=None, init=False)

    async def perform(self, workers: int) -> say.PlayedTogether:
        """Play all acts, then compare the account with the journal."""
        async with await PostgresLedger.open(self.url) as ledger, self._open_client() as sms:
            self.crew.start(workers)
            campaign_id, plan = await self._plan(sms, ledger)
            await self._hand_over(ledger, campaign_id)
            async with LedgerWatch.open(self.url, ledger, campaign_id, self.crew) as watch:
                killing = await self._kill_one(watch, plan)
                with self._progress() as display:
                    status = await self._follow(watch, display)
                carried = await watch.carried()
            account = await read_account(ledger, campaign_id)
            balance = (await sms.balance()).amount
        assert plan.balance is not None
        spent = plan.balance - balance
        journal, recipients = self.server.gateway.journal, list(read_recipients(self.contacts))
        played = Played(
            plan=plan,
            halfway=None,
            status=status,
            watch=Watch(requests=self.faults.requests),
            settled=audit(journal, recipients, account, spent),
            balance_before=plan.balance,
            balance_after=balance,
        )
        return say.PlayedTogether(played=played, carried=carried, killing=killing)

    async def read_status(self, campaign_id: str) -> CampaignStatus:
        """Say where the campaign stands."""
        async with await PostgresLedger.open(self.url) as ledger:
            return await ledger.status(campaign_id)

    def _open_client(self) -> AsyncVavaSMS:
        gateway = self.server.gateway
        return AsyncVavaSMS(
            gateway.username,
            gateway.password,
            sender_id="SANDBOX",
            base_url=self.server.url,
            trust_env=False,
        )

    async def _plan(self, sms: AsyncVavaSMS, ledger: PostgresLedger) -> tuple[str, CampaignPlan]:
        """Plan the text as it is written, then keep the campaign as it will be sent."""
        policy = self.policy
        async with CampaignRunner(sms, ledger) as runner:
            plain = await runner.plan(self.contacts, MESSAGE, policy=policy, region="CI", repair=True)
            campaign, plan = await runner.submit(
                self.contacts, MESSAGE, policy=policy, region="CI", repair=True, fold=True
            )
        if not self.quiet:
            show_plan(plain, plan)
        if is_eventful(plan.recipients, policy.batch_size):
            self.faults.hold_at(plan.requests * _KILLED_AT // 100)
        return campaign.id, plan

    async def _hand_over(self, ledger: PostgresLedger, campaign_id: str) -> None:
        """Let the workers have it once they are ready, all at the same time."""
        for worker in self.crew.workers:
            await worker.ready()
        if not self.quiet:
            say.show_crew(self.crew.workers, campaign_id, self.server.url)
        await ledger.start(campaign_id)
        self.campaign_id = campaign_id

    async def _kill_one(self, watch: LedgerWatch, plan: CampaignPlan) -> Killing | None:
        """Kill a worker that waits for answers; None for a list too short for that."""
        if not is_eventful(plan.recipients, self.policy.batch_size):
            return None
        with self._progress() as display:
            await self._follow(watch, display, until=lambda: self.faults.holds)
            # What was sent before is answered meanwhile; whoever waits now has been accepted.
            await anyio.sleep(_SETTLED)
        killing = await watch.kill_busiest()
        self.faults.release()
        if not self.quiet:
            say.show_killing(killing, len(self.crew.workers))
        return killing

    async def _follow(
        self, watch: LedgerWatch, display: Display, until: Callable[[], bool] = lambda: False
    ) -> CampaignStatus:
        """Show how far it is, until it has ended or `until` says so."""
        while True:
            status = await watch.look()
            display(status)
            if until() or status.state is not CampaignState.RUNNING:
                return status
            if not status.queued and not status.sending:
                await watch.ledger.finish(watch.campaign_id)
            else:
                await anyio.sleep(_GLANCE)

    def _progress(self) -> AbstractContextManager[Display]:
        return progress(self.policy, as_json=False, quiet=self.quiet)
