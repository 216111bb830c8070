"""Who may use the desk: this machine's browser, once it came by the link that the terminal printed."""

from __future__ import annotations

import hmac
from hashlib import sha256
from secrets import compare_digest, token_bytes, token_urlsafe
from urllib.parse import parse_qs

from attrs import define, field
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vavasms.i18n import gettext as _
from vavasms.web.body import read_bounded

#: The page to which the printed link leads; its token opens the desk once.
ENTRY = "/open"
#: What holds nothing of anybody.
STATIC = "/static/"
#: The field of a form, and the header of a script's request, that hold the form's token.
TOKEN_FIELD, TOKEN_HEADER = "token", "x-desk-token"
#: Bytes of a form; a list is no form, and is bounded where it is read.
_MAX_FORM = 1 << 20
#: Browsers that may be open at once: the oldest is forgotten.
_MAX_SESSIONS = 20
_SAFE = frozenset({"GET", "HEAD"})
_FORM = "application/x-www-form-urlencoded"


@define(eq=False)
class Sessions:
    """The browsers that were let in, and the token that lets in the next one."""

    #: Tokens open once.
    entry_token: str = field(init=False, factory=token_urlsafe)
    _cookies: list[str] = field(factory=list, init=False)
    _key: bytes = field(factory=lambda: token_bytes(32), init=False)

    def enter(self, token: str) -> str | None:
        """Return the cookie of a new session, and draw a new token; None for another token than that."""
        if not compare_digest(token.encode(), self.entry_token.encode()):
            return None
        self.entry_token = token_urlsafe()
        cookie = token_urlsafe()
        self._cookies = [*self._cookies, cookie][-_MAX_SESSIONS:]
        return cookie

    def has(self, cookie: str) -> bool:
        """Return whether a cookie is one of ours."""
        return any(compare_digest(cookie.encode(), one.encode()) for one in self._cookies)

    def form_token(self, cookie: str) -> str:
        """Return what each form of a session carries."""
        return hmac.new(self._key, cookie.encode(), sha256).hexdigest()


@define(eq=False)
class Access:
    """The layer that lets through what a browser with a session asks for from a page of the desk.

    It judges the Host (another name may lead here by a changed DNS), the Origin, the cookie and the token of
    the form, in this order. A form is read here, once: its fields are in `request.state.form`.
    """

    _app: ASGIApp
    sessions: Sessions
    #: `127.0.0.1:8426` and `localhost:8426`.
    hosts: frozenset[str]
    cookie_name: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge an HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            response = await self._judge(scope, receive)
        except ClientDisconnect:
            return
        await (response or self._app)(scope, receive, send)

    async def _judge(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the answer to what is refused; None: it is welcome."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return _refuse(_("The desk answers under 127.0.0.1 and localhost only."))
        if scope["method"] not in _SAFE and headers.get("origin") != f"{scope['scheme']}://{host}":
            return _refuse(_("The desk answers no page of another site."))
        if scope["path"] == ENTRY or scope["path"].startswith(STATIC):
            return None
        request = Request(scope, receive)
        cookie = request.cookies.get(self.cookie_name, "")
        if not self.sessions.has(cookie):
            return _refuse(_("Open the link that the terminal shows: this browser has not come by it."), 401)
        request.state.token = self.sessions.form_token(cookie)
        return None if scope["method"] in _SAFE else await self._judge_form(request, headers)

    async def _judge_form(self, request: Request, headers: Headers) -> Response | None:
        token = headers.get(TOKEN_HEADER, "")
        request.state.form = {}
        if headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            body = await read_bounded(request, _MAX_FORM)
            fields = None if body is None else _parse(body)
            if fields is None:
                return _refuse(_("The form is too long."), 413)
            request.state.form = fields
            token = token or fields.get(TOKEN_FIELD, [""])[0]
        if compare_digest(token.encode(), request.state.token.encode()):
            return None
        return _refuse(_("This form is none of the desk's, or an old one: go back and load the page again."))


def _parse(body: bytes) -> dict[str, list[str]] | None:
    """Return the fields of a form; None where there are too many."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return None


def _refuse(sentence: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, {"Cache-Control": "no-store"})
