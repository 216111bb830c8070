"""The demonstration with several workers, one of which is killed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from attrs import define, field

from vavasms.campaigns.policy import Policy
from vavasms.cli import output
from vavasms.cli.commands.campaign.progress import progress
from vavasms.cli.commands.campaign.status_view import settled
from vavasms.cli.commands.demo import report
from vavasms.cli.commands.demo.audit import audit_campaign
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.cli.commands.demo.gateway import MIN_FAULTY_REQUESTS, SlowFaults, make_gateway, open_client
from vavasms.cli.commands.demo.processes import CONCURRENCY, Worker, run_workers, serve_database
from vavasms.cli.commands.demo.single import submit
from vavasms.cli.signals import terminable, undisturbed
from vavasms.i18n import gettext as _
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import SandboxServer
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.queries import load_queries

_SQL = load_queries("vavasms.cli.commands.demo", "queries.sql")
#: A worker is killed from that share of the requests on, in percent.
_KILLED_AT = 35
#: Seconds between two looks at the ledger, and until all that was sent before is answered.
_POLL, _SETTLED = 0.2, 0.4


def run_shared(rows: int, workers: int, *, as_json: bool) -> int:
    """Run it; return the exit code."""
    with terminable(), ExitStack() as stack:
        with undisturbed():
            temporary = TemporaryDirectory(prefix="vavasms-demo-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(temporary))
        write_contacts(folder / "contacts.csv", rows, refused=False)
        if not as_json:
            output.say(_("Starting a PostgreSQL server for the workers, for as long as this lasts.") + "\n")
        url = stack.enter_context(serve_database(folder / "postgres"))
        faults = SlowFaults()
        server = stack.enter_context(SandboxServer(make_gateway(rows), faults))
        # Long lists in larger requests: it takes its time otherwise.
        policy = Policy(batch_size=min(max(rows // 500, 20), 100), unit_price=Decimal(10))
        demonstration = _WorkersDemonstration(
            folder=folder, url=url, server=server, faults=faults, policy=policy, quiet=as_json
        )
        result = demonstration.run(workers)
    return report.conclude(result, as_json=as_json)


@define(kw_only=True)
class _WorkersDemonstration:
    folder: Path
    url: str
    server: SandboxServer
    faults: SlowFaults
    policy: Policy
    quiet: bool
    #: Empty until the workers have it.
    campaign_id: str = field(default="", init=False)
    ledger: PostgresLedger = field(init=False)
    connection: Connection = field(init=False)
    workers: Sequence[Worker] = field(init=False)

    def run(self, workers: int) -> report.Result:
        """Perform it; a real Ctrl-C ends it with the account so far."""
        try:
            return anyio.run(self._perform, workers)
        except KeyboardInterrupt as interrupt:
            # What the workers finished at their end counts.
            if self.campaign_id:
                status = anyio.run(self._read_status)
                interrupt.add_note(report.describe_interrupt(status, by_workers=True))
            raise

    async def _read_status(self) -> CampaignStatus:
        async with await PostgresLedger.open(self.url) as ledger:
            return await ledger.status(self.campaign_id)

    async def _perform(self, count: int) -> report.Result:
        """Start the campaign, kill a worker while the others go on; then audit."""
        environment = {**self.server.settings, "VAVASMS_LEDGER": self.url}
        if self.quiet:
            # Its last words would be in our own error.
            environment["VAVASMS_LANG"] = "en"
        contacts = self.folder / "contacts.csv"
        async with (
            await PostgresLedger.open(self.url) as self.ledger,
            await Connection.connect(self.url, autocommit=True) as self.connection,
            open_client(self.server) as sms,
        ):
            with run_workers(self.folder, environment, count) as self.workers:
                campaign_id, plan, plain = await submit(sms, self.ledger, contacts, self.policy)
                if not self.quiet:
                    report.show_plan(plain, plan, campaign_id, self.server.url)
                if kills := plan.requests >= MIN_FAULTY_REQUESTS:
                    self.faults.hold_at = plan.requests * _KILLED_AT // 100
                await self._start(campaign_id)
                killed = await self._kill_one() if kills else None
                status = await self._follow()
            carried = dict(await self._ask("select_carried"))
            audit = await audit_campaign(
                sms, self.ledger, campaign_id, plan, self.server.gateway.journal, contacts
            )
        shares = {worker.number: int(carried.get(worker.process.pid, 0)) for worker in self.workers}
        return report.Result(
            plan=plan,
            policy=self.policy,
            status=status,
            audit=audit,
            requests=self.faults.requests,
            carried=shares,
            killed=killed,
        )

    async def _start(self, campaign_id: str) -> None:
        """Start the campaign once all workers are ready."""
        for worker in self.workers:
            await worker.wait_ready()
        if not self.quiet:
            report.show_workers({worker.number: worker.process.pid for worker in self.workers}, CONCURRENCY)
        await self.ledger.start(campaign_id)
        self.campaign_id = campaign_id

    async def _kill_one(self) -> report.KilledWorker:
        """Kill the worker that waits for the most answers."""
        await self._follow(until=lambda: self.faults.holds)
        # What was sent before is answered meanwhile; whoever waits now has been accepted.
        await anyio.sleep(_SETTLED)
        at = settled(await self.ledger.status(self.campaign_id))
        busy = [pid for pid, _number, _count in await self._ask("select_under_way")]
        worker = max(self.workers, key=lambda worker: busy.count(worker.process.pid))
        worker.kill()
        held = [
            count for pid, _number, count in await self._ask("select_under_way") if pid == worker.process.pid
        ]
        self.faults.hold_at = math.inf
        killed = report.KilledWorker(
            number=worker.number, pid=worker.process.pid, at=at, requests=len(held), recipients=sum(held)
        )
        if not self.quiet:
            report.show_killed(killed, len(self.workers))
        return killed

    async def _follow(self, until: Callable[[], bool] = lambda: False) -> CampaignStatus:
        """Show how far it is, until it has ended or `until` is true."""
        with progress(self.policy, as_json=False, quiet=self.quiet) as display:
            while True:
                for worker in self.workers:
                    worker.check()
                await self._reap()
                status = await self.ledger.status(self.campaign_id)
                display(status)
                if until() or status.state is not CampaignState.RUNNING:
                    return status
                if not status.queued and not status.sending:
                    await self.ledger.finish(self.campaign_id)
                else:
                    await anyio.sleep(_POLL)

    async def _reap(self) -> None:
        """Make unknown what the killed worker had under way.

        The others cannot know that it is dead: they wait until no call could last any longer, 135 seconds.
        Here its end was waited for, so nobody is left to bring the true answer. At each look, as the server
        may still have been committing its last claim.
        """
        dead = {worker.process.pid for worker in self.workers if worker.is_killed}
        for pid, number, _count in await self._ask("select_under_way"):
            if pid in dead:
                await self.ledger.maintenance.reap_orphan(self.campaign_id, number, sent_before=math.inf)

    async def _ask(self, query: str) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(_SQL[query].encode())
        return await cursor.fetchall()
