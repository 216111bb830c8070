"""`optouts list`, `add`, `remove`, `import`, `export`, `serve`: all work beside a runner."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from vavasms.campaigns.opt_out_import import FATES
from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.campaigns.report import csv_line
from vavasms.cli import exit_codes, output, params
from vavasms.cli.commands.optout_import import Import
from vavasms.cli.excel import Excel, print_mark, write_line
from vavasms.cli.ledger_option import LedgerPath, find_ledger, open_ledger, run_on_ledger
from vavasms.cli.output import moment, write_moment
from vavasms.cli.refused import RefusedPath, open_refused
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import OptOut
from vavasms.ledger.optout_codes import LINK_SOURCE
from vavasms.numbers import Msisdn, check_region, parse_msisdn

#: Numbers read or written at a time.
_PAGE = 1000
_HOME = "CI"
#: What a ledger, CSV and JSON have of a number that was added here.
_BY_HAND = "cli"
_PORTS = range(65536)

Numbers = Annotated[str, Parameter(name="NUMBER", help=_("+2250700000001, or 0700000001 in Côte d'Ivoire."))]


def list_opt_outs(*, ledger: LedgerPath = None, as_json: params.JsonFlag = False) -> None:
    """List the numbers that want no messages."""
    count = run_on_ledger(ledger, partial(_print, _show_json if as_json else _show_text))
    if not as_json:
        end = ngettext("{n} number.", "{n} numbers.", count) if count else _("The opt-out list is empty.")
        output.say(end)


def add(
    *numbers: Numbers,
    region: params.Region = None,
    repair: params.Repair = False,
    ledger: LedgerPath = None,
    as_json: params.JsonFlag = False,
) -> None:
    """Put numbers on the list: no campaign sends to them."""
    recipients = _parse(numbers, region, repair=repair)
    added = anyio.run(_add, ledger, recipients)
    known = len(recipients) - added
    if as_json:
        output.print_json({"added": added, "known": known})
        return
    if known:
        sentence = ngettext(
            "Added {n} number; {known} on the list already.",
            "Added {n} numbers; {known} on the list already.",
            added,
            known=known,
        )
    else:
        sentence = ngettext("Added {n} number.", "Added {n} numbers.", added)
    output.say(sentence)


def remove(
    *numbers: Numbers,
    region: params.Region = None,
    repair: params.Repair = False,
    ledger: LedgerPath = None,
    as_json: params.JsonFlag = False,
) -> None:
    """Take numbers off the list."""
    recipients = _parse(numbers, region, repair=repair)
    removed = run_on_ledger(ledger, lambda opened: opened.remove_opt_outs(recipients))
    absent = len(recipients) - removed
    if as_json:
        output.print_json({"removed": removed, "absent": absent})
        return
    if absent:
        sentence = ngettext(
            "Removed {n} number; {absent} not on the list.",
            "Removed {n} numbers; {absent} not on the list.",
            removed,
            absent=absent,
        )
    else:
        sentence = ngettext("Removed {n} number.", "Removed {n} numbers.", removed)
    output.say(sentence)


def import_file(
    file: params.Contacts,
    /,
    *,
    region: params.Region = None,
    repair: params.Repair = False,
    phone_column: params.PhoneColumn = None,
    sheet: params.SheetName = None,
    encoding: params.TextEncoding = None,
    refused: RefusedPath = None,
    excel: Excel = False,
    ledger: LedgerPath = None,
    as_json: params.JsonFlag = False,
) -> int:
    """Put the numbers of a file on the list.

    The exit code is 2 where a row could not be read.
    """
    judge = Judge(region=None if region is None else check_region(region), repair=repair)
    # Refused before anybody types a list.
    find_ledger(ledger)
    stream = params.open_contacts(file)
    with (
        open_refused(refused, file, excel=excel) as left_out,
        read_contacts(stream, phone_column=phone_column, sheet=sheet, encoding=encoding) as contacts,
    ):
        if left_out is not None:
            left_out.begin(contacts)
        work = Import(
            contacts=contacts,
            judge=judge,
            source="standard input" if file == "-" else Path(file).name,
            is_quiet=as_json,
            left_out=left_out,
        )
        anyio.run(work.run, ledger)
    if as_json:
        found = work.work
        counts = {"numbers": found.counts.total()} | {key: found.counts[key] for key in FATES}
        output.print_json(counts | {"refused_rows": found.refused_rows})
    else:
        work.summarize()
    return exit_codes.USAGE if work.work.refused_rows else exit_codes.DONE


def export(*, excel: Excel = False, ledger: LedgerPath = None) -> None:
    """Print the list as CSV."""

    def show(*cells: str) -> None:
        line = csv_line(cells)
        sys.stdout.write(write_line(line) if excel else line)

    async def write(opened: Ledger) -> None:
        if excel:
            print_mark()
        show("phone", "source", "at")
        await _print(lambda one: show(str(one.recipient), one.source, moment(one.at)), opened)

    run_on_ledger(ledger, write)


def serve(
    *,
    port: Annotated[int, Parameter(metavar="PORT", help=_("Where to listen; 0 takes any free port."))] = 8427,
    host: Annotated[str, Parameter(metavar=_("HOST"), help=_("The address to listen at."))] = "127.0.0.1",
    name: Annotated[
        str, params.text_option(_("Who sends the SMS, as the page names it."), metavar=_("NAME"))
    ] = "",
    trusted_proxy: Annotated[
        tuple[str, ...],
        Parameter(
            metavar=_("ADDRESS"),
            show_default=False,
            negative=(),
            help=_("A proxy on another machine, whose X-Forwarded-For is believed. Repeat it for more."),
        ),
    ] = (),
    ledger: LedgerPath = None,
    as_json: params.JsonFlag = False,
) -> int:
    """Serve the page behind opt-out links, until Ctrl-C."""
    if port not in _PORTS:
        raise InvalidInputError(
            _("A port is a number from 0 to 65535."), error_code="inbound.port", outcome=None
        )
    if find_spec("uvicorn") is None:
        raise misconfigured(_("Listening needs an extra: pip install 'vavasms[sandbox]'."), "config.extra")
    from vavasms.cli.commands.optout_serve import Serving, serve_page

    return serve_page(
        Serving(
            host=host, port=port, name=name, trusted_proxies=trusted_proxy, ledger=ledger, as_json=as_json
        )
    )


def _parse(numbers: Sequence[str], region: str | None, *, repair: bool) -> frozenset[Msisdn]:
    if not numbers:
        raise InvalidInputError(
            _("Name one number or more. Nothing was changed."), error_code="usage.words", outcome=None
        )
    return frozenset(
        parse_msisdn(number, region=region, default_region=_HOME, repair=repair) for number in numbers
    )


async def _add(place: str | None, numbers: frozenset[Msisdn]) -> int:
    async with open_ledger(place) as ledger:
        return await ledger.add_opt_outs(numbers, source=_BY_HAND, now=time.time())


async def _print(show: Callable[[OptOut], None], ledger: Ledger) -> int:
    """Print the list, a page at a time; return how long it is."""
    after: Msisdn | None = None
    count = 0
    while page := await ledger.opt_outs(after=after, limit=_PAGE):
        for opt_out in page:
            show(opt_out)
        count, after = count + len(page), page[-1].recipient
    return count


def _show_text(opt_out: OptOut) -> None:
    known = {_BY_HAND: _("by hand"), LINK_SOURCE: _("by link")}
    source = known.get(opt_out.source) or output.clean(opt_out.source)
    sys.stdout.write(f"{opt_out.recipient.e164:<16}  {write_moment(opt_out.at)}  {source}\n")


def _show_json(opt_out: OptOut) -> None:
    output.print_json({"phone": opt_out.recipient, "source": opt_out.source, "at": moment(opt_out.at)})
