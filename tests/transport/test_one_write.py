"""A request leaves in one write, and what became of it is told as truly as with two."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import httpcore
import httpx
import pytest
import trustme

from tests.transport.servers import ONE, REPLY, accept, connect, serving
from vavasms import CallInfo, Outcome, OutcomeUnknownError
from vavasms.transport._httpcore import OneWriteBackend, OneWriteStream, is_quiet, join_writes

pytestmark = pytest.mark.anyio

HEAD = b"POST /api HTTP/1.1\r\nHost: gateway.invalid\r\nContent-Length: 1\r\n\r\n"


# --- what arrives ------------------------------------------------------------------------------------


def _is_whole(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
    return head.startswith(b"POST ") and len(body) == length > 0


async def test_each_request_of_a_connection_arrives_in_one_piece() -> None:
    def serve(listener: socket.socket) -> list[bytes]:
        pieces = []
        with accept(listener) as connection:
            for _ in range(10):
                pieces.append(connection.recv(65536))
                connection.sendall(REPLY)
        return pieces

    with serving(serve) as (port, pieces):
        async with connect(port) as sms:
            for _ in range(10):
                await sms.send(ONE, "Bonjour")
    assert [_is_whole(piece) for piece in pieces.result()] == [True] * 10


async def test_over_tls_a_request_is_one_record() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)

    def serve(listener: socket.socket) -> list[bytes]:
        records = []
        with accept(listener) as connection, theirs.wrap_socket(connection, server_side=True) as tls:
            for _ in range(2):
                # One record at a time, however many have come.
                records.append(tls.recv(65536))
                tls.sendall(REPLY)
        return records

    with serving(serve) as (port, records):
        async with connect(port, scheme="https", tls=ours) as sms:
            await sms.send(ONE, "Bonjour")
            await sms.send([f"22507590{n:05}" for n in range(100)], "Bonjour à tous")
    assert [_is_whole(record) for record in records.result()] == [True, True]


# --- the stream --------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


async def open_to(listener: socket.socket) -> tuple[OneWriteStream, socket.socket]:
    backend = OneWriteBackend(httpcore.AnyIOBackend())
    await backend.sleep(0)
    stream = await backend.connect_tcp("127.0.0.1", listener.getsockname()[1])
    assert isinstance(stream, OneWriteStream)
    return stream, accept(listener)


def _nothing_came(there: socket.socket) -> bool:
    there.setblocking(False)
    try:
        there.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        there.settimeout(10)
    return False


async def test_headers_wait_for_the_body() -> None:
    with listening() as listener:
        stream, there = await open_to(listener)
        with there:
            await stream.write(HEAD, timeout=1)
            assert _nothing_came(there)
            await stream.write(b"x", timeout=1)
            assert there.recv(65536) == HEAD + b"x"
            await stream.write(b"y", timeout=1)
            assert there.recv(65536) == b"y"
            await stream.aclose()


async def test_headers_without_a_body_leave_before_a_reply_is_waited_for() -> None:
    with listening() as listener:
        stream, there = await open_to(listener)
        with there:
            await stream.write(HEAD)
            there.sendall(b"early")
            assert await stream.read(5, timeout=1) == b"early"
            assert there.recv(65536) == HEAD
            await stream.aclose()
            assert there.recv(1) == b""


@pytest.mark.parametrize(
    "words", [b"CONNECT gateway.invalid:443 HTTP/1.1\r\n\r\n", b"\x05\x01\x00"], ids=repr
)
async def test_what_is_said_to_a_proxy_does_not_wait(words: bytes) -> None:
    with listening() as listener:
        stream, there = await open_to(listener)
        with there:
            await stream.write(words)
            assert there.recv(65536) == words
            await stream.aclose()


async def test_a_cancellation_that_is_due_comes_before_the_body_is_asked_for() -> None:
    with listening() as listener:
        stream, there = await open_to(listener)
        with there:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await stream.write(HEAD)
            assert scope.cancelled_caught
            await stream.aclose()
            assert there.recv(65536) == b""


# --- what became of it -------------------------------------------------------------------------------


class Refused(httpx.AsyncByteStream):
    """A body that is asked for and not given."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise OSError("not given")
        yield b""


async def test_of_a_request_whose_body_is_not_given_nothing_arrives() -> None:
    def serve(listener: socket.socket) -> bytes:
        with accept(listener) as connection:
            return connection.recv(65536)

    with serving(serve) as (port, arrived):
        async with httpx.AsyncHTTPTransport() as transport:
            join_writes(transport)
            url, headers = f"http://127.0.0.1:{port}/", {"Host": "x", "Content-Length": "1"}
            with pytest.raises(OSError, match="not given"):
                await transport.handle_async_request(
                    httpx.Request("POST", url, headers=headers, stream=Refused())
                )
    assert arrived.result() == b""


async def test_a_server_that_resets_before_it_read_the_body_leaves_the_outcome_unknown() -> None:
    calls: list[CallInfo] = []

    def serve(listener: socket.socket) -> None:
        with accept(listener) as connection:
            assert connection.recv(1) == b"P"
            # No farewell but a reset, whatever is unread.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(serve) as (port, _):
        async with connect(port, on_request=calls.append) as sms:
            with pytest.raises(OutcomeUnknownError) as caught:
                await sms.send(ONE, "Bonjour")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert len(calls) == 1


async def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    closed = threading.Event()

    def serve(listener: socket.socket) -> int:
        for _ in range(2):
            with accept(listener) as connection:
                assert _is_whole(connection.recv(65536))
                connection.sendall(REPLY)
            closed.set()
        return 2

    with serving(serve) as (port, served):
        async with connect(port) as sms:
            await sms.send(ONE, "Bonjour")
            assert await anyio.to_thread.run_sync(closed.wait, 10)
            await sms.send(ONE, "Bonjour")
        assert served.result(10) == 2


@pytest.mark.parametrize("pool", [None, object()], ids=["no pool", "no backend"])
def test_a_transport_that_is_not_as_known_is_left_alone(pool: object) -> None:
    class Foreign:
        _pool = pool

    foreign = Foreign()
    join_writes(foreign)
    assert vars(foreign) == {}
    # What it may hold of a second reply cannot be seen.
    assert not is_quiet(foreign)
    join_writes(httpx.MockTransport(lambda _: httpx.Response(200)))
