"""`worker`: one of several that carry the campaigns of a PostgreSQL ledger."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Annotated, Protocol

import anyio
from attrs import define, frozen
from cyclopts import Parameter
from rich.text import Text

from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.cli import account, exits, show
from vavasms.cli.campaign.outcomes import make_object, tell_outcomes
from vavasms.cli.campaign.steering import receive_signals, terminable
from vavasms.cli.ledgers import LedgerPath, find_ledger
from vavasms.cli.options import JsonFlag
from vavasms.config import Secret, misconfigured
from vavasms.errors import InvalidInputError

_NOTICE = "Stopping: finishing what is under way. Another signal does not wait."
_ABRUPT = "Stopped at once: what is under way and was not answered becomes unknown."


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
        return anyio.run(_work, place, concurrency, Teller(as_json=as_json))


@frozen(kw_only=True)
class Teller:
    """Say what happens, for people or for programs. Where nobody reads it any more the work goes on."""

    as_json: bool

    def begin(self, concurrency: int) -> None:
        """Say that the worker is at work."""
        places = show.count(concurrency, "request")
        words = f"Carrying the campaigns of the PostgreSQL database, {places} at once. Ctrl-C stops it."
        self._tell({"event": "start", "concurrency": concurrency}, Text(words))

    def end(self, status: CampaignStatus) -> None:
        """Say what became of a campaign."""
        why = f" ({show.clean(status.reason)})" if status.reason else ""
        head = Text(f"The campaign {show.clean(status.id)} is {status.state.value}{why}: ")
        self._tell({"event": "end", **make_object(status)}, head.append_text(tell_outcomes(status)))

    def _tell(self, value: Mapping[str, object], words: Text) -> None:
        with suppress(OSError):
            show.print_json(value) if self.as_json else show.say(words)
            sys.stdout.flush()


def warn(sentence: str) -> None:
    """Warn, if somebody reads it."""
    with suppress(OSError):
        show.warn(sentence)


class Stoppable(Protocol):
    """A `CampaignWorker`."""

    async def run(self) -> None:
        """Work until `stop`."""
        ...

    def stop(self) -> None:
        """Begin nothing further."""
        ...


@define(kw_only=True)
class _Steering:
    work: Stoppable
    #: Ends the work at once.
    scope: anyio.CancelScope
    #: How the work ends by what came: nothing, SIGTERM, Ctrl-C or several.
    code: int = exits.DONE
    presses: int = 0

    async def listen(self, signals: AsyncIterator[signal.Signals]) -> None:
        async for one in signals:
            self.presses += 1
            if self.presses > 1 or one is signal.SIGINT:
                self.code = exits.INTERRUPTED
            if self.presses == 1:
                warn(_NOTICE)
                self.work.stop()
            else:
                warn(_ABRUPT)
                self.scope.cancel()


async def _work(url: Secret, concurrency: int, tell: Teller) -> int:
    # They need an extra, and say so.
    from vavasms.campaigns.ledger.postgres import PostgresLedger
    from vavasms.campaigns.worker import CampaignWorker

    # One place more, for the balance.
    async with (
        account.make_async_client(max_connections=concurrency + 1) as sms,
        await PostgresLedger.open(url.reveal()) as ledger,
    ):
        work = CampaignWorker(sms, ledger, concurrency=concurrency, on_campaign=tell.end)
        return await steer(work, lambda: tell.begin(concurrency))


async def steer(work: Stoppable, begin: Callable[[], None]) -> int:
    """Work until a signal; give the exit code."""
    problem: Exception | None = None
    with receive_signals() as signals:
        # Whoever reads it may stop the worker from then on.
        begin()
        async with anyio.create_task_group() as tasks:
            steering = _Steering(work=work, scope=tasks.cancel_scope)
            if signals is not None:
                tasks.start_soon(steering.listen, signals)
            try:
                await work.run()
            except Exception as error:  # noqa: BLE001  raised below, by itself and not in a group
                problem = error
            tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return steering.code


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
