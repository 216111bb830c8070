"""The language of a page: the one that was chosen on it, else the one that the browser prefers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vavasms.i18n import LANGUAGES, language_set

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


def choose_language(*preferred: str, accepted: str = "") -> str:
    """Return the first preferred language that we have, else the best of `Accept-Language`, else English."""
    for language in preferred:
        if language in LANGUAGES:
            return language
    best, best_quality = "en", 0.0
    for option in accepted.lower().split(","):
        name, _, quality = option.strip().partition(";q=")
        language = name.partition("-")[0]
        if language in LANGUAGES and _parse_quality(quality) > best_quality:
            best, best_quality = language, _parse_quality(quality)
    return best


def _parse_quality(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
