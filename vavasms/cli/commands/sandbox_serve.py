"""Run the sandbox in the foreground: how to reach it, then each SMS as it comes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from rich.text import Text

from vavasms.cli import exit_codes, output
from vavasms.cli.shell import write_setting
from vavasms.cli.signals import stop_on_signal
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
from vavasms.profile.models import UNKNOWN, GatewayProfile, Oversize
from vavasms.sandbox import Entry, Gateway, GatewayRules, Inbound, MagicNumber, SandboxError, SandboxServer
from vavasms.transport.http import post_form

#: Seconds after which a stop is noticed at the latest.
_BEAT = 0.2
_TEXT_SHOWN = 160
#: The one-time code is always this, as long as was asked for: a stand-in guards nothing, and the examples
#: in the help can be run as they stand.
CODE = "042317986"


def serve(
    port: int,
    *,
    as_json: bool,
    inbound_url: str | None = None,
    allow_remote: bool = False,
    failing: Mapping[str, float] | None = None,
    profile: GatewayProfile = UNKNOWN,
) -> int:
    """Serve until Ctrl-C or SIGTERM, which are how a server ends: the exit code is 0."""
    stop = threading.Event()
    try:
        inbound = _inbound(inbound_url, allow_remote=allow_remote)
        gateway = Gateway(below=draw, failing=failing, **play(profile))
        with stop_on_signal(stop), SandboxServer(gateway, port=port, inbound=inbound) as server:
            _introduce(server, as_json=as_json)
            _follow(server, stop, quiet=as_json)
    except SandboxError as error:
        sentence = error.args[0]
        if error.error_code == "sandbox.port" and not as_json:
            sentence = _tell_other_port(sentence, port)
        raise InvalidInputError(sentence, error_code=error.error_code, outcome=None) from None
    return exit_codes.DONE


def play(profile: GatewayProfile) -> dict[str, Any]:
    """Return the arguments of a `Gateway` that is as a profile says; what is not known is its own choice.

    The sandbox knows no profiles: it is a second reading, and shares no more of ours than it must.
    """
    rules = {
        "has_status_call": profile.has_status_call,
        "lots_are_atomic": profile.lots_are_atomic,
        "max_recipients": profile.most_recipients,
        "drops_recipients": None if profile.oversize is None else profile.oversize is Oversize.DROPPED,
        "price_ucs2": profile.unit_price_ucs2,
        "price_is_per_segment": profile.price_is_per_segment,
        "statuses": tuple(sorted(profile.statuses.items(), key=itemgetter(1))) or None,
        "requests_per_second": (
            profile.requests_per_second if profile.requests_per_second_is_limit else None
        ),
    }
    options: dict[str, Any] = {"status_path": profile.status_path, "price": profile.unit_price}
    known = {name: value for name, value in options.items() if value is not None}
    chosen: dict[str, Any] = {name: value for name, value in rules.items() if value is not None}
    return known | {"rules": GatewayRules(**chosen)}


def _tell_other_port(why: str, port: int) -> str:
    other = f"vavasms sandbox --port {port % 65535 + 1}"
    return _("{why}. For example: `{command}`, or `--port 0`", why=why, command=other)


def _inbound(url: str | None, *, allow_remote: bool) -> Inbound | None:
    # The sandbox reaches out by nothing of its own.
    return None if url is None else Inbound(url=url, post=post_form, allow_remote=allow_remote)


def draw(below: int) -> int:
    """Draw the code of `len(str(below)) - 1` digits, as the gateway asks for it."""
    return int(CODE[: len(str(below)) - 1])


def _introduce(server: SandboxServer, *, as_json: bool) -> None:
    settings = server.settings
    if as_json:
        output.print_json({name.removeprefix("VAVASMS_").lower(): value for name, value in settings.items()})
    else:
        output.say(_("The sandbox stands in for the gateway at {url} (Ctrl-C stops it).", url=server.url))
        output.say(_("Its inbox, to look at in a browser: {url}", url=server.origin + "/"))
        output.say(_("In another terminal:") + "\n")
        for name, value in settings.items():
            output.say(f"  {write_setting(name, value)}")
        output.say()
        output.say(
            _(
                "Its one-time codes are {short}, or the first digits of {long} if longer.",
                short=CODE[:4],
                long=CODE,
            )
        )
        output.say()
    # Whoever started this as a subprocess waits for these lines.
    sys.stdout.flush()


def _follow(server: SandboxServer, stop: threading.Event, *, quiet: bool) -> None:
    """Show what is accepted as it comes."""
    journal, last = server.gateway.journal, 0
    while not stop.is_set():
        journal.wait_for(len(journal) + 1, timeout=_BEAT)
        for magic in server.gateway.take_magic():
            if not quiet:
                output.say(_describe_magic(magic))
                sys.stdout.flush()
        for entry in journal.entries_after(last):
            last = entry.sequence
            if not quiet:
                output.say(_describe(entry))
                sys.stdout.flush()


def _describe_magic(magic: MagicNumber) -> Text:
    line = Text(f"{time.strftime('%H:%M:%S')}  ", style="dim")
    sentence = _("{number} is a magic number: {end}", number="+" + magic.phone, end=_(magic.sentence))
    return line.append(sentence, style="yellow")


def _describe(entry: Entry) -> Text:
    more, number = entry.recipients - 1, f"+{entry.phones[0]}"
    to = ngettext("{number} and {n} more", "{number} and {n} more", more, number=number) if more else number
    line = Text(f"{time.strftime('%H:%M:%S', time.localtime(entry.time))}  ", style="dim")
    line.append(f"{output.clean(entry.sender_id)} → {to}  ", style="cyan")
    return line.append(output.clean(entry.message)[:_TEXT_SHOWN], style="default")
