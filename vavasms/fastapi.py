"""`AsyncVavaSMS` in FastAPI and Starlette: one client, and inbound SMS as a router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vavasms.client import AsyncVavaSMS
from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.handlers import Handler
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.stop_words import OptOuts

__all__ = ["Sms", "get_sms", "inbound_router", "sms_lifespan"]

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]

#: Where the lifespan's state has the client.
_STATE = "vavasms"
_FIELDS = {
    "message_id": "The SMS, by the platform's id; one that was handled is not handled again.",
    "form": "Who sent it (the documentation's spelling).",
    "content": "Its text.",
    "sms_date": "When it was received; its form is not documented.",
}
#: What the platform posts (documentation: inbound SMS).
_DESCRIPTION: Mapping[str, Any] = {
    "parameters": [{"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["message_id", "form", "content"],
                    "properties": {
                        name: {"type": "string", "description": text} for name, text in _FIELDS.items()
                    },
                }
            }
        },
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Handled, now or before.", "content": {"text/plain": {}}},
    404: {"description": "Not this token, or not from there."},
    413: {"description": "More than an SMS is."},
    422: {"description": "No inbound SMS."},
    500: {"description": "The handler raised: to be posted again."},
}


def sms_lifespan(make: Callable[[], AsyncVavaSMS] = AsyncVavaSMS) -> Lifespan:
    """Return the lifespan of `FastAPI(lifespan=sms_lifespan())`: it makes one client, and closes it.

    `make` makes it, where the environment does not suffice: `lambda: AsyncVavaSMS(ledger="sms.db")`. It is
    called in each worker, when that starts: a setting that is wrong ends the start. In a lifespan of one's
    own: `async with sms_lifespan()(app) as state: yield {**state, …}`. For Starlette as well.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[Mapping[str, Any]]:
        async with make() as client:
            yield {_STATE: client}

    return lifespan


def get_sms(connection: HTTPConnection) -> AsyncVavaSMS:
    """Return the client of the application, for a request or a WebSocket.

    In FastAPI a parameter `sms: Sms` is this; tests put another in its place by
    `app.dependency_overrides[get_sms]`. Raises `ConfigurationError` where the application has none.
    """
    client = getattr(connection.state, _STATE, None)
    if not isinstance(client, AsyncVavaSMS):
        raise misconfigured(
            _("The application has no client: make it as FastAPI(lifespan=sms_lifespan())."),
            "config.no_lifespan",
        )
    return client


#: The type of a parameter that is the application's client.
Sms = Annotated[AsyncVavaSMS, Depends(get_sms)]


def inbound_router(
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
) -> APIRouter:
    """Return the router of `app.include_router(inbound_router(on_sms, token=…), prefix="/sms")`.

    It does what `InboundApp` does, at `POST /sms/<token>`, and stands in the application's OpenAPI document
    without the token. Its store is closed at the application's end. It answers every path under its prefix,
    so that no log has a token: without a prefix, whatever is added after it is never reached.
    """
    inbound = InboundApp(
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

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        await inbound.open()
        try:
            yield
        finally:
            await inbound.aclose()

    async def receive_sms(_request: Request) -> Response:
        """Take an SMS that a handset sent to the account; the platform posts it."""
        return _Forwarded(inbound)

    router = APIRouter(lifespan=lifespan, tags=["inbound SMS"])
    router.add_api_route(
        "/{token:path}",
        receive_sms,
        methods=["POST"],
        summary="Inbound SMS",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=dict(_DESCRIPTION),
    )
    # Answered here as well: what else has the token in its path would have it in a log.
    others = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"]
    router.add_api_route("/{token:path}", receive_sms, methods=others, include_in_schema=False)
    return router


class _Forwarded(Response):
    """What another application answers."""

    def __init__(self, app: InboundApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As it would be mounted: what stands before the token, and may stand behind it, belongs to us.
        scope["root_path"] = str(scope["path"]).removesuffix(f"/{scope['path_params']['token']}")
        await self._app(scope, receive, send)
