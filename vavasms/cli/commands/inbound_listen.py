"""Run a receiver of inbound SMS in the foreground: its URL, then each message as it comes."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import anyio
from attrs import define, field, frozen
from rich.text import Text
from starlette.types import ASGIApp

from vavasms.cli import exit_codes, output
from vavasms.cli.commands.worker import warnings_shown
from vavasms.cli.ledger_option import open_ledger
from vavasms.cli.shell import write_setting
from vavasms.cli.signals import stop_on_signal
from vavasms.cli.sockets import bind, name_host
from vavasms.config import is_loopback
from vavasms.i18n import gettext as _
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.seen.open import open_seen
from vavasms.inbound.stop_words import is_start, is_stop
from vavasms.models import InboundMessage
from vavasms.web.server import QuietServer

#: Seconds that what is under way has when the receiver stops.
_LAST = 2
_BACKLOG = 128


@frozen(kw_only=True)
class Listening:
    """What was asked for."""

    host: str
    port: int
    token: str = field(repr=False)
    #: The token is the same after a restart.
    keeps_token: bool
    #: The file of the seen store; None keeps it in memory.
    seen: Path | None
    #: The ledger whose opt-out list is fed; None feeds none.
    ledger: str | None
    as_json: bool


@define(kw_only=True)
class MessagePrinter:
    """The printer of what comes. A message that cannot be shown is not handled, and ends the receiver."""

    as_json: bool
    stop: threading.Event
    #: Why nothing can be shown any more.
    problem: OSError | None = None

    async def show(self, message: InboundMessage) -> None:
        """Show a message."""
        try:
            output.print_json(make_object(message)) if self.as_json else output.say(describe(message))
            sys.stdout.flush()
        except OSError as error:
            self.problem = error
            self.stop.set()
            raise

    async def report(self, message: InboundMessage) -> None:
        """Show what came under the id of another; the receiver has warned of it already."""
        output.warn(_("It said, from {sender}: {text}", sender=message.sender, text=message.text))


def receive(listening: Listening) -> int:
    """Receive until Ctrl-C or SIGTERM, which are how a receiver ends: the exit code is 0."""
    printer = MessagePrinter(as_json=listening.as_json, stop=threading.Event())
    # Else Python prints what uvicorn complains of: broken requests, clients that are gone.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    with bind(listening.host, listening.port) as sock, stop_on_signal(printer.stop), warnings_shown():
        anyio.run(_serve, listening, sock, printer)
    if printer.problem is not None:
        raise printer.problem
    return exit_codes.DONE


async def _serve(listening: Listening, sock: socket.socket, printer: MessagePrinter) -> None:
    async with AsyncExitStack() as stack:
        seen = opt_outs = None
        if listening.seen is not None:
            seen = await stack.enter_async_context(aclosing(await open_seen(listening.seen)))
        if listening.ledger is not None:
            opt_outs = await stack.enter_async_context(open_ledger(listening.ledger))
        app = InboundApp(
            printer.show, token=listening.token, seen=seen, opt_outs=opt_outs, on_conflict=printer.report
        )
        # Whoever reads the URL may call it: what calls before the loop runs waits.
        sock.listen(_BACKLOG)
        _introduce(listening, make_url(sock, listening))
        await ReceiverServer(app, printer.stop).serve(sockets=[sock])


class ReceiverServer(QuietServer):
    """A server of what calls in, until `stop` is set."""

    def __init__(self, app: ASGIApp, stop: threading.Event) -> None:
        super().__init__(app, grace=_LAST)
        self._stop = stop

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop."""
        return await super().on_tick(counter) or self._stop.is_set()


def make_url(sock: socket.socket, listening: Listening) -> str:
    """Return the URL to be called from this machine, or from elsewhere by the host's name."""
    return f"http://{name_host(listening.host)}:{sock.getsockname()[1]}/{listening.token}"


def make_object(message: InboundMessage) -> dict[str, object]:
    """Return a message as JSON has it."""
    return {
        "message_id": message.message_id,
        "sender": message.sender,
        "text": message.text,
        "received_at": None if message.received_at is None else message.received_at.isoformat(),
        "raw_date": message.raw_date,
        "stop": is_stop(message.text),
        "start": is_start(message.text),
    }


def describe(message: InboundMessage) -> Text:
    """Return a message as one line, with its whole number: that is what whoever tries it out looks for."""
    line = Text(time.strftime("%H:%M:%S  "), style="dim")
    line.append(f"{output.clean(message.sender)}  ", style="cyan")
    line.append(output.clean(message.text), style="default")
    if is_start(message.text):
        line.append("  ").append(_("(a start word: off the opt-out list)"), style="yellow")
    if is_stop(message.text):
        line.append("  ").append(_("(a stop word)"), style="yellow")
    return line


def _introduce(listening: Listening, url: str) -> None:
    if listening.as_json:
        output.print_json({"url": url})
    else:
        for line in _introduction(listening, url):
            output.say(line)
    if not is_loopback(listening.host):
        output.warn(
            _(
                "Others can reach it by plain HTTP, which shows the token and the texts on the way: "
                "put a proxy with HTTPS before it"
            )
        )
    # Whoever started this as a subprocess waits for these lines.
    sys.stdout.flush()


def _introduction(listening: Listening, url: str) -> Iterator[str]:
    head = _("Receiving inbound SMS (Ctrl-C stops it). To register, behind a tunnel or a proxy with HTTPS:")
    yield f"{head}\n"
    yield f"  {url}\n"
    if not listening.keeps_token:
        yield _(
            "Its token was made for this run; set VAVASMS_INBOUND_TOKEN to keep one. Who knows it can post."
        )
    pretend = _("To pretend to be the platform, in another terminal:")
    yield f"{pretend}\n"
    yield f"  {write_setting('VAVASMS_INBOUND_URL', url)}"
    yield "  vavasms inbound trigger --from +2250700000001 --text Bonjour\n"
    if listening.ledger is None:
        yield _("Stop words are marked, and fed to no opt-out list: --ledger names one.")
    else:
        yield _("The senders of stop words go to the ledger's opt-out list.")
    end = _("Numbers and texts are shown in full: mind who looks on.")
    yield f"{end}\n"
