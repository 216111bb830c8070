"""Inbound SMS in Flask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from flask import Response, request

from vavasms.inbound.handlers import Handler
from vavasms.inbound.receiver import Receiver
from vavasms.inbound.responses import MAX_BODY, WebhookReply
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.seen.portal import PortalLease
from vavasms.inbound.stop_words import OptOuts
from vavasms.inbound.tokens import HIDDEN, hide_in_environ
from vavasms.portal import handlers

#: All come here: with a wrong token each of them is 404.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def inbound_view(
    handler: Handler,
    *,
    token: str | Sequence[str],
    seen: SeenStore | str | Path | None = None,
    opt_outs: OptOuts | None = None,
    allow: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
    on_conflict: Handler | None = None,
    region: str = "CI",
    stop_words: Sequence[str] = (),
) -> Callable[[str], Response]:
    """Return the view of `app.add_url_rule("/sms/<token>", view_func=inbound_view(on_sms, token=…))`.

    It does what `InboundApp` does, in a thread with an event loop that all such views share: the handler runs
    there if it is async, else in a worker thread; `current_app` is at hand in both, and so is a `VavaSMS`,
    whose calls hold up the async handlers of other requests (those of an `AsyncVavaSMS` do not). The time
    for a body is the server's to bound. Name the `seen` store by its place, and have `opt_outs` open what it
    needs within its call. The view's `close()` closes that store and gives the thread up.
    """
    lease = PortalLease(handlers)
    receiver = Receiver(
        handler,
        token=token,
        seen=seen,
        opt_outs=opt_outs,
        allow=allow,
        trusted_proxies=trusted_proxies,
        on_conflict=on_conflict,
        region=region,
        stop_words=stop_words,
    )

    def inbound(token: str) -> Response:
        hide_in_environ(request.environ)
        request.path = f"/{HIDDEN}"
        reply = receiver.check(
            method=request.method,
            token=token,
            peer=request.remote_addr or None,
            forwarded=request.headers.getlist("X-Forwarded-For"),
        )
        if reply is None:
            body = request.stream.read(MAX_BODY + 1)
            reply = lease.run(partial(receiver.receive, body, request.content_type or ""))
        return _answer(reply)

    # Flask looks for the first two.
    inbound.methods = _METHODS  # type: ignore[attr-defined]
    inbound.provide_automatic_options = False  # type: ignore[attr-defined]
    inbound.close = partial(lease.close, receiver.aclose)  # type: ignore[attr-defined]
    return inbound


def _answer(reply: WebhookReply) -> Response:
    return Response(f"{reply.text}\n", reply.status, dict(reply.headers), mimetype="text/plain")
