"""The views behind `vavasms.django.urls`, made of the settings when they are first asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse

from vavasms.django.client import find_ledger
from vavasms.django.optouts import LedgerOptOuts, PressedOptOuts, begin_presses
from vavasms.django.process import ProcessValue
from vavasms.django.settings import read_settings
from vavasms.django.signals import announce, inbound, opted_out
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext_noop as N_
from vavasms.inbound.django import exempt_from_atomic_requests, hide_path, inbound_view, open_to_all
from vavasms.inbound.optout.django import optout_view
from vavasms.models import InboundMessage

View = Callable[..., Any]

logger = logging.getLogger("vavasms")


class ReceiverFailedError(Exception):
    """A receiver of `inbound` failed: the platform posts the SMS again, and every receiver has it again."""


async def receive_sms(request: HttpRequest, token: str) -> HttpResponse:
    """Take an SMS that a handset sent to the account; the platform posts it. 404 without `INBOUND_TOKEN`."""
    view = _find(_inbound, request)
    return _refuse(view) if isinstance(view, int) else await view(request, token)


def opt_out(request: HttpRequest, code: str) -> HttpResponse:
    """Show the opt-out page of a link's code, and take its presses. 404 without a ledger."""
    view = _find(_optout, request)
    if isinstance(view, int):
        return _refuse(view)
    presses = begin_presses()
    answer = view(request, code)
    for press in presses:
        announce(opted_out, recipients=press.recipients, source=press.source)
    return answer


open_to_all(receive_sms)
open_to_all(opt_out)
exempt_from_atomic_requests(receive_sms)


def _find(made: ProcessValue[View | None], request: HttpRequest) -> View | int:
    """Return a view, or the status where there is none; from here on the request shows no token."""
    hide_path(request)
    try:
        return made.get() or 404
    except VavaSMSError as error:
        # Raised, it would be in an error page and in mails, beside the token in Django's own frames.
        logger.error(N_("Nothing can be received: %s"), error.english)  # noqa: TRY400
        return 500


def _refuse(status: int) -> HttpResponse:
    return HttpResponse(status=status)


def _handle(message: InboundMessage) -> None:
    if not announce(inbound, message=message):
        raise ReceiverFailedError


def _make_inbound() -> View | None:
    found = read_settings()
    token = found.get("INBOUND_TOKEN")
    if token is None:
        return None
    return inbound_view(
        _handle,
        token=token,
        seen=found.get("INBOUND_SEEN", _choose_seen(find_ledger(found))),
        opt_outs=LedgerOptOuts() if found.has_ledger else None,
        allow=found.get("INBOUND_ALLOW", ()),
        trusted_proxies=found.get("TRUSTED_PROXIES", ()),
        region=found.region,
        stop_words=found.get("STOP_WORDS", ()),
    )


def _choose_seen(ledger: str | Path | None) -> str | Path | None:
    """Return where handled ids are kept: in the ledger's database, or in a file beside its own."""
    if ledger is None or "://" in str(ledger):
        return ledger
    file = Path(ledger)
    return file.with_name(f"{file.stem}-inbound{file.suffix}")


def _make_optout() -> View | None:
    found = read_settings()
    ledger = find_ledger(found)
    if ledger is None:
        return None
    return optout_view(
        ledger,
        name=found.get("OPT_OUT_NAME", ""),
        opt_outs=PressedOptOuts(),
        trusted_proxies=found.get("TRUSTED_PROXIES", ()),
    )


def _close(view: Any) -> None:
    if view is not None:
        view.close()


_inbound = ProcessValue(_make_inbound, _close)
_optout = ProcessValue(_make_optout, _close)
