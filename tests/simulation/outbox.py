"""The programs of the outbox: who enqueues, and who sends what is enqueued."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import anyio

from tests.simulation.clock import EPOCH
from tests.simulation.intents import Book, Intent, IntentKind
from tests.simulation.site import Site, make_calls
from vavasms import AsyncVavaSMS
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.ledger.base import Ledger
from vavasms.ledger.send_record import SendRecord
from vavasms.sends.outbox_worker import OutboxWorker

#: Seconds that a worker waits for what is enqueued; whoever comes later sees to the rest.
_WORKING_SECONDS = 12.0
_LOOK_SECONDS = 1.0


async def enqueue(site: Site) -> None:
    """Enqueue each text, again where that failed."""
    async with site.client(ledger=str(site.ledger)) as sms:
        await make_calls(
            [partial(_enqueue, site, sms, intent) for intent in site.scenario.of(IntentKind.ENQUEUED)]
        )


async def _enqueue(site: Site, sms: AsyncVavaSMS, intent: Intent) -> None:
    due = None
    if site.draw.random() < 0.2:
        # By the true time, whatever the machine's clock shows.
        due = datetime.fromtimestamp(EPOCH + site.timeline.now + 2, UTC)
    for _turn in range(site.scenario.patience):
        try:
            await sms.enqueue(intent.recipients, intent.text, idempotency_key=intent.name, not_before=due)
            return
        except VavaSMSError:
            await site.pause()


async def work(site: Site) -> None:
    """Send what is enqueued, for some time."""
    await make_calls([partial(_work, site)])


async def _work(site: Site) -> None:
    for _turn in range(3):
        try:
            async with site.client() as sms, await site.open_ledger() as ledger:
                await work_off(site, sms, ledger, seconds=_WORKING_SECONDS)
                return
        except LedgerError:
            await site.pause()


async def work_off(site: Site, sms: AsyncVavaSMS, ledger: Ledger, *, seconds: float) -> None:
    """Run a worker that sends what is enqueued, until nothing of it is left."""
    worker = OutboxWorker(sms, ledger, on_send=partial(_note, site.book))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_in_time, site, sms, ledger, worker, seconds)
        try:
            await worker.run()
        finally:
            tasks.cancel_scope.cancel()


async def _stop_in_time(
    site: Site, sms: AsyncVavaSMS, ledger: Ledger, worker: OutboxWorker, seconds: float
) -> None:
    ends = site.timeline.now + seconds
    while site.timeline.now < ends and not await _is_worked_off(site, sms, ledger):
        await anyio.sleep(_LOOK_SECONDS)
    worker.stop()


async def _is_worked_off(site: Site, sms: AsyncVavaSMS, ledger: Ledger) -> bool:
    try:
        records = [
            await ledger.sends.find(sms.account.name, intent.name)
            for intent in site.scenario.of(IntentKind.ENQUEUED)
        ]
    except LedgerError:
        return False
    return all(
        record is not None and record.outcome is not None and site.book.reported[record.key, record.outcome]
        for record in records
    )


def _note(book: Book, record: SendRecord) -> None:
    assert record.outcome is not None
    book.reported[record.key, record.outcome] += 1
