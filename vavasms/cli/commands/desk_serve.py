"""Serve the desk in the foreground: the link that opens it, then what it warns of."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import frozen

from vavasms.campaigns.planning.optout_link import parse_opt_out_url
from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.cli.commands.demo.gateway import make_gateway
from vavasms.cli.commands.worker import warn, warnings_shown
from vavasms.cli.ledger_option import open_place
from vavasms.cli.signals import run_until_signalled, terminable
from vavasms.client import AsyncVavaSMS
from vavasms.desk.desk import Desk
from vavasms.desk.page import Pages
from vavasms.desk.server import DeskServer
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.sandbox import SandboxServer
from vavasms.storage.location import Place

#: Requests of campaigns under way at once, and two places more: for the balance and for delivery reports.
_CONNECTIONS = 32 + 2
_NOTICES = (
    N_("Closing the desk: finishing what is under way. Ctrl-C again does not wait."),
    N_("Closed at once: what is under way and was not answered becomes unknown."),
)
#: The list that the demonstration is to be tried with.
_ROWS, _LIST = 10_000, "contacts.csv"


@frozen(kw_only=True)
class _Printer:
    """The printer of links, for people or programs."""

    as_json: bool
    #: A list to be dropped; None where the person has one.
    contacts: Path | None = None

    def begin(self, link: str) -> None:
        """Print how the desk is opened."""
        if self.as_json:
            output.print_json({"event": "start", "url": link})
        else:
            output.say(_("The desk is open. In a browser of this machine: {url}", url=link))
            if self.contacts is not None:
                output.say(_("A messy list to drop there: {path}", path=output.clean(str(self.contacts))))
            output.say(_("Ctrl-C closes it: what is under way is finished, the rest waits."))
        # Whoever started it as a subprocess waits for it.
        sys.stdout.flush()

    def go_on(self, link: str) -> None:
        """Print the next link once one was used."""
        if self.as_json:
            output.print_json({"event": "opened", "url": link})
        else:
            output.say(_("Opened. For another browser: {url}", url=link))
        sys.stdout.flush()


def serve(place: Place, port: int, *, as_json: bool) -> int:
    """Serve the desk of a ledger until a signal, which is how it ends: the exit code is 0."""

    setting = settings.find_setting("VAVASMS_OPT_OUT_URL")
    opt_out_url = None if setting is None else parse_opt_out_url(setting)

    async def run() -> int:
        name = str(place) if isinstance(place, Path) else _("the PostgreSQL database")
        async with open_place(place) as ledger:
            client = settings.make_async_client(max_connections=_CONNECTIONS, ledger=ledger)
            return await _serve(
                client, ledger, port, name, _Printer(as_json=as_json), opt_out_url=opt_out_url
            )

    with terminable(), warnings_shown():
        return anyio.run(run)


def serve_demo(port: int, *, as_json: bool) -> int:
    """Serve a desk on a sandbox, with a ledger that goes with it."""
    gateway = make_gateway(_ROWS)
    with TemporaryDirectory(prefix="vavasms-") as folder, SandboxServer(gateway) as server:
        contacts = Path(folder) / _LIST
        write_contacts(contacts, _ROWS)

        async def run() -> int:
            async with open_place(Path(folder) / "demo.db") as ledger:
                client = AsyncVavaSMS(
                    gateway.username,
                    gateway.password,
                    sender_id="SANDBOX",
                    base_url=server.url,
                    trust_env=False,
                    lots_are_atomic=True,
                    max_connections=_CONNECTIONS,
                    ledger=ledger,
                )
                printer = _Printer(as_json=as_json, contacts=contacts)
                return await _serve(
                    client, ledger, port, _("a folder that goes with it"), printer, is_demo=True
                )

        with terminable(), warnings_shown():
            return anyio.run(run)


async def _serve(
    client: AsyncVavaSMS,
    ledger: Ledger,
    port: int,
    name: str,
    printer: _Printer,
    *,
    opt_out_url: str | None = None,
    is_demo: bool = False,
) -> int:
    async with client:
        desk = Desk(client=client, ledger=ledger, opt_out_url=opt_out_url)
        pages = Pages(desk=desk, ledger_name=name, is_demo=is_demo)
        server = DeskServer(pages=pages, port=port, on_entered=printer.go_on)

        async def run() -> None:
            async with server.opened():
                printer.begin(server.link)
                await server.run()

        first, second = map(_, _NOTICES)
        _result, signals = await run_until_signalled(run, server.stop, note=warn, sentences=(first, second))
    return exit_codes.INTERRUPTED if len(signals) > 1 else exit_codes.DONE
