"""Whoever reaches a worker's health holds up none of its work: connections end, and are few."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from vavasms.health import gauges, prometheus
from vavasms.health.asgi import HealthApp
from vavasms.health.prometheus import WorkerMetrics
from vavasms.health.totals_cache import TotalsReading
from vavasms.ledger.totals import LedgerTotals
from vavasms.web import server as server_module
from vavasms.web.server import QuietServer

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

REQUEST = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: More than the system keeps for one who does not read.
BODY = b"x" * (16 << 20)


async def answer(
    _scope: Any, _receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    body = BODY if b"large" in _scope["raw_path"] else b"alive"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serve(*, for_strangers: bool = True) -> AsyncIterator[tuple[QuietServer, int]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = QuietServer(answer, grace=1, for_strangers=for_strangers)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: server.serve(sockets=[sock]))
            with anyio.fail_after(30):
                while not server.started:
                    await anyio.sleep(0.01)
            yield server, sock.getsockname()[1]
            server.should_exit = True


async def is_closed(stream: SocketStream, *, seconds: float = 3) -> bool:
    with anyio.move_on_after(seconds):
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
    return False


@pytest.mark.parametrize("begun", [b"", b"GET /live HT", REQUEST, REQUEST + b"GET /"])
async def test_a_connection_without_a_whole_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server_module, "STRANGER_SECONDS", 0.3)
    async with serve() as (server, port), await anyio.connect_tcp("127.0.0.1", port) as stream:
        if begun:
            await stream.send(begun)
        assert await is_closed(stream)
        await anyio.sleep(0.05)
        assert not server.server_state.connections


async def test_one_that_sends_a_byte_now_and_then_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STRANGER_SECONDS", 0.3)
    async with serve() as (_server, port), await anyio.connect_tcp("127.0.0.1", port) as stream:
        with anyio.fail_after(30), pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            for byte in b"GET /live HTTP/1.1\r\n" + b"A: a\r\n" * 1_000:
                await stream.send(bytes([byte]))
                await anyio.sleep(0.02)


async def test_one_that_reads_no_answer_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STRANGER_SECONDS", 0.3)
    async with serve() as (server, port), await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(REQUEST.replace(b"live", b"large") * 2)
        with anyio.fail_after(30):
            while not server.server_state.connections:
                await anyio.sleep(0.01)
            while server.server_state.connections:
                await anyio.sleep(0.05)
        # It has not read a byte, and asked for more than fits into the buffers of both ends.
        assert not server.server_state.connections


async def test_there_are_so_many_connections_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STRANGERS", 3)
    async with serve() as (server, port):
        streams = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(3)]
        async with await anyio.connect_tcp("127.0.0.1", port) as more:
            assert await is_closed(more)
        assert len(server.server_state.connections) == 3
        # Those that are there are answered, again and again.
        for _ in range(2):
            await streams[0].send(REQUEST)
            assert (await streams[0].receive()).startswith(b"HTTP/1.1 200")
        for stream in streams:
            await stream.aclose()


def _ask(host: str | None) -> dict[str, Any]:
    headers = [] if host is None else [(b"host", host.encode())]
    return {"type": "http", "method": "GET", "path": "/live", "headers": headers}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:8428", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("127.0.0.1:8428", 200),
        ("LOCALHOST:8428", 200),
        ("[::1]:8428", 200),
        ("[::1]", 200),
        (None, 200),
    ],
)
async def test_on_this_machine_alone_another_sites_name_is_refused(host: str | None, status: int) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    monitor: Any = None
    app = HealthApp(monitor=monitor, metrics=WorkerMetrics(), is_local=True)
    await app(_ask(host), receive, send)
    assert sent[0]["status"] == status
    await HealthApp(monitor=monitor, metrics=WorkerMetrics())(_ask(host), receive, send)
    assert sent[2]["status"] == 200


async def test_what_was_read_is_summed_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = LedgerTotals(campaigns={}, sends={}, at=0.0, send_wait=0.0, workers=None)
    sums: list[LedgerTotals] = []
    list_totals = gauges.list_totals

    def count(read: LedgerTotals) -> Any:
        sums.append(read)
        return list_totals(read)

    class Monitor:
        class readiness:
            is_ready, ledger = True, "ok"

        balance = None

        async def read_totals(self) -> TotalsReading:
            return TotalsReading(totals=totals, begun_at=0.0, took=0.1)

    monkeypatch.setattr(prometheus, "list_totals", count)
    metrics = WorkerMetrics()
    monitor: Any = Monitor()
    async with anyio.create_task_group() as tasks:
        for accept in ["", "application/openmetrics-text"] * 5:
            tasks.start_soon(metrics.render, monitor, accept)
    assert sums == [totals]
