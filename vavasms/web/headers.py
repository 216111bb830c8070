"""The headers that tell a browser what a page of ours may do."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What `default-src` does not cover is named: being framed, where forms go, and the base of URLs.
CONTENT_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
#: A form's Origin is `null` under `no-referrer`: no page of ours links to another site either way.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class SecurityHeaders:
    """The layer that adds the headers to whatever is not under `bare` (a path prefix; None: to all).

    A header that an answer has already stays as it is.
    """

    def __init__(self, app: ASGIApp, *, bare: str | None = None) -> None:
        self._app = app
        self._bare = bare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with headers where they belong."""
        is_bare = self._bare is not None and scope.get("path", "").startswith(self._bare)
        if scope["type"] != "http" or is_bare:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
