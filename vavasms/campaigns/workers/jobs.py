"""What wakes a worker: procrastinate's own, with a round for each time that the database is there.

The queue knows jobs and nothing of sending. Whatever becomes of a job it is deleted: the ledger keeps the
account, and what waits without a job gets one. asyncio only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from anyio import CancelScope
from attrs import define, field, frozen
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException, ProcrastinateException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.leases import WORKER_SILENCE
from vavasms.ledger.models import QueuedBatch
from vavasms.ledger.postgres.jobs import TASK
from vavasms.storage.postgres.connection import AsyncConnectionPool, Error, explain

#: Seconds. A worker that says nothing for so long is taken for dead.
HEARTBEAT, STALLED_AFTER = 2.0, WORKER_SILENCE
#: Seconds between two looks for jobs where there was none, and before a new round after a failure.
_POLL, _PAUSE = 0.5, 1.0
#: Nobody aborts a job: a campaign is paused in the ledger.
_NEVER = 86_400.0
#: What procrastinate's functions say of a job that is not in the state they need: SQLSTATE of RAISE.
_RAISED = "P0001"

logger = logging.getLogger("vavasms")


@frozen(kw_only=True)
class BatchJob:
    """What wakes a worker for some batches; enough to reserve their share of the rate."""

    campaign_id: str
    batches: Sequence[QueuedBatch]


#: Sends the batches of a job; False where somebody is to be woken for them again at once.
RunJob = Callable[[BatchJob], Awaitable[bool]]


class _RequeueError(Exception):
    """Somebody is to be woken for it again at once."""


class _RequeueStrategy(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        del job
        return RetryDecision(retry_at=datetime.now(UTC)) if isinstance(exception, _RequeueError) else None


class _Connector(PsycopgConnector):
    """A connector that notes a failed statement, of which a task of procrastinate's own would die."""

    failed: asyncio.Event

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        try:
            with _unless_gone():
                await super().execute_query_async(query, **arguments)
        except ConnectorException:
            self.failed.set()


@define(kw_only=True, eq=False)
class JobWorker:
    """The worker of a queue, which runs so many jobs at once; each has one batch in flight at a time."""

    pool: AsyncConnectionPool[Any]
    queue: str
    name: str
    concurrency: int
    run_job: RunJob
    stopping: asyncio.Event = field(factory=asyncio.Event)
    _connector: _Connector = field(init=False)
    #: For what is asked beside the worker: a failure there begins no new round.
    _lookups: PsycopgConnector = field(factory=PsycopgConnector, init=False)
    _jobs: JobManager = field(init=False)
    _app: App = field(init=False)
    _under_way: set[CancelScope] = field(factory=set, init=False)

    @property
    def is_draining(self) -> bool:
        """Whether a round ends: what is not begun goes back."""
        return self.stopping.is_set() or self._connector.failed.is_set()

    def __attrs_post_init__(self) -> None:
        self._connector = _Connector()
        self._connector.failed = asyncio.Event()
        self._jobs = JobManager(self._lookups)
        self._app = App(connector=self._connector)
        self._app.task(name=TASK, queue=self.queue, retry=_RequeueStrategy())(self._work)

    async def run(self) -> None:
        """Work until `stopping` is set, through every outage; what is under way is finished first.

        A cancellation cancels what is under way, and waits for it.
        """
        for connector in (self._connector, self._lookups):
            await connector.open_async(self.pool)
        while not self.stopping.is_set():
            try:
                await self._round()
            except (ProcrastinateException, Error) as error:
                cause = explain(error.__cause__ if isinstance(error.__cause__, Error) else error)
                logger.warning(N_("A worker waits for its database. %s"), cause.english)
            if not self.stopping.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), _PAUSE)

    async def stalled(self) -> Sequence[tuple[Job, BatchJob]]:
        """Return the jobs of workers that died."""
        # A worker that ends in the middle of a statement would have psycopg complain of a broken connection.
        with CancelScope(shield=True):
            jobs = await self._jobs.get_stalled_jobs(
                queue=self.queue, task_name=TASK, seconds_since_heartbeat=STALLED_AFTER
            )
        return [(job, _read(job.task_kwargs)) for job in jobs]

    async def wake_again(self, job: Job) -> None:
        """Release a stalled job to whoever comes first. Where there is another one by now, drop it."""
        try:
            with _unless_gone():
                await self._jobs.retry_job(job)
            return
        except UniqueViolation:
            pass
        await self.drop(job)

    async def drop(self, job: Job) -> None:
        """Forget a stalled job; it may be gone already."""
        with _unless_gone():
            await self._jobs.finish_job(job, Status.SUCCEEDED, delete_job=True)

    async def _round(self) -> None:
        """Work until somebody stops it, or a statement failed: then a new round registers anew."""
        self._connector.failed.clear()
        worker = Worker(
            self._app,
            queues=[self.queue],
            name=self.name,
            concurrency=self.concurrency,
            fetch_job_polling_interval=_POLL,
            abort_job_polling_interval=_NEVER,
            # At most half a second is won by it, for a connection and a message a job to each worker.
            listen_notify=False,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=STALLED_AFTER,
        )
        working = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]  # procrastinate's own
        ending = asyncio.create_task(self._wait_for_end(worker))
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError:
            # What is being fetched at this moment would be begun: it goes back.
            self.stopping.set()
            for scope in self._under_way:
                scope.cancel()
            worker.stop()  # type: ignore[no-untyped-call]
            # Shielded, and awaited from outside: procrastinate takes a second cancellation for an abort.
            with CancelScope(shield=True):
                await asyncio.wait({working})
            raise
        finally:
            ending.cancel()
        working.result()

    async def _wait_for_end(self, worker: Worker) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self.stopping, self._connector.failed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        worker.stop()  # type: ignore[no-untyped-call]
        await self._keep_alive(worker)

    async def _keep_alive(self, worker: Worker) -> None:
        """Go on where procrastinate's heartbeat ends: the end of what is under way may take long."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            if worker.worker_id is not None:
                with suppress(ProcrastinateException, Error):
                    await self._jobs.update_heartbeat(worker.worker_id)

    async def _work(self, **arguments: Any) -> None:
        job, done = _read(arguments), True
        with CancelScope() as scope:
            self._under_way.add(scope)
            try:
                done = await self.run_job(job)
            finally:
                self._under_way.discard(scope)
        if not done:
            raise _RequeueError


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Suppress that another worker was quicker: the job is not there, or somebody has it."""
    try:
        with CancelScope(shield=True):
            yield
    except ConnectorException as error:
        if getattr(error.__cause__, "sqlstate", None) != _RAISED:
            raise


def _read(arguments: Mapping[str, Any]) -> BatchJob:
    """Return the job of the arguments that `ledger.postgres.jobs` wrote."""
    return BatchJob(
        campaign_id=arguments["campaign"],
        batches=tuple(
            QueuedBatch(number=number, messages=messages, segments=segments, not_before=0.0)
            for number, messages, segments in arguments["batches"]
        ),
    )
