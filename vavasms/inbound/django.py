"""Inbound SMS in Django, under ASGI and under WSGI."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import HttpRequest, HttpResponse

from vavasms.inbound import responses
from vavasms.inbound.handlers import Handler, is_async
from vavasms.inbound.receiver import Receiver
from vavasms.inbound.responses import MAX_BODY, WebhookReply
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.seen.portal import PortalSeenStore
from vavasms.inbound.stop_words import OptOuts
from vavasms.inbound.tokens import HIDDEN, hide_in_environ, hide_in_scope
from vavasms.models import InboundMessage


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
) -> Callable[..., Awaitable[Any]]:
    """Return the view of `path("sms/<str:token>", inbound_view(on_sms, token=…, seen="inbound.db"))`.

    It does what `InboundApp` does, exempt from CSRF and from a login. A plain handler runs where Django runs
    plain views, so that its database connections are Django's. The time for a body is the server's to bound.
    Under WSGI every request has an event loop of its own: name the `seen` store by its place, and have
    `opt_outs` open what it needs within its call. The view's `close()` closes that store, for whoever cares
    at the end.
    """
    portal = PortalSeenStore(seen if isinstance(seen, str | Path) else None)
    store = portal if seen is None or isinstance(seen, str | Path) else seen
    receiver = Receiver(
        handler,
        token=token,
        seen=store,
        opt_outs=opt_outs,
        allow=allow,
        trusted_proxies=trusted_proxies,
        on_conflict=on_conflict,
        region=region,
        stop_words=stop_words,
        call=_call,
    )

    async def view(request: HttpRequest, token: str) -> HttpResponse:
        hide_path(request)
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
        peer = request.META.get("REMOTE_ADDR") or None
        reply = receiver.check(
            method=request.method, token=token, peer=peer, forwarded=[forwarded] if forwarded else []
        )
        return _answer(await _receive(receiver, request) if reply is None else reply)

    open_to_all(view)
    exempt_from_atomic_requests(view)
    view.close = portal.close  # type: ignore[attr-defined]
    return view


def open_to_all(view: Callable[..., Any]) -> None:
    """Exempt a view from CSRF and from `LoginRequiredMiddleware`: its caller knows the token, or the code."""
    # What Django's own decorators do; to a login it would redirect with the token in the address.
    view.csrf_exempt = True  # type: ignore[attr-defined]
    view.login_required = False  # type: ignore[attr-defined]


def exempt_from_atomic_requests(view: Callable[..., Any]) -> None:
    """Keep the databases from making a transaction of a view's request: Django fails at an async one."""
    try:
        aliases = list(connections)
    except ImproperlyConfigured:
        # A view may be made before the settings are: as in a project of one file.
        aliases = [DEFAULT_DB_ALIAS]
    for alias in aliases:
        transaction.non_atomic_requests(alias)(view)


async def _call(handler: Handler, message: InboundMessage) -> None:
    call = handler if is_async(handler) else sync_to_async(handler, thread_sensitive=True)
    result = call(message)
    while inspect.isawaitable(result):
        result = await result


async def _receive(receiver: Receiver, request: HttpRequest) -> WebhookReply:
    try:
        body = request.read(MAX_BODY + 1)
    except OSError:
        return responses.bad_request("The body did not arrive whole.")
    return await receiver.receive(body, request.META.get("CONTENT_TYPE", ""))


def hide_path(request: HttpRequest) -> None:
    """Keep the token out of the log of Django and of the server."""
    request.path = request.path_info = request.META["PATH_INFO"] = f"/{HIDDEN}"
    if hasattr(request, "scope"):
        hide_in_scope(request.scope)
    else:
        hide_in_environ(request.environ)


def _answer(reply: WebhookReply) -> HttpResponse:
    return HttpResponse(
        f"{reply.text}\n",
        status=reply.status,
        headers=dict(reply.headers),
        content_type="text/plain; charset=utf-8",
    )
