"""A connection of our own: what stands in httpx's way is not passed by, and each step has its time."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any
from unittest import mock

import anyio
import httpcore
import httpx
import pytest
import respx
import sniffio
from httpcore._backends.auto import AutoBackend

from tests.transport.servers import ONE, REPLY, accept, connect, serving
from vavasms import AsyncVavaSMS, NotSentError, Outcome, OutcomeUnknownError, Timeouts, VavaSMSError
from vavasms.sandbox import SandboxServer
from vavasms.transport.connection import watch

pytestmark = pytest.mark.anyio

SUCCESS = {"code": 0, "message": "OPERATION_SUCCES", "data": {"lot_id": "MOCK", "message_id": ["S"]}}


def client(sandbox: SandboxServer) -> AsyncVavaSMS:
    return AsyncVavaSMS("sandbox@example.com", "sandbox", sender_id="ACME", base_url=sandbox.url)


# --- what stands in httpx's way ------------------------------------------------------------------------


async def test_a_mock_that_comes_after_the_first_request_is_not_passed_by(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        await sms.send(ONE, "Bonjour")
        entries = len(sandbox.gateway.journal)
        with respx.mock:
            respx.post(f"{sandbox.url}/v1/text/single").respond(json=SUCCESS)
            assert (await sms.send(ONE, "Bonjour")).lot_id == "MOCK"
        assert len(sandbox.gateway.journal) == entries
        # And the next one goes to the gateway again.
        assert (await sms.send(ONE, "Bonjour")).lot_id != "MOCK"


class Proxied:
    """What OpenTelemetry's instrumentation puts in a method's place: it shows the attributes of the real one."""

    def __init__(self, wrapped: Any, calls: list[str]) -> None:
        self._wrapped, self._calls = wrapped, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __get__(self, instance: Any, owner: Any) -> Any:
        def call(request: Any) -> Any:
            self._calls.append("replaced")
            return self._wrapped(instance, request)

        return call


def wrapped(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, request: Any) -> Any:
        calls.append("replaced")
        return await method(self, request)

    return call


@pytest.mark.parametrize("replace", [Proxied, wrapped])
@pytest.mark.parametrize(
    "owner", [httpx.AsyncHTTPTransport, httpcore.AsyncConnectionPool, httpcore.AsyncHTTPConnection]
)
async def test_whoever_stands_in_the_place_of_a_method_of_httpx_is_called(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, owner: type, replace: Callable[..., Any]
) -> None:
    calls: list[str] = []
    async with client(sandbox) as sms:
        await sms.balance()
        monkeypatch.setattr(
            owner, "handle_async_request", replace(vars(owner)["handle_async_request"], calls)
        )
        await sms.balance()
        assert calls == ["replaced"]
        connections = sandbox.connections
        await sms.balance()
        # Its connection is kept as well.
        assert sandbox.connections == connections
        monkeypatch.undo()
        await sms.balance()
    assert len(calls) == 2


async def test_a_mock_with_a_specification_of_its_own_is_called(sandbox: SandboxServer) -> None:
    async def answer(_self: object, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=SUCCESS, request=request)

    async with client(sandbox) as sms:
        await sms.send(ONE, "Bonjour")
        with mock.patch.object(
            httpx.AsyncHTTPTransport, "handle_async_request", autospec=True, side_effect=answer
        ):
            assert (await sms.send(ONE, "Bonjour")).lot_id == "MOCK"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AutoBackend, "connect_tcp"),
        (httpcore.AnyIOBackend, "connect_tcp"),
        (httpcore.AsyncHTTP11Connection, "handle_async_request"),
        (httpx.AsyncHTTPTransport, "__init__"),
    ],
)
@pytest.mark.usefixtures("no_backoff")
async def test_whoever_stands_below_httpx_or_makes_its_transports_is_called(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    if owner is httpcore.AnyIOBackend and sniffio.current_async_library() == "trio":
        pytest.skip("httpcore has a backend of its own for trio")
    calls: list[str] = []

    def refuse(*_arguments: object, **_options: object) -> None:
        calls.append("replaced")
        raise httpcore.ConnectError

    async with client(sandbox) as sms:
        await sms.balance()
        entries = len(sandbox.gateway.journal)
        monkeypatch.setattr(owner, name, refuse)
        with pytest.raises(NotSentError if name != "handle_async_request" else VavaSMSError):
            await sms.send(ONE, "Bonjour")
        monkeypatch.undo()
    assert calls
    assert len(sandbox.gateway.journal) == entries


# --- what is not as it is known -----------------------------------------------------------------------


async def test_a_stream_that_is_not_as_known_carries_one_request(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(_stream: object) -> bool:
        raise AttributeError("read_queue")

    monkeypatch.setattr("vavasms.transport._httpcore._is_drained", changed)
    monkeypatch.setattr("vavasms.transport._httpcore._drain", changed)
    idle = []
    async with client(sandbox) as sms:
        for _ in range(3):
            await sms.balance()
            pools: Any = sms._transport._pools.current()
            idle.append(len(pools._idle))
    assert idle == [0, 0, 0]


async def test_a_loop_that_reads_ahead_unseen_carries_one_request_a_connection(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("trio reads nothing ahead")
    from asyncio import selector_events

    # As the transports of Windows' loop have it.
    monkeypatch.setattr(
        vars(selector_events)["_SelectorTransport"], "_pending_data_length", -1, raising=False
    )
    async with client(sandbox) as sms:
        await sms.balance()
        pools: Any = sms._transport._pools.current()
        assert pools._idle == []


async def test_a_refusal_before_the_end_of_a_connection_that_a_success_follows_is_not_believed() -> None:
    turned_away = b"HTTP/1.1 429 Slow\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def serve(listener: socket.socket) -> None:
        for reply in (turned_away + REPLY, turned_away + b"\r\n"):
            with accept(listener) as there:
                there.recv(65536)
                there.sendall(reply)

    with serving(serve) as (port, _):
        async with connect(port) as sms:
            outcomes = []
            for _ in range(2):
                with pytest.raises(VavaSMSError) as caught:
                    await sms.send(ONE, "Bonjour")
                outcomes.append(caught.value.outcome)
    assert outcomes == [Outcome.UNKNOWN, Outcome.NOT_SENT]


# --- the time of each step -----------------------------------------------------------------------------

QUICK = Timeouts(connect=0.2, write=0.2, read=0.2, send=0.2)


async def test_a_reply_that_does_not_come_is_a_read_timeout() -> None:
    def serve(listener: socket.socket) -> bytes:
        with accept(listener) as there:
            while there.recv(65536):
                pass
        return b""

    with serving(serve) as (port, _):
        async with connect(port, timeouts=QUICK) as sms:
            with pytest.raises(OutcomeUnknownError, match="ReadTimeout"):
                await sms.send(ONE, "Bonjour")


@pytest.mark.usefixtures("no_backoff")
async def test_a_handshake_without_an_answer_is_a_connect_timeout() -> None:
    # Nobody accepts: the system does.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with connect(listener.getsockname()[1], scheme="https", timeouts=QUICK) as sms:
            with pytest.raises(NotSentError, match="ConnectTimeout"):
                await sms.send(ONE, "Bonjour")


async def test_what_is_said_before_the_reply_is_passed_over() -> None:
    def serve(listener: socket.socket) -> None:
        with accept(listener) as there:
            for _ in range(2):
                there.recv(65536)
                there.sendall(
                    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + REPLY
                )

    with serving(serve) as (port, _):
        async with connect(port) as sms:
            for _ in range(2):
                assert (await sms.send(ONE, "Bonjour")).lot_id == "L"


async def test_a_connection_that_the_server_ends_is_opened_again() -> None:
    def serve(listener: socket.socket) -> list[bytes]:
        requests = []
        for _ in range(2):
            with accept(listener) as there:
                requests.append(there.recv(65536))
                there.sendall(REPLY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return requests

    with serving(serve) as (port, requests):
        async with connect(port, max_connections=1) as sms:
            lots = [await sms.send(ONE, text) for text in ("Bonjour", "Bonsoir")]
    assert [lot.lot_id for lot in lots] == ["L", "L"]
    # One on each connection, each once.
    assert [b"Bonsoir" in request for request in requests.result()] == [False, True]


async def test_a_connection_whose_write_failed_carries_no_other_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serve(listener: socket.socket) -> list[int]:
        counts = []
        for _ in range(2):
            with accept(listener) as there:
                counts.append(0)
                while there.recv(65536):
                    counts[-1] += 1
                    there.sendall(REPLY)
        return counts

    with serving(serve) as (port, counts):
        async with connect(port, max_connections=1) as sms:
            await sms.send(ONE, "Bonjour")
            pools: Any = sms._transport._pools.current()
            stream = pools._idle[0]._stream
            send = stream.send

            async def send_and_break(data: bytes) -> None:
                await send(data)
                raise anyio.BrokenResourceError

            monkeypatch.setattr(stream, "send", send_and_break)
            # What the server said is read, whatever became of the rest.
            assert (await sms.send(ONE, "Bonjour")).lot_id == "L"
            assert (await sms.send(ONE, "Bonsoir")).lot_id == "L"
    assert counts.result() == [2, 1]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 2.0),
        ("timeout=5, max=100", 4.0),
        ("max=100, Timeout=15", 14.0),
        ("timeout=1", 0.0),
        ("timeout=0", 0.0),
        ("timeout=86400", 30.0),
        ("timeout=5.5", 4.0),
        ("timeout=-1", 2.0),
        ("timeout", 2.0),
        ("my-timeout=60", 2.0),
    ],
)
async def test_a_server_that_says_how_long_it_keeps_a_connection_is_believed_less_a_second(
    said: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b"" if said is None else b"\r\nKeep-Alive: %s" % said.encode()
    connections: list[int] = []

    def serve(listener: socket.socket) -> None:
        for requests in (2 if seconds else 1, 1):
            with accept(listener) as there:
                connections.append(there.fileno())
                for _ in range(requests):
                    there.recv(65536)
                    there.sendall(REPLY.replace(b"\r\n\r\n", head + b"\r\n\r\n", 1))

    now = [1000.0]
    monkeypatch.setattr("vavasms.transport.connection.monotonic", lambda: now[0])
    with serving(serve) as (port, _):
        async with connect(port, max_connections=1) as sms:
            await sms.send(ONE, "Bonjour")
            if seconds:
                now[0] += seconds - 0.01
                await sms.send(ONE, "Bonjour")
            assert len(connections) == 1
            now[0] += seconds + 0.01
            await sms.send(ONE, "Bonjour")
            assert len(connections) == 2


def test_without_poll_as_on_windows_a_socket_is_watched_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.poll", raising=False)
    here, there = socket.socketpair()
    with there:
        is_readable = watch(here)
        assert not is_readable()
        there.sendall(b"x")
        assert is_readable()
        here.close()
        assert is_readable()
