"""`inbound listen`, `inbound trigger`: receive inbound SMS here, or pretend to be the platform."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Annotated
from urllib.parse import urlsplit

import anyio
from cyclopts import Parameter

from vavasms.cli import exit_codes, output, settings
from vavasms.cli.message_input import read_text
from vavasms.cli.params import JsonFlag, text_option
from vavasms.config import is_loopback, misconfigured
from vavasms.errors import InvalidInputError, OutcomeUnknownError
from vavasms.i18n import gettext as _
from vavasms.inbound.tokens import Tokens, make_token

TOKEN, URL = "VAVASMS_INBOUND_TOKEN", "VAVASMS_INBOUND_URL"

_PORTS = range(65536)


def listen(
    *,
    port: Annotated[int, Parameter(metavar="PORT", help=_("Where to listen; 0 takes any free port."))] = 8426,
    host: Annotated[str, Parameter(metavar=_("HOST"), help=_("The address to listen at."))] = "127.0.0.1",
    seen: Annotated[
        Path | None,
        Parameter(metavar=_("PATH"), help=_("Keep what was shown in a file: a restart shows nothing anew.")),
    ] = None,
    ledger: Annotated[
        str | None,
        Parameter(
            metavar=_("PATH|URL"), help=_("Put the senders of stop words on the opt-out list of this ledger.")
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Receive inbound SMS and show them, until Ctrl-C."""
    if port not in _PORTS:
        raise InvalidInputError(
            _("A port is a number from 0 to 65535."), error_code="inbound.port", outcome=None
        )
    if find_spec("uvicorn") is None:
        raise misconfigured(_("Listening needs an extra: pip install 'vavasms[sandbox]'."), "config.extra")
    if seen is not None and ":/" in str(seen):
        raise misconfigured(_("--seen is the path of a file."), "inbound.seen")
    from vavasms.cli.commands.inbound_listen import Listening, receive

    token = _find_token()
    listening = Listening(
        host=host,
        port=port,
        token=token or make_token(),
        keeps_token=token is not None,
        seen=seen,
        ledger=ledger,
        as_json=as_json,
    )
    return receive(listening)


def trigger(
    *,
    url: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            show_default=False,
            help=_("Where the receiver is, with its token [{setting}].", setting=URL),
        ),
    ] = None,
    sender: Annotated[str, text_option(_("Who it comes from."), metavar=_("NUMBER"), name="--from")],
    text: Annotated[str, text_option(_("What it says; `-` is standard input."))],
    message_id: Annotated[str | None, text_option(_("Its id; by default a new one."), metavar="ID")] = None,
    date: Annotated[str | None, text_option(_("Its date; by default now."))] = None,
    as_json: JsonFlag = False,
) -> int:
    """Post an inbound SMS as the platform does."""
    target = check_url(url or settings.find_setting(URL) or "")
    fields = {
        "message_id": f"TEST-{token_hex(6)}" if message_id is None else message_id,
        "form": sender,
        "content": read_text(text),
        "sms_date": time.strftime("%Y-%m-%d %H:%M:%S") if date is None else date,
    }
    return anyio.run(partial(_post, target, fields, as_json=as_json))


def _find_token() -> str | None:
    """Return the token of the environment. Raises `InvalidInputError`, for a weak one."""
    token = settings.find_setting(TOKEN)
    try:
        if token is not None:
            Tokens(token)
        return token
    except InvalidInputError as error:
        # The message itself, which can be had in English too.
        why = error.args[0]
    raise InvalidInputError(
        _("{setting}: {why}", setting=TOKEN, why=why), error_code="inbound.token", outcome=None
    )


def check_url(url: str) -> str:
    """Return a URL of HTTPS, or of plain HTTP on loopback: it holds the token. No error repeats it."""
    if not url:
        raise misconfigured(
            _("No URL: pass --url, or set {setting} as `vavasms inbound listen` prints it.", setting=URL),
            "inbound.url",
        )
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"} or not url.isprintable():
        raise InvalidInputError(
            _("The URL must be like http://127.0.0.1:8426/token."), error_code="inbound.url", outcome=None
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInputError(
            _("The URL must be https://, save on this machine: plain HTTP would show the token on the way."),
            error_code="inbound.url",
            outcome=None,
        )
    return url


def mask(url: str) -> str:
    """Return where a URL leads, without the token: no part of its path, its query or its user."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


async def _post(url: str, fields: Mapping[str, str], *, as_json: bool) -> int:
    # It is httpx that costs.
    from vavasms.transport.http import post_form

    try:
        status = await post_form(url, fields)
    except OutcomeUnknownError as error:
        sentence = str(error).rstrip(".")
        output.fail(
            _("{sentence}: whether the message was handled is unknown", sentence=sentence), error.error_code
        )
        return exit_codes.UNKNOWN
    message_id, receiver = fields["message_id"], mask(url)
    is_taken = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    if as_json:
        output.print_json({"message_id": message_id, "status": status})
    elif is_taken:
        output.say(
            _(
                "{receiver} took {message_id} ({status}).",
                receiver=output.clean(receiver),
                message_id=output.clean(message_id),
                status=_name(status),
            )
        )
    else:
        values = {"receiver": receiver, "message_id": message_id, "status": _name(status)}
        output.fail(_("{receiver} refused {message_id} ({status})", **values), "inbound.refused")
    return exit_codes.DONE if is_taken else exit_codes.REJECTED


def _name(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
