"""The programs that send for somebody who waits: single texts with a key and without one, and in bulk."""

from __future__ import annotations

from functools import partial

from tests.simulation.intents import Intent, IntentKind
from tests.simulation.site import Site, make_calls
from vavasms import AsyncVavaSMS
from vavasms.bulk.models import BulkReport
from vavasms.errors import Outcome, SendInProgressError, VavaSMSError


async def send_keyed(site: Site) -> None:
    """Send each text with its key, again where it failed: as one does who cannot wait."""
    async with site.client(ledger=str(site.ledger)) as sms:
        await make_calls(
            [partial(_send_keyed, site, sms, intent) for intent in site.scenario.of(IntentKind.KEYED)]
        )


async def _send_keyed(site: Site, sms: AsyncVavaSMS, intent: Intent) -> None:
    for _turn in range(site.scenario.patience):
        try:
            lot = await sms.send(intent.recipients, intent.text, idempotency_key=intent.name)
        except SendInProgressError:
            await site.pause()
        except VavaSMSError as error:
            site.book.tell(intent, error.outcome)
            await site.pause()
        else:
            site.book.tell_lot(intent, lot)
            return


async def send_plain(site: Site) -> None:
    """Send each text without a ledger, again only where that is safe."""
    async with site.client() as sms:
        await make_calls(
            [partial(_send_plain, site, sms, intent) for intent in site.scenario.of(IntentKind.PLAIN)]
        )


async def _send_plain(site: Site, sms: AsyncVavaSMS, intent: Intent) -> None:
    for _turn in range(site.scenario.patience):
        site.book.untold[intent.name] += 1
        try:
            lot = await sms.send(intent.recipients, intent.text)
        except VavaSMSError as error:
            site.book.untold[intent.name] -= 1
            site.book.tell(intent, error.outcome)
            if not error.safe_to_retry:
                return
            await site.pause()
        else:
            site.book.untold[intent.name] -= 1
            site.book.tell_lot(intent, lot)
            return


async def send_bulk(site: Site) -> None:
    """Send in bulk; whatever ends it, it says what became of everybody."""
    async with site.client(max_connections=4) as sms:
        await make_calls(
            [partial(_send_bulk, site, sms, intent) for intent in site.scenario.of(IntentKind.BULK)]
        )


async def _send_bulk(site: Site, sms: AsyncVavaSMS, intent: Intent) -> None:
    shape = site.scenario.bulk
    try:
        report = await sms.send_bulk(
            intent.recipients,
            intent.text,
            batch_size=shape.batch_size,
            concurrency=shape.concurrency,
            rate=shape.rate,
        )
    except BaseException as error:
        account = getattr(error, "bulk_report", None)
        if account is None:
            site.book.problems.append(f"{intent.name}: {type(error).__name__} ended it without an account")
        else:
            _note(site, intent, account, is_whole=False)
        raise
    _note(site, intent, report, is_whole=True)


def _note(site: Site, intent: Intent, report: BulkReport, *, is_whole: bool) -> None:
    """Note what a report says of each recipient, and that it leaves out nobody who was read of the list."""
    told: list[str] = []
    for result in report.results:
        told += map(str, result.recipients)
        if result.lot is not None:
            site.book.tell_lot(intent, result.lot)
        else:
            site.book.tell(intent, result.outcome, map(str, result.recipients))
    missing = {*intent.recipients} - {*told}
    shown = {
        Outcome.ACCEPTED: report.accepted,
        Outcome.REJECTED: report.rejected,
        Outcome.NOT_SENT: report.not_sent,
        Outcome.UNKNOWN: report.unknown,
    }
    counts = {outcome: sum(1 for _each in report.recipients(outcome)) for outcome in Outcome}
    if len({*told}) < len(told) or (missing and is_whole) or counts != shown:
        site.book.problems.append(f"{intent.name}: a report of {sorted(told)}, counted as {shown}")
    # Who was never read was not sent to.
    site.book.tell(intent, Outcome.NOT_SENT, sorted(missing))
