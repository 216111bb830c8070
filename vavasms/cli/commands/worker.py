"""`worker`: one of several that send what is enqueued, and carry the campaigns of a PostgreSQL ledger."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import anyio
from attrs import frozen
from cyclopts import Parameter
from rich.text import Text

from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands.campaign.status_view import make_object, tell_outcomes
from vavasms.cli.commands.send_view import make_event, tell_outcome
from vavasms.cli.commands.worker_health import WorkerHealth, open_health
from vavasms.cli.ledger_option import LedgerPath, find_ledger, open_place
from vavasms.cli.params import JsonFlag
from vavasms.cli.signals import run_until_signalled, terminable
from vavasms.config import Secret
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import ngettext
from vavasms.ledger.kept import say_reason
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.rows import in_a_state
from vavasms.ledger.send_record import SendRecord
from vavasms.sends.outbox_worker import SLOTS, OutboxWorker

LogFormat = Literal["text", "json"]

#: Our logger, and that of a server whose every complaint a stranger can bring about.
_OURS, _SILENT = "vavasms", "uvicorn"

_NOTICES = (
    N_("Stopping: finishing what is under way. Another signal does not wait."),
    N_("Stopped at once: what is under way and was not answered becomes unknown."),
)


def worker(
    *,
    concurrency: Annotated[
        int, Parameter(metavar="N", help=_("Requests of campaigns under way at once."))
    ] = 16,
    ledger: LedgerPath = None,
    health: Annotated[
        str | None,
        Parameter(
            metavar="HOST:PORT",
            show_default=False,
            help=_("Serve /live, /ready and /metrics there, such as 127.0.0.1:8428."),
        ),
    ] = None,
    log: Annotated[
        LogFormat,
        Parameter(help=_("What is warned of: lines for people, or JSON objects for a log's collector.")),
    ] = "text",
    as_json: JsonFlag = False,
) -> int:
    """Send what is enqueued, and carry the campaigns of a PostgreSQL ledger.

    SIGTERM, or a closed terminal, is how a worker ends: the exit code is 0. Ctrl-C, and a second signal, are
    interruptions.
    """
    if concurrency < 1:
        raise InvalidInputError(
            _("{option} is a whole number, 1 or more.", option="--concurrency"),
            error_code="usage.value",
            outcome=None,
        )
    place, printer = find_ledger(ledger), ProgressPrinter(as_json=as_json)
    with terminable(), logs_shown(log), open_health(health) as served:
        if isinstance(place, Path):
            return anyio.run(_carry_outbox, place, printer, served)
        return anyio.run(_carry_campaigns, place, concurrency, printer, served)


@frozen(kw_only=True)
class ProgressPrinter:
    """The printer of what happens, for people or programs. Where nobody reads it the work goes on."""

    as_json: bool

    def begin(self, concurrency: int, health: WorkerHealth | None = None, file: Path | None = None) -> None:
        """Print that the worker is at work; on a file it only sends what is enqueued."""
        if file is None:
            line = ngettext(
                "Carrying the campaigns of the PostgreSQL database, {n} request at once. Ctrl-C stops it.",
                "Carrying the campaigns of the PostgreSQL database, {n} requests at once. Ctrl-C stops it.",
                concurrency,
            )
        else:
            line = ngettext(
                "Sending what is enqueued in {path}, {n} request at once. Ctrl-C stops it.",
                "Sending what is enqueued in {path}, {n} requests at once. Ctrl-C stops it.",
                concurrency,
                path=output.clean(str(file)),
            )
        if health is None or health.url is None:
            self._print({"event": "start", "concurrency": concurrency}, Text(line))
            return
        served = _("Its health: {url}", url=health.url)
        self._print(
            {"event": "start", "concurrency": concurrency, "health": health.url}, Text(f"{line}\n{served}")
        )

    def end(self, status: CampaignStatus) -> None:
        """Print what became of a campaign."""
        names = {
            "id": output.clean(status.id),
            "is_state": in_a_state(status.state),
            "outcomes": output.PLACE,
        }
        if status.reason:
            why = output.clean(say_reason(status.reason))
            line = _("The campaign {id} {is_state} ({why}): {outcomes}", why=why, **names)
        else:
            line = _("The campaign {id} {is_state}: {outcomes}", **names)
        self._print({"event": "end", **make_object(status)}, output.fill(line, tell_outcomes(status)))

    def settle(self, record: SendRecord) -> None:
        """Print what became of a send that was enqueued."""
        self._print({"event": "send", **make_event(record)}, tell_outcome(record))

    def _print(self, value: Mapping[str, object], line: Text) -> None:
        with suppress(OSError):
            output.print_json(value) if self.as_json else output.say(line)
            sys.stdout.flush()


def note(sentence: str) -> None:
    """Note what is no fault, if somebody reads it."""
    with suppress(OSError):
        output.warn(sentence, level="info")


def warn(sentence: str) -> None:
    """Warn, if somebody reads it."""
    with suppress(OSError):
        output.warn(sentence)


async def _carry_campaigns(
    url: Secret, concurrency: int, printer: ProgressPrinter, health: WorkerHealth
) -> int:
    """Carry the campaigns of a database, and its outbox; return the exit code."""
    # They need an extra, and say so.
    from vavasms.campaigns.workers.worker import CampaignWorker
    from vavasms.ledger.postgres.ledger import PostgresLedger

    # Three places more, for the balance, that of the health, and delivery reports; and those of the outbox.
    connections = concurrency + 3 + SLOTS
    async with (
        settings.make_async_client(max_connections=connections, on_response=health.count_request) as sms,
        await PostgresLedger.open(url.reveal()) as ledger,
    ):
        work = CampaignWorker(
            sms,
            ledger,
            concurrency=concurrency,
            on_campaign=printer.end,
            on_send=printer.settle,
            on_wait=health.count_wait,
        )
        async with health.served(sms, ledger):
            return await _run(partial(printer.begin, concurrency, health), work.run, health.then(work.stop))


async def _carry_outbox(path: Path, printer: ProgressPrinter, health: WorkerHealth) -> int:
    """Send what is enqueued in a file; return the exit code."""
    async with (
        settings.make_async_client(max_connections=SLOTS + 1, on_response=health.count_request) as sms,
        open_place(path) as ledger,
    ):
        work = OutboxWorker(sms, ledger, on_send=printer.settle)
        async with health.served(sms, ledger):
            return await _run(partial(printer.begin, SLOTS, health, path), work.run, health.then(work.stop))


async def _run(
    begin: Callable[[], None], work: Callable[[], Awaitable[None]], stop: Callable[[], None]
) -> int:
    """Work until a signal; return the exit code."""

    async def run() -> None:
        # Whoever reads it may stop the worker from then on.
        begin()
        await work()

    first, second = map(_, _NOTICES)
    _result, signals = await run_until_signalled(run, stop, note=note, sentences=(first, second))
    return exit_codes.INTERRUPTED if len(signals) > 1 or signal.SIGINT in signals else exit_codes.DONE


class _Warnings(logging.Handler):
    """Show what a worker goes on after: a server that is away, a fault beside the sending."""

    def emit(self, record: logging.LogRecord) -> None:
        # Raised, it would end what the worker does.
        with suppress(Exception):
            # What a log says in English has its French where it was marked.
            sentence, args = str(_(str(record.msg))), record.args
            with suppress(TypeError, ValueError):
                if isinstance(args, tuple):
                    sentence %= tuple(say_reason(arg) if isinstance(arg, str) else arg for arg in args)
            warn(sentence)


class _JsonLines(logging.Handler):
    """Write each record as one JSON object, in English; of another package no word: it may be anybody's."""

    def emit(self, record: logging.LogRecord) -> None:
        package = record.name.partition(".")[0]
        if package == _OURS:
            message = _read_message(record)
        elif package == _SILENT or record.levelno < logging.WARNING:
            return
        else:
            message = None
        kind = record.exc_info[0] if record.exc_info else None
        # Raised, it would end what the worker does.
        with suppress(Exception):
            output.log(
                record.levelname.lower(),
                message,
                at=record.created,
                logger=record.name,
                # Of an error the type alone: its words may be anybody's.
                exception=None if kind is None else kind.__name__,
            )


def _read_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)


@contextmanager
def logs_shown(form: LogFormat) -> Iterator[None]:
    """Show what is logged, for people or for a collector, while the block runs.

    A collector gets Python's warnings and what other packages log as well: else they would come out as text.
    """
    if form == "text":
        with warnings_shown():
            yield
        return
    with output.json_logs(), _handled_by(_JsonLines(logging.INFO), logging.getLogger()):
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Show people what is warned of while the block runs."""
    with _handled_by(_Warnings(logging.WARNING), logging.getLogger(_OURS)):
        yield


@contextmanager
def _handled_by(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
