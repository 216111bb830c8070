"""What a connection, a writer or a process leaves behind must not reach the next send."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import httpx
import pytest
import trustme
from attrs import frozen

from vavasms import AsyncVavaSMS, AuthenticationError, ConfigurationError, NotSentError, Outcome
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio
T = TypeVar("T")
NUMBERS = ["2250759000001", "2250759000002", "2250759000003"]


def success(lot: int, length: int = 0) -> bytes:
    """Build a reply, of `length` bytes where it is not longer."""
    data = b'"data":{"lot_id":"L%d","message_id":["S%d"]}' % (lot, lot)
    body = b'{"code":0,"message":"OPERATION_SUCCES",%s}' % data
    # Spaces before the end, as many as the head leaves room for.
    body = (
        body[:-1]
        + b" " * (length - len(b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n") - len(body))
        + b"}"
    )
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Plain:
    """The server's side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def read_request(self) -> bool:
        """Read one; False where the client has gone."""
        while b"\r\n\r\n" not in self._received:
            if not self._read_more():
                return False
        head, _, rest = self._received.partition(b"\r\n\r\n")
        [length] = [
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        self._received = rest
        while len(self._received) < length:
            assert self._read_more()
        self._received = self._received[length:]
        return True

    def _read_more(self) -> bool:
        try:
            data = self.receive()
        except (OSError, ssl.SSLError):
            # Closed by the client, with something unread.
            return False
        self._received += data
        return bool(data)

    def receive(self) -> bytes:
        return self._connection.recv(65536)

    def send(self, *replies: bytes) -> None:
        """Write in one system call."""
        self._connection.sendall(b"".join(replies))


class Encrypted(Plain):
    """The same over TLS, each reply in records of its own."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._retried(self._tls.do_handshake)
        connection.sendall(self._out.read())

    def _retried(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._connection.sendall(self._out.read())
                data = super().receive()
                if not data:
                    raise ConnectionResetError from None
                self._in.write(data)

    def receive(self) -> bytes:
        return self._retried(lambda: self._tls.read(65536))

    def send(self, *replies: bytes) -> None:
        for reply in replies:
            self._tls.write(reply)
        self._connection.sendall(self._out.read())


class DoubleAnswering:
    """Answers the first request twice: at once, or when it is told to."""

    def __init__(self, first: bytes, extra: bytes, context: ssl.SSLContext | None, *, later: bool) -> None:
        self.posts = 0
        self.told, self.strayed = threading.Event(), threading.Event()
        self._first, self._extra, self._context, self._later = first, extra, context, later
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        # What is written leaves at once, whether or not what was before it has been acknowledged.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            side = Plain(connection) if self._context is None else Encrypted(connection, self._context)
            while side.read_request():
                self.posts += 1
                if self.posts > 1:
                    side.send(success(self.posts))
                elif self._later:
                    side.send(self._first)
                    assert self.told.wait(10)
                    side.send(self._extra)
                    self.strayed.set()
                else:
                    side.send(self._first, self._extra)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@contextmanager
def double_answering(
    extra: bytes, *, first: bytes = success(1), context: ssl.SSLContext | None = None, later: bool = False
) -> Iterator[DoubleAnswering]:
    server = DoubleAnswering(first, extra, context, later=later)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


async def something_arrived(sms: AsyncVavaSMS) -> None:
    """Wait until the idle connection's socket can be read: written is not yet received."""
    [connection] = idle_pools(sms)
    with anyio.fail_after(30):
        while not connection._is_readable():
            await anyio.sleep(0.001)


def idle_pools(sms: AsyncVavaSMS) -> list[Any]:
    pools: Any = sms._transport._pools.current()
    return list(pools._idle)


@frozen
class Trust:
    """Both sides of TLS, or of none."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None


@pytest.fixture(params=["plain", "TLS"])
def trust(request: pytest.FixtureRequest) -> Trust:
    if request.param == "plain":
        return Trust()
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return Trust(server, client)


SLOW = b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
#: As much as httpcore reads at once: what came with it waits outside of h11.
PIECE = success(1, length=65536)


@pytest.mark.parametrize("extra", [success(99), SLOW], ids=["200", "429"])
@pytest.mark.parametrize("first", [success(1), PIECE], ids=["short", "64 KiB"])
async def test_a_second_reply_is_not_taken_for_that_of_the_next_send(
    first: bytes, extra: bytes, trust: Trust
) -> None:
    with double_answering(extra, first=first, context=trust.server) as server:
        async with AsyncVavaSMS(
            "a@example.com", "x", sender_id="ACME", base_url=server.url, tls=trust.client
        ) as sms:
            lots = [await sms.send(number, "Bonjour") for number in NUMBERS]
        assert server.posts == 3
    assert [lot.lot_id for lot in lots] == ["L1", "L2", "L3"]


REFUSAL = b'{"code": 901, "message": "INVALID_CREDENTIALS"}'
REFUSED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)
#: The same, with as much before it as httpcore reads at once.
REFUSED_IN_A_PIECE = REFUSED.replace(b"\r\n\r\n", b"\r\nX: %s\r\n\r\n" % (b"x" * (65536 - 5 - len(REFUSED))))


@pytest.mark.parametrize("first", [SLOW, REFUSED, REFUSED_IN_A_PIECE], ids=["429", "901", "64 KiB of 901"])
async def test_a_refusal_that_a_second_reply_follows_is_not_believed(
    first: bytes, trust: Trust, anyio_backend_name: str
) -> None:
    if (anyio_backend_name, first, trust.server) == ("trio", REFUSED_IN_A_PIECE, None):
        pytest.skip("trio reads no more than it is asked for: the second reply is in the socket yet")
    # A machine that is busy may have the second reply in its socket later: then nobody can know of it.
    for _try in range(5):
        with double_answering(success(1), first=first, context=trust.server) as server:
            async with AsyncVavaSMS(
                "a@example.com", "x", sender_id="ACME", base_url=server.url, tls=trust.client
            ) as sms:
                report = await sms.send_bulk(NUMBERS[:1], "Bonjour")
            assert server.posts == 1
        if report.unknown:
            break
    assert report.unknown == 1


@pytest.mark.parametrize("extra", [b"\n", b"\r\n\r\n"])
async def test_a_refusal_that_only_line_ends_follow_is_one(extra: bytes, trust: Trust) -> None:
    with double_answering(extra, first=REFUSED, context=trust.server) as server:
        async with AsyncVavaSMS(
            "a@example.com", "x", sender_id="ACME", base_url=server.url, tls=trust.client
        ) as sms:
            with pytest.raises(AuthenticationError) as caught:
                await sms.send(NUMBERS[0], "Bonjour")
    assert caught.value.outcome is Outcome.REJECTED


@pytest.mark.parametrize("extra", [success(99), SLOW, b"HTTP"], ids=["200", "429", "the beginning of one"])
async def test_a_second_reply_that_comes_before_the_next_send_is_not_taken_for_its_own(
    extra: bytes, trust: Trust
) -> None:
    with double_answering(extra, context=trust.server, later=True) as server:
        async with AsyncVavaSMS(
            "a@example.com", "x", sender_id="ACME", base_url=server.url, tls=trust.client
        ) as sms:
            lots = [await sms.send(NUMBERS[0], "Bonjour")]
            server.told.set()
            assert await anyio.to_thread.run_sync(server.strayed.wait, 10)
            await something_arrived(sms)
            lots += [await sms.send(number, "Bonjour") for number in NUMBERS[1:]]
        assert server.posts == 3
    assert [lot.lot_id for lot in lots] == ["L1", "L2", "L3"]


async def test_a_sound_connection_is_kept(sandbox: SandboxServer) -> None:
    # Also the proof that what looks into httpcore still finds what it looks for.
    async with AsyncVavaSMS("sandbox@example.com", "sandbox", base_url=sandbox.url) as sms:
        await sms.balance()
        first = sandbox.connections
        for _ in range(20):
            await sms.balance()
        assert sandbox.connections == first


async def test_a_writer_that_comes_late_is_given_nothing() -> None:
    kept: list[httpx.Request] = []

    class Late(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            kept.append(request)
            raise httpx.ConnectError("refused")

    async with AsyncVavaSMS("a@example.com", "x", sender_id="ACME", transport=Late()) as sms:
        with pytest.raises(NotSentError) as raised:
            await sms.send(NUMBERS[0], "Bonjour")
    assert raised.value.outcome is Outcome.NOT_SENT
    for request in kept:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        with pytest.raises(OSError, match="given up"):
            [chunk async for chunk in request.stream]


async def test_no_proxy_is_shown_the_password_of_a_gateway_on_plain_http() -> None:
    with pytest.raises(ConfigurationError, match="would see the password"):
        AsyncVavaSMS("a@example.com", "x", base_url="http://127.0.0.1:1/api", proxy="http://127.0.0.1:2")
