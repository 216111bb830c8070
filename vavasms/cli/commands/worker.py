"""`worker`: one of several that carry the campaigns of a PostgreSQL ledger."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Annotated

import anyio
from attrs import frozen
from cyclopts import Parameter
from rich.text import Text

from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands.campaign.status_view import make_object, tell_outcomes
from vavasms.cli.ledger_option import LedgerPath, find_ledger
from vavasms.cli.params import JsonFlag
from vavasms.cli.signals import run_until_signalled, terminable
from vavasms.config import Secret, misconfigured
from vavasms.errors import InvalidInputError
from vavasms.ledger.models import CampaignStatus

_NOTICES = (
    "Stopping: finishing what is under way. Another signal does not wait.",
    "Stopped at once: what is under way and was not answered becomes unknown.",
)


def worker(
    *,
    concurrency: Annotated[int, Parameter(metavar="N", help="Requests under way at once.")] = 16,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Carry the campaigns of a PostgreSQL ledger, beside other workers.

    SIGTERM, or a closed terminal, is how a worker ends: the exit code is 0. Ctrl-C, and a second signal, are
    interruptions.
    """
    if concurrency < 1:
        raise InvalidInputError("--concurrency is a whole number, 1 or more.", outcome=None)
    place = find_ledger(ledger)
    if not isinstance(place, Secret):
        raise misconfigured(
            "A worker needs a ledger in PostgreSQL (--ledger postgresql://…); the campaigns of a file are "
            "carried by `vavasms campaign resume`."
        )
    with terminable(), warnings_shown():
        return anyio.run(_work, place, concurrency, ProgressPrinter(as_json=as_json))


@frozen(kw_only=True)
class ProgressPrinter:
    """The printer of what happens, for people or programs. Where nobody reads it the work goes on."""

    as_json: bool

    def begin(self, concurrency: int) -> None:
        """Print that the worker is at work."""
        requests = output.count(concurrency, "request")
        line = f"Carrying the campaigns of the PostgreSQL database, {requests} at once. Ctrl-C stops it."
        self._print({"event": "start", "concurrency": concurrency}, Text(line))

    def end(self, status: CampaignStatus) -> None:
        """Print what became of a campaign."""
        why = f" ({output.clean(status.reason)})" if status.reason else ""
        head = Text(f"The campaign {output.clean(status.id)} is {status.state.value}{why}: ")
        self._print({"event": "end", **make_object(status)}, head.append_text(tell_outcomes(status)))

    def _print(self, value: Mapping[str, object], line: Text) -> None:
        with suppress(OSError):
            output.print_json(value) if self.as_json else output.say(line)
            sys.stdout.flush()


def warn(sentence: str) -> None:
    """Warn, if somebody reads it."""
    with suppress(OSError):
        output.warn(sentence)


async def _work(url: Secret, concurrency: int, printer: ProgressPrinter) -> int:
    """Work until a signal; return the exit code."""
    # They need an extra, and say so.
    from vavasms.campaigns.workers.worker import CampaignWorker
    from vavasms.ledger.postgres.ledger import PostgresLedger

    # One place more, for the balance.
    async with (
        settings.make_async_client(max_connections=concurrency + 1) as sms,
        await PostgresLedger.open(url.reveal()) as ledger,
    ):
        work = CampaignWorker(sms, ledger, concurrency=concurrency, on_campaign=printer.end)

        async def run() -> None:
            # Whoever reads it may stop the worker from then on.
            printer.begin(concurrency)
            await work.run()

        _, signals = await run_until_signalled(run, work.stop, note=warn, sentences=_NOTICES)
    return exit_codes.INTERRUPTED if len(signals) > 1 or signal.SIGINT in signals else exit_codes.DONE


class _Warnings(logging.Handler):
    """Show what a worker goes on after: a server that is away, a fault beside the sending."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


@contextmanager
def warnings_shown() -> Iterator[None]:
    logger, handler = logging.getLogger("vavasms"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
