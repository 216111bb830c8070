"""`InboundApp`: inbound SMS for any ASGI server, alone or mounted in Starlette or FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from anyio import move_on_after

from vavasms.errors import VavaSMSError
from vavasms.inbound import responses
from vavasms.inbound.handlers import Handler
from vavasms.inbound.receiver import Receiver
from vavasms.inbound.responses import MAX_BODY, WebhookReply
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.stop_words import OptOuts
from vavasms.inbound.tokens import hide_in_scope

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]


class Resource(Protocol):
    """What is opened and closed with a server."""

    async def open(self) -> None: ...
    async def aclose(self) -> None: ...


class InboundApp:
    """Answer `POST /<token>`: claim the message's id, run the handler, commit, and only then say 200.

    A message is handled at least once, and never again after its 200. Where the handler raises the answer
    is 500, and the platform's next try is handled anew. Copies wait for the end of the first.

    Args:
        handler: takes an `InboundMessage`; async, or plain (then it runs in a worker thread).
        token: at least 128 bits (`make_token`), or several while one replaces another.
        seen: where handled ids are kept: a store that is open, the path of a SQLite file, or a PostgreSQL
            URL. By default in memory: a restart, or a second process, may handle a message again.
        opt_outs: a list to which the senders of stop words are added, before the handler is called; a start
            word ("START", "me réabonner") takes them off again, which the log tells. The ledger of a
            campaign is one.
        allow: addresses and networks that may call; all others see 404, as with a wrong token.
        trusted_proxies: whose X-Forwarded-For is believed, addresses and networks, or "unix" for a socket.
        on_conflict: takes a message that came under the id of a handled one with other content; it is not
            handled.
        region: ISO code; the country of senders that are written as national numbers.
        stop_words: words or phrases that are stops beside the built-in ones, where they stand alone.
    """

    def __init__(
        self,
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
    ) -> None:
        self._receiver = Receiver(
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI 3 has it."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await serve_lifespan(receive, send, self)
        elif scope["type"] == "websocket":
            _take_token(scope)
            await refuse_websocket(receive, send)

    async def open(self) -> None:
        """Open the seen store now, and not at the first SMS. Raises what that does."""
        await self._receiver.open()

    async def aclose(self) -> None:
        """Close the seen store, if it was opened here. An app that is mounted is not told of the end."""
        await self._receiver.aclose()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _take_token(scope)
        reply: bytes | WebhookReply | None = self._receiver.check(
            method=scope["method"],
            token=token,
            peer=find_peer(scope),
            forwarded=find_headers(scope, b"x-forwarded-for"),
        )
        if reply is None:
            reply = await read_body(scope["headers"], receive)
        if isinstance(reply, bytes):
            reply = await self._receiver.receive(reply, "".join(find_headers(scope, b"content-type")[:1]))
        if reply is not None:
            await _send(scope, send, reply)


async def serve_lifespan(receive: Receive, send: Send, app: Resource) -> None:
    """Open an application at the start of its server, and close it at the end, as ASGI 3 has it."""
    await receive()
    try:
        await app.open()
    except VavaSMSError as error:
        await send({"type": "lifespan.startup.failed", "message": error.english})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await app.aclose()
    await send({"type": "lifespan.shutdown.complete"})


async def refuse_websocket(receive: Receive, send: Send) -> None:
    """Close a WebSocket before it was accepted: the server answers 403."""
    await receive()
    await send({"type": "websocket.close", "code": 1000})


def _take_token(scope: Scope) -> str:
    """Return what stands behind the place where the app is mounted, and take it out of the scope."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    if not path.startswith(f"{prefix}/"):
        # Somebody before us left a part of it out: then the token is the last segment, or nobody knows which.
        hide_in_scope(scope)
        return path.rpartition("/")[2]
    hide_in_scope(scope, prefix)
    return path[len(prefix) + 1 :]


def find_peer(scope: Scope) -> str | None:
    """Return the address of the other end; None for a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else None


def find_headers(scope: Scope, key: bytes) -> list[str]:
    """Return the values of a header."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == key]


async def _send(scope: Scope, send: Send, reply: WebhookReply) -> None:
    body = f"{reply.text}\n".encode()
    headers = [
        *reply.headers,
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
    ]
    if reply.closes and scope.get("http_version", "1.1").startswith("1"):
        headers.append(("connection", "close"))
    raw = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


#: Seconds to send a body whole.
BODY_SECONDS = 10.0
#: A body that is too large is read up to here and dropped: a client that is cut off while it sends does not
#: see the answer.
_MAX_DROPPED = 1_048_576
#: Of a length, more of which are too large as well.
_MOST_DIGITS = 20

Receive = Callable[[], Awaitable[Any]]


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes | WebhookReply | None:
    """Return the body, or the refusal; None where the client is gone."""
    if _declared(headers) > _MAX_DROPPED:
        return responses.TOO_LARGE
    body, size = bytearray(), 0
    with move_on_after(BODY_SECONDS):
        while size <= _MAX_DROPPED:
            event = await receive()
            if event["type"] == "http.disconnect":
                return None
            size += len(event.get("body", b""))
            if size <= MAX_BODY:
                body += event.get("body", b"")
            if not event.get("more_body", False):
                break
        return bytes(body) if size <= MAX_BODY else responses.TOO_LARGE
    return responses.TOO_SLOW


def _declared(headers: Iterable[tuple[bytes, bytes]]) -> int:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    # Python reads no number of thousands of digits.
    return int(lengths[0][:_MOST_DIGITS]) if lengths and lengths[0].isdigit() else 0
