"""The opt-out page in Flask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from flask import Response, request

from vavasms.inbound.optout.responder import MAX_FORM, OptOutResponder, PageRequest
from vavasms.inbound.seen.portal import PortalLease
from vavasms.inbound.stop_words import OptOuts
from vavasms.inbound.tokens import HIDDEN, hide_in_environ
from vavasms.portal import handlers

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def optout_view(
    ledger: str | Path,
    *,
    name: str = "",
    opt_outs: OptOuts | None = None,
    trusted_proxies: Sequence[str] = (),
) -> Callable[[str], Response]:
    """Return the view of `app.add_url_rule("/d/<code>", view_func=optout_view("campaigns.db"))`.

    It does what `OptOutApp` does, in a thread with an event loop that all such views share. Name the ledger
    by its place, and have `opt_outs` open what it needs within its call. The view's `close()` closes the
    ledger and gives the thread up.
    """
    lease = PortalLease(handlers)
    responder = OptOutResponder(ledger, name=name, opt_outs=opt_outs, trusted_proxies=trusted_proxies)

    def optout(code: str) -> Response:
        hide_in_environ(request.environ)
        request.path = f"/{HIDDEN}"
        asked = PageRequest(
            method=request.method,
            code=code,
            language=request.args.get("lang", ""),
            accepted=request.headers.get("Accept-Language", ""),
            peer=request.remote_addr or None,
            forwarded=request.headers.getlist("X-Forwarded-For"),
            body=request.stream.read(MAX_FORM + 1) if request.method == "POST" else b"",
        )
        reply = lease.run(partial(responder.answer, asked))
        return Response(reply.html, reply.status, dict(reply.headers))

    # Flask looks for the first two.
    optout.methods = _METHODS  # type: ignore[attr-defined]
    optout.provide_automatic_options = False  # type: ignore[attr-defined]
    optout.close = partial(lease.close, responder.aclose)  # type: ignore[attr-defined]
    return optout
