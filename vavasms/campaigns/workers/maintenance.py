"""What each worker does beside its batches: find the dead, wake for what waits unseen, end campaigns."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field

from vavasms.campaigns.ledger.postgres.ledger import PostgresLedger
from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.sending.clock import SharedClock
from vavasms.campaigns.states import BatchState
from vavasms.campaigns.workers.jobs import JobWorker
from vavasms.errors import name_error

#: Seconds between two sweeps.
EVERY = 2.0
#: Sweeps between two looks for batches without a job.
_SELDOM = 5

logger = logging.getLogger("vavasms")


@define(kw_only=True, eq=False)
class Maintenance:
    """Looks after what the workers of an account share. Any number may, at the same time."""

    ledger: PostgresLedger
    engine: JobWorker
    account: str
    #: What was claimed so many seconds ago, and is not settled, has no worker any more.
    reap_after: float
    #: The campaigns that run, with the revisions of their limits.
    running: Mapping[str, int] = field(factory=dict, init=False)
    #: When that was asked, by the ledger.
    _looked_at: float = field(default=0.0, init=False)
    #: The time as all workers have it, seconds since the epoch.
    clock: SharedClock = field(factory=SharedClock, init=False)
    _sweeps: int = field(default=0, init=False)

    async def look(self) -> None:
        """Ask what runs, and the time."""
        await self.clock.ask(self._look)

    async def _look(self) -> float:
        found = await self.ledger.maintenance.running(self.account)
        self.running, self._looked_at = found.campaigns, found.now
        return found.now

    async def sweep(self) -> None:
        """Do all of it once. Raises nothing: what fails is done the next time."""
        self._sweeps += 1
        steps: list[Callable[[], Awaitable[object]]] = [self.look, self._take_over, self._reap, self._finish]
        if self._sweeps % _SELDOM == 1:
            steps += [self._wake, self._cancel_stuck]
        for step in steps:
            try:
                await step()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning("A sweep was cut short (%s); the next one goes on.", name_error(error))
                self.hurry()
                return

    def hurry(self) -> None:
        """Make the next sweep look for batches without a job."""
        self._sweeps = 0

    async def _take_over(self) -> None:
        """Release the jobs of dead workers, where nothing of the batch can have been sent."""
        for job, result in await self.engine.stalled():
            numbers = [each.no for each in result.batches]
            states = await self.ledger.maintenance.batch_states(result.campaign_id, numbers)
            if BatchState.QUEUED in states:
                await self.engine.wake_again(job)
            elif BatchState.SENDING not in states:
                await self.engine.drop(job)

    async def _reap(self) -> None:
        # By the ledger's own word: this machine's clock may have been set since.
        await self.ledger.maintenance.reap_orphans(now=self._looked_at, after=self.reap_after)

    async def _finish(self) -> None:
        ended = [each for each in self.running if await self.ledger.finish(each)]
        self.running = {key: revision for key, revision in self.running.items() if key not in ended}

    async def _wake(self) -> None:
        # One of all workers is enough, save after a failure: what was lost then is not looked for yet.
        every = EVERY * (_SELDOM - 1) if self._sweeps > 1 else 0.0
        for campaign_id in self.running:
            window = load_policy((await self.ledger.campaign(campaign_id)).policy).window
            if window is None or window.is_open(self.clock()):
                await self.ledger.maintenance.wake_jobless(campaign_id, now=self.clock(), every=every)
            else:
                # By the thousand they would be woken for one by one, and dropped.
                await self.ledger.maintenance.calm(campaign_id)

    async def _cancel_stuck(self) -> None:
        await self.ledger.maintenance.cancel_stuck(self.account, now=self.clock())
