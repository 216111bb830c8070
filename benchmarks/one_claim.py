"""Claims in two databases, turn by turn: what a worker does with each batch, but for the sending."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from typing import Any

from attrs import define, field
from procrastinate import PsycopgConnector
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from vavasms.ledger.models import BatchRecord
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchEvent

#: Batches, at least: three stretches.
_A_TURN = 24


@define
class _Place:
    ledger: PostgresLedger
    jobs: JobManager
    worker: int
    seconds: list[float] = field(factory=list)

    async def turn(self) -> None:
        """Take some batches through."""
        started, carried = time.perf_counter(), 0
        while carried < _A_TURN:
            carried += await self._carry()
        self.seconds.append((time.perf_counter() - started) / carried)

    async def _carry(self) -> int:
        """Do one job; give how many batches it was."""
        job = await self.jobs.fetch_job(None, self.worker)
        assert job is not None
        arguments: dict[str, Any] = dict(job.task_kwargs)
        for number, *_ in arguments["batches"]:
            claim = await self.ledger.claim(
                arguments["campaign"], number, token=token_hex(16), worker="w", now=time.time()
            )
            assert claim is not None
            await self.ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord(lot_id="LOT-1"))
        await self.jobs.finish_job(job, Status.SUCCEEDED, delete_job=True)
        return len(arguments["batches"])


async def measure_claims(urls: Sequence[str], *, turns: int) -> list[float]:
    """Return the seconds of a claim in each of these databases."""
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(_open(url)) for url in urls]
        for _ in range(turns):
            for place in places:
                await place.turn()
    return [sum(place.seconds) / turns for place in places]


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[_Place]:
    async with await PostgresLedger.open(url) as ledger:
        pool: Any = await ledger.open_hasty(2)
        connector = PsycopgConnector()
        await connector.open_async(pool)
        jobs = JobManager(connector)
        yield _Place(ledger, jobs, await jobs.register_worker())
        await pool.close()
