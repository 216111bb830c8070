"""The opt-out page in Django, under ASGI and under WSGI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse

from vavasms.inbound.django import hide_path, open_to_all
from vavasms.inbound.optout.responder import MAX_FORM, OptOutResponder, PageRequest
from vavasms.inbound.seen.portal import PortalLease
from vavasms.inbound.stop_words import OptOuts
from vavasms.portal import handlers


def optout_view(
    ledger: str | Path,
    *,
    name: str = "",
    opt_outs: OptOuts | None = None,
    trusted_proxies: Sequence[str] = (),
) -> Callable[..., Any]:
    """Return the view of `path("d/<str:code>", optout_view("campaigns.db", name="Boutique Awa"))`.

    It does what `OptOutApp` does, exempt from CSRF and from a login: the code is what a form must know. A
    plain view, whose work is done in a thread with an event loop that all such views share, under ASGI and
    under WSGI alike.
    Name the ledger by its place, and have `opt_outs` open what it needs within its call. The view's
    `close()` closes the ledger and gives the thread up.
    """
    lease = PortalLease(handlers)
    responder = OptOutResponder(ledger, name=name, opt_outs=opt_outs, trusted_proxies=trusted_proxies)

    def view(request: HttpRequest, code: str) -> HttpResponse:
        hide_path(request)
        meta = request.META
        forwarded = meta.get("HTTP_X_FORWARDED_FOR")
        asked = PageRequest(
            method=request.method,
            code=code,
            language=request.GET.get("lang", ""),
            accepted=meta.get("HTTP_ACCEPT_LANGUAGE", ""),
            peer=meta.get("REMOTE_ADDR") or None,
            forwarded=[forwarded] if forwarded else [],
            body=_read_form(request),
        )
        reply = lease.run(partial(responder.answer, asked))
        return HttpResponse(reply.html, status=reply.status, headers=dict(reply.headers))

    open_to_all(view)
    view.close = partial(lease.close, responder.aclose)  # type: ignore[attr-defined]
    return view


def _read_form(request: HttpRequest) -> bytes:
    try:
        return bytes(request.read(MAX_FORM + 1)) if request.method == "POST" else b""
    except OSError:
        # It did not arrive whole.
        return b""
