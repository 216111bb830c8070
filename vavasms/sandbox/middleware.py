"""What stands before the app: web pages are kept out, bodies bounded, answers dated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The most bytes a request's body may have.
MAX_BODY = 1 << 20

_OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class BodyTooLargeError(Exception):
    """A body was longer than `MAX_BODY`; it has been read to its end."""


class ClientLeftError(Exception):
    """The client closed its connection before its body was complete."""


def header(scope: Scope, name: bytes) -> str | None:
    """Read a header, the first where it is repeated; None: absent."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def read_body(receive: Receive) -> bytes:
    """Read the whole body.

    A body too long is still read to its end: a client that is writing would otherwise see a reset.
    """
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        more = message.get("more_body", False)
    if size > MAX_BODY:
        raise BodyTooLargeError
    return b"".join(chunks)


class Dated:
    """The layer that dates each answer by a clock, as servers do (RFC 9110, 6.6.1); a date there is stays."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the header."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Date", formatdate(self._clock(), usegmt=True))
            await send(message)

        await self._app(scope, receive, send_dated)


class Guard:
    """The layer that admits only requests that name this host and come from no other site.

    Outside `streams` (a path prefix) the body is read before the inner application sees the request: even a
    404 comes after the whole body. An in-process client tells by that whether its request was looked at.
    """

    def __init__(self, app: ASGIApp, *, streams: str, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._streams = streams
        self._hosts = frozenset(host.lower() for host in (*_OWN_HOSTS, *allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge an HTTP request, pass everything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        objection = self._objection(scope)
        if objection is None and scope["path"].startswith(self._streams):
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive)
        except ClientLeftError:
            return
        except BodyTooLargeError:
            await PlainTextResponse("the body is longer than 1 MiB\n", 413)(scope, receive, send)
            return
        if objection is None:
            await self._app(scope, _replay(body, receive), send)
        else:
            await PlainTextResponse(objection + "\n", 403)(scope, receive, send)

    def _objection(self, scope: Scope) -> str | None:
        """Return why a request is refused; None: it is welcome."""
        host = header(scope, b"host") or ""
        if _without_port(host) not in self._hosts:
            return "the sandbox answers under 127.0.0.1, localhost and [::1] only: this Host is none of them"
        origin = header(scope, b"origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            return "the sandbox answers no page of another site: this Origin is not its own"
        return None


def _without_port(host: str) -> str:
    """Cut `:port` off a Host header, brackets of IPv6 kept."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that repeats a body that was read already, then goes on with the real one."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
