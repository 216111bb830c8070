"""The desk as an ASGI application, behind its layers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from attrs import define
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vavasms.desk.access import ENTRY, Access, Sessions
from vavasms.desk.campaign_pages import CampaignPages
from vavasms.desk.draft_pages import DraftPages
from vavasms.desk.optout_pages import OptOutPages
from vavasms.desk.page import Pages
from vavasms.desk.send_pages import SendPages
from vavasms.errors import LedgerError
from vavasms.i18n import current_language
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.web.headers import SecurityHeaders
from vavasms.web.language import LanguageLayer

logger = logging.getLogger("vavasms")


@define(eq=False)
class _Entry:
    """The page that the printed link opens."""

    pages: Pages
    sessions: Sessions
    cookie_name: str
    on_entered: Callable[[], object]

    async def enter(self, request: Request) -> Response:
        """Begin a session, once a link.

        A page that goes on by itself: a cookie of SameSite=Strict does not come with a redirect that another
        program began.
        """
        cookie = self.sessions.enter(request.query_params.get("token", ""))
        response = self.pages.render_part("entry.html", is_entered=bool(cookie), language=current_language())
        response.status_code = 200 if cookie else 403
        if cookie:
            response.set_cookie(self.cookie_name, cookie, httponly=True, samesite="strict")
            self.on_entered()
        return response


@define(eq=False)
class _FaultLayer:
    """The layer that answers where a page has a fault of ours; nothing of the request is logged or shown."""

    _app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        is_begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except ClientDisconnect:
            return
        except Exception as fault:
            logger.warning(N_("A page of the desk failed (%s)."), type(fault).__name__)
            if is_begun:
                # What is cut off is not to look whole.
                raise
            sentence = _("This page failed. What is being sent goes on: look at it in the list of campaigns.")
            response = PlainTextResponse(f"{sentence}\n", 500, {"Cache-Control": "no-store"})
            await response(scope, receive, send)


async def _tell_ledger_error(request: Request, error: Exception) -> Response:
    """Return a page that says that the ledger cannot be read or written."""
    pages: Pages = request.app.state.pages
    return pages.render(request, "failed.html", 503, error=error)


def create_app(
    pages: Pages, sessions: Sessions, *, port: int, on_entered: Callable[[], object] = lambda: None
) -> Starlette:
    """Build the application for one port of this machine; `on_entered` is called when a link was used."""
    cookie_name = f"vavasms_desk_{port}"
    entry = _Entry(pages, sessions, cookie_name, on_entered)
    static = StaticFiles(packages=[("vavasms.desk", "static"), ("vavasms.web", "static")])
    parts = (CampaignPages(pages), DraftPages(pages), OptOutPages(pages), SendPages(pages))
    names = frozenset({"127.0.0.1", "localhost"})
    # Browsers leave out the port that http has anyway.
    hosts = frozenset(f"{name}:{port}" for name in names) | (names if port == 80 else frozenset())

    async def show_missing(request: Request, _error: Exception) -> Response:
        if not hasattr(request.state, "token"):
            return Response(status_code=404)
        return pages.missing(request)

    handlers: dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        404: show_missing,
        LedgerError: _tell_ledger_error,
    }
    app = Starlette(
        routes=[
            Route(ENTRY, entry.enter, methods=["GET"]),
            Mount("/static", static),
            *(route for part in parts for route in part.routes()),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(LanguageLayer),
            Middleware(_FaultLayer),
            Middleware(Access, sessions=sessions, hosts=hosts, cookie_name=cookie_name),
        ],
        exception_handlers=handlers,
    )
    app.state.pages = pages
    return app
