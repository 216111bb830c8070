"""Serve the opt-out page in the foreground: where it is, then nothing but what it warns of."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator

import anyio
from attrs import frozen

from vavasms.cli import exit_codes, output
from vavasms.cli.commands.inbound_listen import ReceiverServer
from vavasms.cli.commands.worker import warnings_shown
from vavasms.cli.ledger_option import open_ledger
from vavasms.cli.shell import write_setting
from vavasms.cli.signals import stop_on_signal
from vavasms.cli.sockets import bind, name_host
from vavasms.config import is_loopback
from vavasms.i18n import gettext as _
from vavasms.inbound.optout.asgi import OptOutApp

_BACKLOG = 128
#: Where the page is for whoever has a link, as an example.
_EXAMPLE = "https://sms.example.ci/d/"
#: A proxy on this machine needs no naming: whoever could pretend to be one is here already.
_THIS_MACHINE = ("127.0.0.1", "::1")


@frozen(kw_only=True)
class Serving:
    """What was asked for."""

    host: str
    port: int
    #: Who sends the SMS, as the page names it.
    name: str
    trusted_proxies: tuple[str, ...]
    ledger: str | None
    as_json: bool


def serve_page(serving: Serving) -> int:
    """Serve until Ctrl-C or SIGTERM, which are how it ends: the exit code is 0."""
    stop = threading.Event()
    # Else Python prints what uvicorn complains of: broken requests, clients that are gone.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    with bind(serving.host, serving.port) as sock, stop_on_signal(stop), warnings_shown():
        anyio.run(_serve, serving, sock, stop)
    return exit_codes.DONE


async def _serve(serving: Serving, sock: socket.socket, stop: threading.Event) -> None:
    async with open_ledger(serving.ledger) as ledger:
        proxies = (*_THIS_MACHINE, *serving.trusted_proxies)
        app = OptOutApp(ledger, name=serving.name, trusted_proxies=proxies)
        # Whoever reads the URL may call it: what calls before the loop runs waits.
        sock.listen(_BACKLOG)
        _introduce(serving, f"http://{name_host(serving.host)}:{sock.getsockname()[1]}/")
        await ReceiverServer(app, stop).serve(sockets=[sock])


def _introduce(serving: Serving, url: str) -> None:
    if serving.as_json:
        output.print_json({"url": url})
    else:
        for line in _introduction(url):
            output.say(line)
    if not is_loopback(serving.host):
        output.warn(
            _("Others can reach it by plain HTTP, which shows the links: put a proxy with HTTPS before it")
        )
    # Whoever started this as a subprocess waits for these lines.
    sys.stdout.flush()


def _introduction(url: str) -> Iterator[str]:
    head = _("Serving the opt-out page (Ctrl-C stops it). Have a proxy pass {url} on to:", url=_EXAMPLE)
    yield f"{head}\n"
    yield f"  {url}\n"
    send = _("Then write {link} in the text of a campaign:", link="{desinscription}")
    yield f"{send}\n"
    yield f"  {write_setting('VAVASMS_OPT_OUT_URL', _EXAMPLE)}\n"
