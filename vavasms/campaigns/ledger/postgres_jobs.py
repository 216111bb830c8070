"""The jobs that wake workers, one for each batch that can be claimed: rows of procrastinate's.

The ledger decides and a job wakes: one that is late, lost or there twice does no harm. Jobs commit with what
they stand for, and hold no number and no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from vavasms.errors import LedgerError
from vavasms.storage.postgres import ask, change
from vavasms.storage.postgres_link import Connection
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.campaigns.ledger.sql.postgres", "jobs.sql")
TASK = "vavasms.carry"
#: Seconds after a batch is due: no clock is exact, and what comes too early is dropped.
_LATE = 0.05

_jobs = JobManager(PsycopgConnector())


def queue_of(account: str) -> str:
    """Name the queue of an account: the name itself may be too long, and is nobody's business."""
    return f"vavasms-{sha256(account.encode()).hexdigest()[:24]}"


async def wake(connection: Connection, key: Mapping[str, Any], account: str, numbers: Sequence[int]) -> None:
    """Have workers woken for those of these batches that wait, from when they are due.

    `key` holds the campaign's `id` and, as `campaign`, its key within the database.
    """
    (rows,) = await ask(connection, (SQL["select_waking"], {**key, "numbers": list(numbers)}))
    queue = queue_of(account)
    await _defer(connection, [_make(queue, key["id"], *row) for row in rows])


async def forget_jobs(connection: Connection, campaign_id: str, account: str) -> None:
    """Have nobody woken for a campaign any more."""
    await change(connection, SQL["delete_jobs"], {"id": campaign_id, "queue": queue_of(account)})


def _make(queue: str, campaign_id: str, no: int, messages: int, segments: int, not_before: float) -> Job:
    due = datetime.fromtimestamp(not_before + _LATE, UTC) if not_before > 0 else None
    return Job(
        queue=queue,
        lock=None,
        queueing_lock=f"{campaign_id}/{no}",
        task_name=TASK,
        task_kwargs={"campaign": campaign_id, "no": no, "messages": messages, "segments": segments},
        scheduled_at=due,
    )


async def _defer(connection: Connection, jobs: list[Job]) -> None:
    if not jobs:
        return
    try:
        await _jobs.batch_defer_jobs_async(jobs, connection=connection)
        return
    except ConnectorException as error:
        cause = error.__cause__
    # PostgreSQL's own error, for whoever runs the transaction.
    raise cause or LedgerError("A job for this batch was made at the same moment: nothing more is sent.")
