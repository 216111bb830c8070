"""What each worker does beside its batches: find the dead, wake for what waits unseen, end campaigns."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field

from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.workers.jobs import JobWorker
from vavasms.errors import name_error
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchState

#: Seconds between two rounds.
EVERY = 2.0
#: Rounds between two looks for batches without a job.
_ROUNDS_PER_WAKE = 5

logger = logging.getLogger("vavasms")


@define(kw_only=True, eq=False)
class Maintenance:
    """The upkeep of what the workers of an account share. Any number may do it at the same time."""

    ledger: PostgresLedger
    job_worker: JobWorker
    account: str
    #: What was claimed so many seconds ago, and is not settled, has no worker any more.
    orphan_after: float
    #: The campaigns that run, with the revisions of their limits.
    running: Mapping[str, int] = field(factory=dict, init=False)
    #: When that was asked, by the ledger.
    _fetched_at: float = field(default=0.0, init=False)
    #: The time as all workers have it, seconds since the epoch.
    clock: SharedClock = field(factory=SharedClock, init=False)
    _rounds: int = field(default=0, init=False)

    async def fetch_running(self) -> None:
        """Fetch which campaigns run, and the time."""
        await self.clock.ask(self._fetch_running)

    async def _fetch_running(self) -> float:
        self._fetched_at, self.running = await self.ledger.maintenance.running(self.account)
        return self._fetched_at

    async def run_once(self) -> None:
        """Do all of it once. Raises nothing: what fails is done the next time."""
        self._rounds += 1
        steps: list[Callable[[], Awaitable[object]]] = [
            self.fetch_running,
            self._release_stalled,
            self._reap_orphans,
            self._finish,
        ]
        if self._rounds % _ROUNDS_PER_WAKE == 1:
            steps += [self._wake_jobless, self._cancel_stuck]
        for step in steps:
            try:
                await step()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("A sweep was cut short (%s); the next one goes on."), name_error(error))
                self.look_for_jobless()
                return

    def look_for_jobless(self) -> None:
        """Make the next round look for batches without a job."""
        self._rounds = 0

    async def _release_stalled(self) -> None:
        """Release the jobs of dead workers, where nothing of the batch can have been sent."""
        for job, batch_job in await self.job_worker.stalled():
            numbers = [batch.number for batch in batch_job.batches]
            states = await self.ledger.maintenance.batch_states(batch_job.campaign_id, numbers)
            if BatchState.QUEUED in states:
                await self.job_worker.wake_again(job)
            elif BatchState.SENDING not in states:
                await self.job_worker.drop(job)

    async def _reap_orphans(self) -> None:
        # By the ledger's own word: this machine's clock may have been set since.
        await self.ledger.maintenance.reap_orphans(now=self._fetched_at, after=self.orphan_after)

    async def _finish(self) -> None:
        ended = [campaign_id for campaign_id in self.running if await self.ledger.finish(campaign_id)]
        self.running = {key: revision for key, revision in self.running.items() if key not in ended}

    async def _wake_jobless(self) -> None:
        # One of all workers is enough, save after a failure: what was lost then is not looked for yet.
        every = EVERY * (_ROUNDS_PER_WAKE - 1) if self._rounds > 1 else 0.0
        for campaign_id in self.running:
            policy = load_policy((await self.ledger.campaign(campaign_id)).policy)
            if policy.is_open(self.clock()):
                await self.ledger.maintenance.wake_jobless(campaign_id, now=self.clock(), every=every)
            else:
                # By the thousand they would be woken for one by one, and dropped.
                await self.ledger.maintenance.delete_jobs(campaign_id)

    async def _cancel_stuck(self) -> None:
        await self.ledger.maintenance.cancel_stuck(self.account, now=self.clock())
