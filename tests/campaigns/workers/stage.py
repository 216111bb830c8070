"""What the tests of the workers stand on: a server of them, and campaigns on PostgreSQL."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psycopg
from attrs import frozen

from tests.campaigns.crashes.stage import Runner, RunnerServer, Stage, Staged
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import CampaignState

#: Recipients a batch.
SIZE = 5
#: Jobs that a worker holds at once: with a rate most of them wait.
PLACES = 16
#: Seconds. The gateway answers within 0.1; beyond this a worker counts as dead.
REAP_AFTER = 6.0
#: Seconds within which what waited in a dead worker is claimed by another one.
TAKEOVER = 15.0
_GLANCE = 0.05

_IN_HAND = """
SELECT batch.number, batch.state FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(id)s AND (
    (batch.state = 'sending' AND split_part(batch.worker, ':', 2) = %(pid)s)
    OR (batch.state = 'queued' AND EXISTS (
        SELECT FROM vavasms_jobs.procrastinate_jobs AS job, jsonb_array_elements(job.args -> 'batches') AS each
        WHERE job.status = 'doing' AND job.worker_id = ANY(%(ids)s)
            AND job.args ->> 'campaign' = %(id)s AND each ->> 0 = batch.number::TEXT
    ))
)
"""
_SENDING = """
SELECT count(*) FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(id)s AND batch.state = 'sending' AND split_part(batch.worker, ':', 2) = %(pid)s
"""
_CLAIMS = """
SELECT batch.number, split_part(batch.worker, ':', 2), batch.sending_at
FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(id)s AND batch.sending_at IS NOT NULL
"""
_QUEUED = """
SELECT count(*) FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(id)s AND batch.state = 'queued'
"""


class WorkerServer(RunnerServer):
    """Forks workers; see `worker_process.py`."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("worker_process.py")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(script.parents[3])},
        )
        self._runners: dict[int, Runner] = {}
        self._started: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()


@frozen(kw_only=True)
class Left:
    """What a worker had in hand when it was told to end, one way or the other."""

    pid: int
    #: Seconds since the epoch.
    at: float
    #: Numbers of the batches that were `sending`.
    held: frozenset[int]
    #: Of those that were still queued.
    waiting: frozenset[int]


@frozen(kw_only=True)
class SharedCampaign(Staged):
    """A campaign on PostgreSQL."""

    #: Not a file.
    path: Path = Path()
    url: str

    def start(self, **words: object) -> Runner:
        """Start a worker."""
        usual = {"ledger_kind": "", "concurrency": PLACES, "reap_after": REAP_AFTER}
        return self.stage.server.start({**usual, "ledger": self.url, "url": self.stage.gateway.url, **words})

    def ask(self, question: Callable[[Ledger], Any]) -> Any:
        """Ask the ledger something, beside whoever works."""

        async def call() -> Any:
            async with await PostgresLedger.open(self.url, connections=1) as ledger:
                return await question(ledger)

        return anyio.run(call)

    def query(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode(), {"id": self.id, **values}).fetchall()

    def queued(self) -> int:
        """Count the batches that wait."""
        return int(self.query(_QUEUED)[0][0])

    def sending(self, worker: Runner) -> int:
        """Count the batches that a worker has under way."""
        return int(self.query(_SENDING, pid=str(worker.pid))[0][0])

    def wait_for_queued(self, batches: int) -> None:
        """Wait until no more than so many wait."""
        poll(lambda: self.queued() <= batches, timeout=120)

    def wait_for_end(self, *, timeout: float = 120) -> None:
        """Wait until it is done, and nothing of it is left."""
        sql = "SELECT state, reason FROM vavasms.campaign WHERE id = %(id)s"
        poll(lambda: self.query(sql)[0][0] != CampaignState.RUNNING.value, timeout=timeout, every=0.2)
        assert self.query(sql) == [(CampaignState.DONE.value, None)]

    def in_hand(self, worker: Runner, at: float) -> Left:
        """Return what a worker has in hand."""
        numbers = [line["worker_id"] for line in worker.said if "worker_id" in line]
        found: dict[str, set[int]] = {"sending": set(), "queued": set()}
        for number, state in self.query(_IN_HAND, pid=str(worker.pid), ids=numbers):
            found[state].add(number)
        held, waiting = map(frozenset, found.values())
        return Left(pid=worker.pid, at=at, held=held, waiting=waiting)

    def claims(self) -> Mapping[int, tuple[int, float]]:
        """Return of each batch which process claimed it last, and when."""
        return {number: (int(pid), at) for number, pid, at in self.query(_CLAIMS)}


class WorkerStage(Stage):
    """A gateway, a server of workers, and campaigns on one database."""

    def share(self, batches: int, url: str, **options: Any) -> SharedCampaign:
        """Submit a campaign and let it run: whoever works carries it."""
        contacts, phones = self.contacts(batches * SIZE)
        campaign_id = anyio.run(partial(self._share, url, contacts, Policy(batch_size=SIZE, **options)))
        return SharedCampaign(stage=self, url=url, id=campaign_id, contacts=contacts, phones=phones)

    async def _share(self, url: str, contacts: Path, policy: Policy) -> str:
        async with (
            await PostgresLedger.open(url) as ledger,
            self.client() as sms,
            CampaignRunner(sms, ledger) as runner,
        ):
            campaign, _ = await runner.submit(contacts, "Bonjour", policy=policy)
            assert await ledger.start(campaign.id)
        return campaign.id


def poll(is_so: Callable[[], bool], *, timeout: float, every: float = _GLANCE) -> None:
    """Poll until something is so, under a deadline."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)
