"""The language of a page: the one that was chosen on it, else the one that the browser prefers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vavasms.i18n import language_set
from vavasms.web.accept_language import choose_language

#: The cookie that keeps what was chosen.
COOKIE = "vavasms_language"
_YEAR = 365 * 24 * 3600


class LanguageLayer:
    """The layer that answers each request in its language."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the language set."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with language_set(request_language(Request(scope))):
            await self._app(scope, receive, send)


def keep_language(response: Response, language: str) -> None:
    """Make the browser keep the language that was chosen on a page."""
    response.set_cookie(COOKIE, language, max_age=_YEAR, httponly=True, samesite="strict")


def request_language(request: Request) -> str:
    """Return the language of a request: of `?lang=`, of an earlier choice, of the browser."""
    return choose_language(
        request.query_params.get("lang", ""),
        request.cookies.get(COOKIE, ""),
        accepted=request.headers.get("accept-language", ""),
    )
