"""`CampaignWorker`: one of any number of processes that share the campaigns of a PostgreSQL ledger."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from secrets import token_hex

import anyio
from anyio.abc import TaskGroup

from vavasms.campaigns.delivery_tracker import DeliveryTracker
from vavasms.campaigns.sending.balance_floor import EVERY as READ_EVERY
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.campaign_sender import CampaignSender
from vavasms.campaigns.sending.queued_batch import OnWait, SendResult, SendStatus
from vavasms.campaigns.workers.jobs import BatchJob, JobWorker
from vavasms.campaigns.workers.maintenance import EVERY, Maintenance
from vavasms.endpoints import HasAccount
from vavasms.errors import InvalidInputError, LedgerError, name_error
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import check_open
from vavasms.ledger.leases import ORPHAN_AFTER, check_timeouts
from vavasms.ledger.models import Campaign, CampaignStatus, QueuedBatch
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.postgres.jobs import queue_of
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import CampaignState
from vavasms.sends.outbox_worker import OnSend, OutboxWorker
from vavasms.storage.postgres.connection import AsyncConnectionPool, Connection
from vavasms.tracebacks import hide_frames_async
from vavasms.transport.hooks import check_hook, run_hook

logger = logging.getLogger("vavasms")

#: Connections for the jobs.
_JOB_CONNECTIONS = 4

OnCampaign = Callable[[CampaignStatus], object]


class CampaignWorker:
    """A worker that sends batches of an account's running campaigns, beside any number on any host.

    `client` is the `AsyncVavaSMS` that pays, with room for `concurrency` requests and two more; `ledger` is
    opened with `PostgresLedger.open`. A campaign is handed over by `ledger.start`, once it is submitted.
    What is enqueued (`AsyncVavaSMS.enqueue`, `vavasms.enqueue` in SQL) it sends first. `on_campaign` is
    called when a campaign that this worker sent from runs no longer, `on_send` as `OutboxWorker` does,
    `on_wait` with the seconds that a batch waited for its rate.

    One of all workers asks for the delivery reports of the account's campaigns: see `Policy.track`.

    Another worker's batches become unknown when `reap_after` seconds went by since their claim without an
    outcome: leave it longer than a call can take.
    """

    def __init__(
        self,
        client: HasAccount,
        ledger: PostgresLedger,
        *,
        concurrency: int = 16,
        on_campaign: OnCampaign | None = None,
        on_send: OnSend | None = None,
        on_wait: OnWait | None = None,
        reap_after: float = ORPHAN_AFTER,
    ) -> None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InvalidInputError(
                _("concurrency must be a whole number, 1 or more. Nothing was sent."),
                error_code="campaign.limit",
            )
        check_open(ledger)
        check_timeouts(client.account.timeouts)
        self._account = client.account
        self._ledger = ledger
        self._concurrency = concurrency
        self._on_campaign = check_hook("on_campaign", on_campaign)
        self._on_wait = check_hook("on_wait", on_wait)
        self._reap_after = reap_after
        # Never the same again: an old claim must not be taken for one's own.
        self._name = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self._stopping = asyncio.Event()
        self._senders: dict[str, CampaignSender] = {}
        self._pending = PendingWrites()
        self._reader = BalanceReader(transport=client.account.transport)
        self._outbox = OutboxWorker(client, ledger, on_send=on_send, rate=self._find_rate)
        self._job_worker: JobWorker
        self._tasks: TaskGroup
        self._maintenance: Maintenance

    @hide_frames_async
    async def run(self) -> None:
        """Work until `stop`, through outages of the database; settle what is under way before returning.

        A cancellation cuts off what is under way: it is unknown where it had left. Raises `LedgerError` where
        the ledger cannot be reached to begin with.
        """
        pool = await self._ledger.open_hasty(_JOB_CONNECTIONS)
        job_worker = self._job_worker = self._make_job_worker(pool)
        name = self._account.name
        self._maintenance = Maintenance(
            ledger=self._ledger, job_worker=job_worker, account=name, orphan_after=self._reap_after
        )
        try:
            await self._maintenance.fetch_running()
            await self._ledger.sends.serve(name)
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._maintain)
                self._tasks.start_soon(self._make_tracker().run)
                async with self._outbox.running():
                    await job_worker.run()
                self._tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._drain()
                await pool.close()

    def _make_tracker(self) -> DeliveryTracker:
        return DeliveryTracker(account=self._account, ledger=self._ledger, clock=self._maintenance.clock)

    def _find_rate(self) -> float | None:
        """Return the slowest rate of the campaigns that this worker sends; None where there is none."""
        rates = [sender.sender.policy.rate for sender in self._senders.values()]
        return min((rate for rate in rates if rate is not None), default=None)

    def _make_job_worker(self, pool: AsyncConnectionPool[Connection]) -> JobWorker:
        return JobWorker(
            pool=pool,
            queue=queue_of(self._account.name),
            name=self._name,
            concurrency=self._concurrency,
            run_job=self._run_job,
            stopping=self._stopping,
        )

    def stop(self) -> None:
        """Begin nothing further; `run` returns once what is under way is settled."""
        self._stopping.set()
        for sender in self._senders.values():
            sender.close()

    async def _run_job(self, job: BatchJob) -> bool:
        """Send the batches of a job one after the other; False where another worker should."""
        try:
            for batch in job.batches:
                if self._job_worker.is_draining:
                    return False
                result = await self._send_batch(job.campaign_id, batch)
                if self._stopping.is_set() and (result is None or result.status is SendStatus.NOT_CLAIMED):
                    return False
                if result is None:
                    break
        except LedgerError as error:
            # Whatever it was, what is left gets another job once the ledger is there.
            logger.warning(N_("A batch was left: %s"), error.english)
            self._maintenance.look_for_jobless()
        return True

    async def _send_batch(self, campaign_id: str, batch: QueuedBatch) -> SendResult | None:
        """Send a batch by the limits that its campaign has now; None where it does not run."""
        sender = await self._find_sender(campaign_id)
        result = None if sender is None else await self._send_by(sender, batch)
        if sender is None or result is None or result.status is not SendStatus.NOT_CLAIMED:
            return result
        if (await self._ledger.campaign(campaign_id)).revision == sender.campaign.revision:
            return result
        # It was paused, given other limits and started again.
        sender.close()
        sender = await self._find_sender(campaign_id)
        return None if sender is None else await self._send_by(sender, batch)

    async def _send_by(self, sender: CampaignSender, batch: QueuedBatch) -> SendResult | None:
        async with self._paused_by_a_fault(sender.campaign):
            return await sender.send(batch)

    @asynccontextmanager
    async def _paused_by_a_fault(self, campaign: Campaign) -> AsyncIterator[None]:
        """Pause this start of a campaign at a fault of our own: it would cost the outcome of every batch."""
        try:
            yield
        except LedgerError:
            raise
        except Exception as error:
            reason = _("{name}: a fault of the worker's own", name=type(error).__name__)
            await self._ledger.pause(campaign.id, reason.english, revision=campaign.revision)
            raise

    async def _find_sender(self, campaign_id: str) -> CampaignSender | None:
        """Return the sender of a campaign; None where it does not run, or this worker ends."""
        if self._stopping.is_set():
            return None
        sender = self._senders.get(campaign_id)
        if sender is not None and not sender.closed.is_set():
            return sender
        campaign = await self._ledger.campaign(campaign_id)
        if campaign.state is not CampaignState.RUNNING or campaign.account != self._account.name:
            return None
        async with self._paused_by_a_fault(campaign):
            return self._open(campaign)

    def _open(self, campaign: Campaign) -> CampaignSender:
        sender = self._senders.get(campaign.id)
        if sender is not None and not sender.closed.is_set():
            return sender
        sender = self._senders[campaign.id] = CampaignSender(
            ledger=self._ledger,
            campaign=campaign,
            account=self._account,
            worker=self._name,
            clock=self._maintenance.clock,
            pending=self._pending,
            reader=self._reader,
            on_wait=self._note_wait,
        )
        self._tasks.start_soon(_read_balance, sender)
        if self._stopping.is_set():
            sender.close()
        return sender

    async def _maintain(self) -> None:
        # What is pending at the end, `_drain` writes; the rest others do.
        while not self._stopping.is_set():
            try:
                with suppress(Exception):
                    await self._pending.flush()
                await self._maintenance.run_once()
                await self._close_ended()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("A worker waits for its ledger (%s)."), name_error(error))
            await anyio.sleep(EVERY)

    async def _close_ended(self) -> None:
        """Leave the campaigns that do not run any more."""
        for campaign_id, sender in [*self._senders.items()]:
            revision = self._maintenance.running.get(campaign_id)
            if revision is not None and not sender.closed.is_set():
                if revision != sender.campaign.revision:
                    # It was paused, given other limits and started again: the next batch finds a new sender.
                    sender.close()
                    del self._senders[campaign_id]
                continue
            status = await self._ledger.status(campaign_id)
            if status.state is CampaignState.RUNNING or self._senders.get(campaign_id) is not sender:
                # Started since it was looked at.
                continue
            sender.close()
            del self._senders[campaign_id]
            self._notify(status)

    def _notify(self, status: CampaignStatus) -> None:
        if self._on_campaign is not None:
            run_hook(
                partial(self._on_campaign, status), N_("Whoever was told of a campaign's end failed (%s).")
            )

    def _note_wait(self, seconds: float) -> None:
        if self._on_wait is not None:
            run_hook(partial(self._on_wait, seconds), N_("Whoever was told of a wait failed (%s)."))

    async def _drain(self) -> None:
        if await self._pending.drain():
            with suppress(LedgerError):
                await self._close_ended()


async def _read_balance(sender: CampaignSender) -> None:
    """Read the balance now and then, while its sender is open."""
    while not sender.closed.is_set():
        try:
            # Of several campaigns each would read the same.
            await sender.sender.balance.read(younger_than=READ_EVERY / 2)
        except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
            logger.warning(N_("A balance was not noted (%s)."), name_error(error))
        with anyio.move_on_after(READ_EVERY):
            await sender.closed.wait()
