"""`OptOutApp`: the opt-out page for any ASGI server, alone or mounted in Starlette or FastAPI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from urllib.parse import parse_qs

from vavasms.inbound.asgi import (
    Receive,
    Scope,
    Send,
    find_headers,
    find_peer,
    read_body,
    refuse_websocket,
    serve_lifespan,
)
from vavasms.inbound.optout.page import PageReply
from vavasms.inbound.optout.responder import OptOutResponder, PageRequest
from vavasms.inbound.stop_words import OptOuts
from vavasms.inbound.tokens import hide_in_scope
from vavasms.ledger.base import Ledger
from vavasms.ledger.optout_codes import LENGTH, is_code


class OptOutApp:
    """Serve the page behind `{desinscription}`: `GET /<code>` asks for a press, and the press is a POST.

    What follows links by itself (a scanner, a preview, a prefetch) only gets, and opts nobody out. The page
    shows no number, and neither it nor a log has one; the code in its address is taken out of the server's
    access log as well. Each press may be repeated. A link takes back what a link did: an opt-out that came by
    a STOP, from a file or by a person's hand stays, since whoever holds the link need not be who asked.

    An address from which more than 60 wrong codes came is answered 429 for everything, until six seconds
    went by for each of them; so is, at times of many wrong codes from everywhere, one with more than 5. Who
    opens a link of their own is never counted. It is counted in memory, by each process for itself.

    Args:
        ledger: the one that the campaigns are in: open, the path of its file, or a PostgreSQL URL.
        name: who sends the SMS, as the page names it.
        opt_outs: another list that is fed beside the ledger's; what takes back a press is taken off it.
        trusted_proxies: whose X-Forwarded-For is believed, addresses and networks, or "unix" for a socket.
    """

    def __init__(
        self,
        ledger: Ledger | str | Path,
        *,
        name: str = "",
        opt_outs: OptOuts | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self._responder = OptOutResponder(
            ledger, name=name, opt_outs=opt_outs, trusted_proxies=trusted_proxies
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI 3 has it."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await serve_lifespan(receive, send, self._responder)
        elif scope["type"] == "websocket":
            _take_code(scope)
            await refuse_websocket(receive, send)

    async def aclose(self) -> None:
        """Close the ledger, if it was opened here. An app that is mounted is not told of the end."""
        await self._responder.aclose()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        code, method = _take_code(scope), str(scope["method"])
        body = await read_body(scope["headers"], receive) if method == "POST" else b""
        if body is None:
            return
        request = PageRequest(
            method=method,
            code=code,
            language=parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[0],
            accepted=",".join(find_headers(scope, b"accept-language")),
            peer=find_peer(scope),
            forwarded=find_headers(scope, b"x-forwarded-for"),
            # One that is too long or too slow is no form of ours.
            body=body if isinstance(body, bytes) else b"",
        )
        reply = await self._responder.answer(request)
        await _send(send, reply, with_body=method != "HEAD", closes=not isinstance(body, bytes))


def _take_code(scope: Scope) -> str:
    """Return the last part of the path, and take it out of the scope: servers log it."""
    # A slash behind it is nobody's mistake but a phone's.
    prefix, _slash, code = str(scope["path"]).rstrip("/").rpartition("/")
    # Whatever stands behind a code, it must not stay in what is logged.
    hide_in_scope(scope, "/".join(takewhile(_is_no_code, prefix.split("/"))))
    return code


def _is_no_code(part: str) -> bool:
    return not is_code(part[:LENGTH])


async def _send(send: Send, reply: PageReply, *, with_body: bool, closes: bool) -> None:
    body = reply.html.encode()
    headers: Iterable[tuple[str, str]] = (*reply.headers.items(), ("Content-Length", str(len(body))))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    # What is left of a body that was not read is no request.
    raw += [(b"connection", b"close")] if closes else []
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": body if with_body else b""})
