"""A fork server of campaign workers that can be killed: run as a script, told by lines of JSON.

The lines are those of `crashes/runner_process.py`. A worker says `{"worker_id": n}`, its number with the engine,
each time it registers, `{"ended": state}` for a campaign that runs no longer, and `{"stopped": true}` last.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Collection
from typing import Any

from procrastinate.manager import JobManager

from tests.campaigns.crashes import runner_process
from tests.campaigns.crashes.fuses import say
from tests.campaigns.crashes.runner_process import Order
from vavasms import AsyncVavaSMS
from vavasms.campaigns.workers.jobs import JobWorker
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.ledger.models import Claim
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.postgres.maintenance import PostgresMaintenance
from vavasms.ledger.states import BatchState
from vavasms.storage.postgres.database import PostgresDatabase, change

_UNFENCE = """
UPDATE vavasms.batch SET state = 'queued' FROM vavasms.campaign
WHERE campaign.seq = batch.campaign AND campaign.id = %(id)s AND batch.number = %(number)s AND batch.state = 'sending'
"""


class TellingManager(JobManager):
    """The engine's own; says as whom it registered."""

    async def register_worker(self) -> int:
        """Return the number."""
        worker_id = await super().register_worker()
        say(worker_id=worker_id)
        return worker_id


class TellingWorker(CampaignWorker):
    """The worker as it is; says its number with the engine."""

    def _make_job_worker(self, pool: Any) -> JobWorker:
        job_worker = super()._make_job_worker(pool)
        job_worker._app.job_manager = TellingManager(job_worker._connector)
        return job_worker


class CarelessMaintenance(PostgresMaintenance):
    """What must not be: a stalled job is always retried."""

    async def batch_states(self, campaign_id: str, numbers: Collection[int]) -> frozenset[BatchState]:
        """Take whoever died for one that had not begun."""
        states = await super().batch_states(campaign_id, numbers)
        return states | {BatchState.QUEUED} if BatchState.SENDING in states else states


class CarelessLedger(PostgresLedger):
    """What must not be: a claim takes what is under way too."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self.maintenance = CarelessMaintenance(database)

    async def claim(self, campaign_id: str, number: int, **values: Any) -> Claim | None:
        """Claim without a look at the state or the token."""
        key = {"id": campaign_id, "number": number}
        await self._database.write(lambda connection: change(connection, _UNFENCE, key))
        return await super().claim(campaign_id, number, **values)


LEDGERS = {"": PostgresLedger, "careless": CarelessLedger}


async def work(order: Order) -> None:
    """Be a worker until a signal comes."""
    async with (
        await LEDGERS[order["ledger_kind"]].open(order["ledger"]) as ledger,
        AsyncVavaSMS(
            "sandbox@example.com",
            "sandbox",
            sender_id="SANDBOX",
            base_url=order["url"],
            max_connections=order["concurrency"] + 1,
        ) as sms,
    ):
        worker = TellingWorker(
            sms,
            ledger,
            concurrency=order["concurrency"],
            reap_after=order["reap_after"],
            on_campaign=lambda status: say(ended=status.state.value),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()
        say(stopped=True)
    os._exit(0)


def child(order: Order) -> None:
    """Be a worker, and nothing after that."""
    try:
        asyncio.run(work(order))
    except BaseException as error:
        say(crash=f"{type(error).__name__}: {error}")
    os._exit(70)


if __name__ == "__main__":
    runner_process.child = child
    gc.collect()
    gc.freeze()
    runner_process.serve()
