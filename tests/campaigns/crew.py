"""What the tests of workers begin with: an empty database, workers beside the test, a look at their jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
from attrs import field, frozen

from tests.campaigns.staging import Stage, connect
from tests.postgres import empty
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.workers.jobs import JobWorker
from vavasms.campaigns.workers.maintenance import Maintenance
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.endpoints import Account
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.postgres.jobs import queue_of
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.sandbox import SandboxServer


def ask(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement beside the ledger; give its rows."""
    # procrastinate's triggers look its names up.
    with psycopg.connect(url, autocommit=True, options="-c search_path=vavasms_jobs") as connection:
        done = connection.execute(sql.encode(), values or None)
        return done.fetchall() if done.description else []


def jobs(url: str) -> list[tuple[str, str]]:
    """Return the jobs, by the batch and how far they are."""
    return ask(url, "SELECT queueing_lock, status::TEXT FROM vavasms_jobs.procrastinate_jobs ORDER BY id")


@asynccontextmanager
async def open_empty(
    url: str, connections: int = 8, owner: str | None = None
) -> AsyncIterator[PostgresLedger]:
    """Open a ledger that holds nothing; `owner` is who may empty it."""
    async with await PostgresLedger.open(url, connections=connections) as ledger:
        empty(owner or url)
        yield ledger


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 40.0) -> None:
    """Wait until something is so."""
    with anyio.fail_after(seconds):
        while not await check():
            await anyio.sleep(0.02)


@frozen
class Crew:
    """Workers between one database and the sandbox, and a runner that submits."""

    stage: Stage
    ledger: PostgresLedger
    url: str
    #: As the ledger has it.
    account: Account
    #: What the workers told of campaigns that ended, or stopped.
    told: list[CampaignStatus] = field(factory=list)

    @asynccontextmanager
    async def work(
        self, number: int = 2, concurrency: int = 4, **options: Any
    ) -> AsyncIterator[list[CampaignWorker]]:
        """Run so many workers, each with a ledger and a client of its own; they stop where this is left."""
        own = {key: options.pop(key) for key in ("reap_after",) if key in options}
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            workers = []
            for _ in range(number):
                sms = await stack.enter_async_context(connect(self.stage.sandbox, **options))
                ledger = await stack.enter_async_context(await PostgresLedger.open(self.url))
                worker = CampaignWorker(
                    sms, ledger, concurrency=concurrency, on_campaign=self.told.append, **own
                )
                tasks.start_soon(worker.run)
                workers.append(worker)
            yield workers
            for worker in workers:
                worker.stop()

    @asynccontextmanager
    async def maintenance(self, reap_after: float = 135.0) -> AsyncIterator[Maintenance]:
        """Yield what a worker does beside its batches, done when it is told to."""
        account = self.account.name
        async with await self.ledger.open_hasty(2) as pool:
            job_worker = JobWorker(
                pool=pool, queue=queue_of(account), name="maintenance", concurrency=1, run_job=_run_nothing
            )
            # It opens and has no round.
            job_worker.stopping.set()
            await job_worker.run()
            yield Maintenance(
                ledger=self.ledger, job_worker=job_worker, account=account, orphan_after=reap_after
            )

    async def start(self, numbers: Sequence[str] | int, **options: Any) -> str:
        """Submit a campaign and hand it over to the workers; give its id."""
        campaign_id = await self.stage.submit(numbers, **options)
        assert await self.ledger.start(campaign_id)
        return campaign_id

    async def settled(self, campaign_id: str) -> CampaignStatus:
        """Wait until nothing is under way and nothing can be claimed; end the campaign where it is at its end."""

        async def is_settled() -> bool:
            await self.ledger.finish(campaign_id)
            status = await self.ledger.status(campaign_id)
            return not status.sending and status.state.value != "running"

        await until(is_settled)
        return await self.ledger.status(campaign_id)

    def jobs(self) -> list[tuple[str, str]]:
        """Return the jobs, by the batch and how far they are."""
        return jobs(self.url)

    async def has_no_jobs(self) -> bool:
        """Return whether nobody is to be woken any more."""
        return not self.jobs()

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement beside the ledger; give its rows."""
        return ask(self.url, sql, *values)


async def _run_nothing(_: object) -> bool:
    raise AssertionError("nothing is to be carried here")  # pragma: no cover


@asynccontextmanager
async def muster(
    url: str, sandbox: SandboxServer, folder: Path, owner: str | None = None
) -> AsyncIterator[Crew]:
    """Yield workers, a database without campaigns, and the sandbox."""
    async with (
        open_empty(url, owner=owner) as ledger,
        connect(sandbox) as sms,
        CampaignRunner(sms, ledger) as runner,
    ):
        stage = Stage(runner=runner, sandbox=sandbox, folder=folder)
        yield Crew(stage=stage, ledger=ledger, url=url, account=sms.account)
