"""One HTTP/1.1 connection to the gateway, without a pool: h11 over anyio's streams.

Of the CPU time of a request by httpx's own transport, half goes to httpcore's pool, its locks, and a cancel
scope around each read and write. Here a connection carries one request at a time, its attempt has one cancel
scope, and headers and body leave in one write, in one TLS record.

A proxy is httpx's business, and so is a request while somebody stands in httpx's way: what respx,
pytest-httpx or OpenTelemetry put in the place of its methods is called as it would be without this module.
"""

from __future__ import annotations

import re
import select
import ssl
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic
from types import FunctionType
from typing import Any

import anyio
import h11
import httpx
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from vavasms.transport._httpcore import drain, is_drained, is_followed, is_quiet
from vavasms.transport.deadline import Deadline
from vavasms.transport.pool import KEEPALIVE_EXPIRY

#: Where the server says how long it keeps one: so many seconds less, and no more than so many.
_MARGIN, _MAX_KEEPALIVE = 1.0, 30.0
_KEEPALIVE = re.compile(rb"(?:^|[\s,])timeout=(\d{1,9})\b", re.IGNORECASE)
#: Bytes that are read at once, and the most that the headers of a reply can have.
_PIECE, _MAX_HEADERS = 64 * 1024, 100 * 1024
#: States of a server that has said all it will on a connection.
_ENDED = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
#: Requests whose heads are kept: they differ by path and length alone.
_MAX_HEADS = 256


class HttpConnection(httpx.AsyncBaseTransport):
    """A connection to one origin, opened when it is first needed and again after it was closed.

    It carries one request at a time, whose attempt closes it where it fails. `make_fallback` makes what
    carries requests in its place while httpx's methods are replaced.
    """

    def __init__(
        self, context: ssl.SSLContext, make_fallback: Callable[[], httpx.AsyncHTTPTransport]
    ) -> None:
        self._context = context
        self._make_fallback = make_fallback
        self._fallback: httpx.AsyncHTTPTransport | None = None
        self._stream: ByteStream | None = None
        self._is_readable: Callable[[], bool] = bool
        self._http = _new_state()
        #: The last reply had something behind it, and the connection was closed.
        self._was_followed = False
        #: Seconds that it may be idle; when it has been.
        self._keepalive, self._expires = KEEPALIVE_EXPIRY, 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the reply's head; its body is read from the response's stream.

        The body is asked for once the connection stands, right before it leaves. Raises what httpx's
        transport would, but for time-outs: those are its attempt's.
        """
        if _is_replaced():
            self._fallback = self._fallback or self._make_fallback()
            return await self._fallback.handle_async_request(request)
        trace = request.extensions.get("trace")
        if trace is not None:
            # As httpcore does: whoever must not reach the network raises here.
            await trace("connection.request.started", {})
        deadline: Deadline = request.extensions["vavasms.deadline"]
        await self._open(request.url, deadline)
        await self._send(request, deadline)
        head = await self._read_head(deadline)
        self._keepalive = _read_keepalive(head.headers)
        return httpx.Response(
            status_code=head.status_code,
            headers=head.headers.raw_items(),
            stream=_ReplyBody(self, deadline),
        )

    async def aclose(self) -> None:
        """Close the connection. Another request opens it again."""
        if self._fallback is not None:
            await self._fallback.aclose()
        stream, self._stream = self._stream, None
        if stream is not None:
            # It takes no time, and whoever is cancelled has others to close.
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing beyond the reply that was read was received: it may carry another request."""
        if self._was_followed or (self._fallback is not None and not is_quiet(self._fallback)):
            return False
        return self._stream is None or (not self._http.trailing_data[0] and is_drained(self._stream))

    @property
    def is_followed(self) -> bool:
        """Whether more than line ends came behind the reply: it may not be the last word. Takes what came."""
        if self._was_followed or (self._fallback is not None and is_followed(self._fallback)):
            return True
        return self._stream is not None and bool((self._http.trailing_data[0] + drain(self._stream)).strip())

    async def next_event(self, deadline: Deadline) -> Any:
        """Return the next of h11's events of the reply."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from None
            if event is not h11.NEED_DATA:
                return event
            deadline.begin("read")
            data = await self._receive()
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("The server closed the connection without a reply.")
            self._http.receive_data(data)

    async def finish(self) -> None:
        """Keep the connection for the next request where both sides are done with this one; else close it."""
        if self._stream is None:
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._expires = monotonic() + self._keepalive
            return
        # Of a reply that was read to its end, and is the last on this connection.
        self._was_followed = self._http.their_state in _ENDED and self.is_followed
        await self.aclose()

    async def _open(self, url: httpx.URL, deadline: Deadline) -> None:
        if self._stream is not None and (monotonic() > self._expires or self._is_readable()):
            # Whatever can be read before a request is the end, or answers nothing that was asked.
            await self.aclose()
        if self._stream is None:
            deadline.begin("connect")
            try:
                self._stream = await self._connect(url)
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
                # ssl.SSLError is one of the first.
                raise httpx.ConnectError("no connection") from error
            self._http, self._was_followed = _new_state(), False
            raw_socket = self._stream.extra(SocketAttribute.raw_socket)  # noqa: S610  not Django's
            self._is_readable = watch(raw_socket)

    async def _connect(self, url: httpx.URL) -> ByteStream:
        host, is_secure = url.raw_host.decode("ascii"), url.scheme == "https"
        if is_secure:
            self._context.set_alpn_protocols(["http/1.1"])
        stream = await anyio.connect_tcp(host, url.port or (443 if is_secure else 80))
        if not is_secure:
            return stream
        try:
            # Servers close without TLS's farewell: the length of a reply says where it ends.
            return await TLSStream.wrap(
                stream, hostname=host, ssl_context=self._context, standard_compatible=False
            )
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise

    async def _send(self, request: httpx.Request, deadline: Deadline) -> None:
        assert self._stream is not None
        assert isinstance(request.stream, httpx.AsyncByteStream)
        deadline.begin("write")
        pieces = [self._http.send(_build_head(request.url.raw_path, tuple(request.headers.raw)))]
        # A cancellation that is due comes now: before the body is asked for.
        await anyio.lowlevel.checkpoint_if_cancelled()
        pieces += [self._http.send(h11.Data(data=chunk)) async for chunk in request.stream]
        pieces.append(self._http.send(h11.EndOfMessage()))
        try:
            await self._stream.send(b"".join(filter(None, pieces)))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # A server may refuse and close before it has read all of it: what it said is read still, and no
            # other request goes this way.
            self._http.send_failed()

    async def _read_head(self, deadline: Deadline) -> h11.Response | h11.InformationalResponse:
        while True:
            event: h11.Response | h11.InformationalResponse = await self.next_event(deadline)
            # Nobody asked for another protocol: what follows a 101 cannot be read.
            if isinstance(event, h11.Response) or event.status_code == 101:
                return event

    async def _receive(self) -> bytes:
        assert self._stream is not None
        try:
            return await self._stream.receive(_PIECE)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpx.ReadError("the connection broke") from error


class _ReplyBody(httpx.AsyncByteStream):
    """The body of a reply, as it is received."""

    # No async generator: trio warns of one that is left behind.
    def __init__(self, connection: HttpConnection, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline
        self._is_closed = False

    def __aiter__(self) -> _ReplyBody:
        return self

    async def __anext__(self) -> bytes:
        if self._is_closed:
            raise httpx.StreamClosed
        event = await self._connection.next_event(self._deadline)
        if not isinstance(event, h11.Data):
            raise StopAsyncIteration
        return bytes(event.data)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._connection.finish()


def _read_keepalive(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Return the seconds that a connection may be idle, by the server's `Keep-Alive` (RFC 2068, 19.7.1.1)."""
    said = [
        match[1] for name, value in headers if name == b"keep-alive" and (match := _KEEPALIVE.search(value))
    ]
    return min(max(float(said[0]) - _MARGIN, 0.0), _MAX_KEEPALIVE) if said else KEEPALIVE_EXPIRY


def _new_state() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADERS)


@lru_cache(_MAX_HEADS)
def _build_head(target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> h11.Request:
    """Return the head of a request. They hold neither credentials nor text."""
    return h11.Request(method=b"POST", target=target, headers=list(headers))


def watch(sock: Any) -> Callable[[], bool]:
    """Return what tells whether anything can be read from a socket now, and be it the end."""
    if not hasattr(select, "poll"):
        return lambda: sock.fileno() < 0 or bool(select.select([sock.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return lambda: bool(poll.poll(0))


def _is_replaced() -> bool:
    """Return whether somebody stands in the place of a method by which httpx carries a request."""
    return not all(_is_own(vars(owner).get(name)) for owner, name in _methods())


def _methods() -> tuple[tuple[type, str], ...]:
    """Return the methods by which httpx makes a transport, opens a connection and carries a request."""
    import httpcore

    # Asked for each time: a class may be replaced too.
    auto = getattr(sys.modules.get("httpcore._backends.auto"), "AutoBackend", httpcore.AnyIOBackend)
    carriers = (
        httpx.AsyncHTTPTransport,
        httpcore.AsyncConnectionPool,
        httpcore.AsyncHTTPConnection,
        httpcore.AsyncHTTP11Connection,
    )
    return (
        (httpx.AsyncHTTPTransport, "__init__"),
        *((carrier, "handle_async_request") for carrier in carriers),
        *((backend, "connect_tcp") for backend in (auto, httpcore.AnyIOBackend)),
    )


def _is_own(method: object) -> bool:
    # Not by its name or module, which `functools.wraps` copies; what `exec` made may have no module.
    if type(method) is not FunctionType:
        return False
    return str(method.__globals__.get("__name__")).startswith(("httpx.", "httpcore."))
