"""What a connection, a writer or a process leaves behind must not reach the next send."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest

from vavasms import AsyncVavaSMS, ConfigurationError, NotSentError, Outcome
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio
NUMBERS = ["2250759000001", "2250759000002", "2250759000003"]


def success(lot: int) -> bytes:
    body = b'{"code":0,"message":"OPERATION_SUCCES","data":{"lot_id":"L%d","message_id":["S%d"]}}' % (
        lot,
        lot,
    )
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class DoubleAnswering:
    """Answers the first request twice, in one segment."""

    def __init__(self, extra: bytes) -> None:
        self.posts = 0
        self._extra = extra
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
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
        with connection, connection.makefile("rb") as stream:
            while True:
                length = 0
                while (line := stream.readline()) not in {b"\r\n", b""}:
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                if not line:
                    return
                stream.read(length)
                self.posts += 1
                connection.sendall(success(self.posts) + (self._extra if self.posts == 1 else b""))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@contextmanager
def double_answering(extra: bytes) -> Iterator[DoubleAnswering]:
    server = DoubleAnswering(extra)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


@pytest.mark.parametrize(
    "extra",
    [success(99), b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"],
    ids=["200", "429"],
)
async def test_a_second_reply_is_not_taken_for_that_of_the_next_send(extra: bytes) -> None:
    with double_answering(extra) as server:
        async with AsyncVavaSMS("a@example.com", "x", sender_id="ACME", base_url=server.url) as sms:
            report = await sms.send_bulk(NUMBERS, "Bonjour", batch_size=1, concurrency=1)
        assert server.posts == 3
    assert [result.lot and result.lot.lot_id for result in report.results] == ["L1", "L2", "L3"]


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
async def test_a_client_from_before_a_fork_is_refused_in_the_child(sandbox: SandboxServer) -> None:
    source = f"""
import os, sys, anyio
from vavasms import AsyncVavaSMS
async def main(sms):
    try:
        await sms.balance()
    except Exception as error:
        print(type(error).__name__, error.outcome, "fork" in str(error), flush=True)
    await sms.aclose()
sms = AsyncVavaSMS("sandbox@example.com", "sandbox", base_url="{sandbox.url}")
if os.fork() == 0:
    anyio.run(main, sms, backend="trio")
    os._exit(0)
os.wait()
"""
    done = await anyio.run_process([sys.executable, "-c", source])
    assert done.stdout.decode().split() == ["ConfigurationError", "None", "True"]


async def test_no_proxy_is_shown_the_password_of_a_gateway_on_plain_http() -> None:
    with pytest.raises(ConfigurationError, match="would see the password"):
        AsyncVavaSMS("a@example.com", "x", base_url="http://127.0.0.1:1/api", proxy="http://127.0.0.1:2")
