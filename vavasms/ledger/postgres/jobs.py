"""The jobs that wake workers for the batches that can be claimed: rows of procrastinate's.

The ledger decides and a job wakes: one that is late, lost or there twice does no harm. Jobs commit with what
they stand for, and hold no number and no text.

A job costs about as much as a batch. So most of a long campaign has one for each stretch of batches, which a
worker sends one after the other. Its end has one for each batch, so that all workers are done at about the
same time; so has what is put off, and a campaign with a rate, whose batches would wait in one worker's hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby

from vavasms.config import misconfigured
from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.ledger.models import QueuedBatch
from vavasms.ledger.rows import CampaignRow, read_queued
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import ask, change
from vavasms.storage.queries import load_queries

try:
    from procrastinate import PsycopgConnector
    from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
    from procrastinate.jobs import Job
    from procrastinate.manager import JobManager
except ImportError:
    raise misconfigured(
        _("A ledger on PostgreSQL needs its extra: pip install 'vavasms[postgres]'."),
        "config.extra",
    ) from None

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "jobs.sql")
TASK = "vavasms.send_batches"
#: Batches of a stretch; it begins at a multiple of this. And so many at the end are woken for one by one: the
#: stretches that 64 batches in flight are at then.
STRETCH, _END = 8, 512
#: Seconds after a batch is due: no clock is exact, and what comes too early is dropped.
_LATE = 0.05
#: How often jobs are made where others make some of them at the same moment.
_TRIES = 5

_jobs = JobManager(PsycopgConnector())


def queue_of(account: str) -> str:
    """Name the queue of an account: the name itself may be too long, and is nobody's business."""
    return f"vavasms-{sha256(account.encode()).hexdigest()[:24]}"


async def wake(connection: Connection, campaign: CampaignRow, numbers: Sequence[int]) -> None:
    """Wake workers for those of these batches that wait, from when they are due, with the commit."""
    waking = {"id": campaign.id, "campaign": campaign.seq, "numbers": list(numbers), "stretch": STRETCH}
    policy = json.loads(campaign.policy)
    # With a rate they wait for their turn: in one worker's hand nobody else could take them.
    singly = isinstance(policy, dict) and policy.get("rate") is not None
    for _try in range(_TRIES):
        rows, ((last,),) = await ask(
            connection, (SQL["select_waking"], waking), (SQL["select_last_batch"], waking)
        )
        groups = cut(read_queued(rows), before=0 if singly else last + 1 - _END)
        if await _defer(connection, [_make(campaign, group) for group in groups]):
            return
    raise LedgerError(_("Jobs for these batches are made by others all the time: nothing more is sent."))


async def forget_jobs(connection: Connection, campaign: CampaignRow) -> None:
    """Remove the jobs of a campaign."""
    values = {"id": campaign.id, "queue": queue_of(campaign.account)}
    await change(connection, SQL["delete_jobs"], values)


def cut(waiting: Sequence[QueuedBatch], *, before: int) -> Iterator[Sequence[QueuedBatch]]:
    """Cut what waits into what has one job: the whole stretches `before` a number, and single batches."""
    for stretch, batches in groupby(waiting, key=lambda batch: batch.number // STRETCH):
        group = list(batches)
        is_whole = len(group) == STRETCH and stretch * STRETCH < before
        if is_whole and not any(batch.not_before for batch in group):
            yield group
        else:
            yield from ([batch] for batch in group)


def _make(campaign: CampaignRow, group: Sequence[QueuedBatch]) -> Job:
    first = group[0]
    due = datetime.fromtimestamp(first.not_before + _LATE, UTC) if first.not_before > 0 else None
    return Job(
        queue=queue_of(campaign.account),
        lock=None,
        # `select_waking` and `select_jobless` look for both forms.
        queueing_lock=f"{campaign.id}/{first.number}" + ("+" if len(group) > 1 else ""),
        task_name=TASK,
        task_kwargs={
            "campaign": campaign.id,
            "batches": [[batch.number, batch.messages, batch.segments] for batch in group],
        },
        scheduled_at=due,
    )


async def _defer(connection: Connection, jobs: list[Job]) -> bool:
    """Write jobs; False, and none written, where another one made one of them meanwhile."""
    if not jobs:
        return True
    try:
        # A savepoint: what else the transaction did stays.
        async with connection.transaction():
            await _jobs.batch_defer_jobs_async(jobs, connection=connection)
        return True
    except AlreadyEnqueued:
        return False
    except ConnectorException as error:
        cause = error.__cause__
    # PostgreSQL's own error, for whoever runs the transaction.
    raise cause or LedgerError(_("The jobs for these batches were not taken: nothing more is sent."))
