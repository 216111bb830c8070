"""A cancelled call: what became of it is known, it is not repeated, and its traceback tells no secret."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

import anyio
import pytest

from vavasms import AsyncVavaSMS, CallInfo, Msisdn, Outcome, Timeouts
from vavasms.config import load_settings
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer
from vavasms.transport.http import Attempt, HttpTransport
from vavasms.wire.requests import Request, draft_text

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_collections")]

USERNAME, PASSWORD = "sentinel@example.com", "S3ntinel pass&word"
ONE, TEXT = "2250759123456", "sentinel-texte"
SECRETS = (USERNAME, quote_plus(USERNAME), PASSWORD, quote_plus(PASSWORD), TEXT, ONE[3:])

#: Loop, and how it cancels. asyncio's own `task.cancel()` knows no shield.
WAYS = [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")]
every_way = pytest.mark.parametrize(("anyio_backend", "way"), WAYS)


async def cancel(call: Callable[[], Awaitable[Any]], ready: Callable[[], Awaitable[Any]], way: str) -> Any:
    """Begin a call, wait until it is `ready`, cancel it; give what came out of it."""
    caught: list[BaseException] = []

    async def run() -> None:
        try:
            await call()
        except BaseException as error:
            caught.append(error)
            raise

    with anyio.fail_after(10):
        if way == "task":
            task = asyncio.create_task(run())
            await ready()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await ready()
                tasks.cancel_scope.cancel()
    [error] = caught
    assert isinstance(error, anyio.get_cancelled_exc_class())
    return error


@pytest.fixture(scope="module")
def _own_server() -> Iterator[SandboxServer]:
    with SandboxServer(Gateway(username=USERNAME, password=PASSWORD)) as running:
        yield running


@pytest.fixture
def server(_own_server: SandboxServer) -> SandboxServer:
    _own_server.faults.clear()
    _own_server.gateway.journal.clear()
    return _own_server


@contextmanager
def silent() -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """Yield the URL of a server that stalls in the handshake, and a wait until one has begun."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        taken: list[socket.socket] = []

        def greet() -> None:
            connection, _ = listener.accept()
            taken.append(connection)
            connection.settimeout(5)
            assert connection.recv(5)

        async def begun() -> None:
            await anyio.to_thread.run_sync(greet)

        yield f"https://127.0.0.1:{listener.getsockname()[1]}/api", begun
        for connection in taken:
            connection.close()


class Count:
    def __init__(self) -> None:
        self.posts = 0

    def __call__(self, _: CallInfo) -> None:
        self.posts += 1


def carry(base_url: str, **settings: Any) -> HttpTransport:
    return HttpTransport(load_settings(USERNAME, PASSWORD, base_url=base_url), trust_env=False, **settings)


def connect(base_url: str) -> AsyncVavaSMS:
    return AsyncVavaSMS(USERNAME, PASSWORD, sender_id="ACME", base_url=base_url, trust_env=False)


def text() -> Request:
    return draft_text(TEXT, "ACME").address((Msisdn(ONE),))


def stall() -> Fault:
    return Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60)


@every_way
async def test_cancelled_before_the_body_was_asked_for_nothing_was_sent(way: str, anyio_backend: str) -> None:
    attempt, count = Attempt(), Count()
    with silent() as (base_url, begun):
        transport = carry(base_url, on_request=count, timeouts=Timeouts(connect=9))
        await cancel(lambda: transport.exchange(text(), attempt), begun, way)
        assert attempt.outcome is Outcome.NOT_SENT
        await transport.aclose()
    assert count.posts == 1
    gc.collect()


@every_way
async def test_cancelled_after_the_body_was_asked_for_the_outcome_is_unknown(
    way: str, anyio_backend: str, server: SandboxServer
) -> None:
    server.faults.script(stall())
    attempt, count = Attempt(), Count()
    transport = carry(server.url, on_request=count, max_connections=1)

    async def accepted() -> None:
        assert await anyio.to_thread.run_sync(server.gateway.journal.wait_for, 1)

    await cancel(lambda: transport.exchange(text(), attempt), accepted, way)
    assert attempt.outcome is Outcome.UNKNOWN
    # Its connection is gone, its place is free, and it was not repeated.
    with anyio.fail_after(30):
        while server.connections:
            await anyio.sleep(0.01)
        await transport.exchange(text())
    await transport.aclose()
    assert count.posts == 2
    assert server.gateway.journal.accepted_count(ONE) == 2


@every_way
async def test_cancelled_while_waiting_for_a_place_nothing_was_sent(
    way: str, anyio_backend: str, server: SandboxServer
) -> None:
    server.faults.script(stall())
    transport = carry(server.url, max_connections=1)
    attempt = Attempt()

    async def first() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.exchange, text())
            assert await anyio.to_thread.run_sync(server.gateway.journal.wait_for, 1)
            await cancel(lambda: transport.exchange(text(), attempt), anyio.wait_all_tasks_blocked, way)
            tasks.cancel_scope.cancel()

    await first()
    assert attempt.outcome is Outcome.NOT_SENT
    with anyio.fail_after(30):
        await transport.exchange(text())
    await transport.aclose()
    assert server.gateway.journal.accepted_count(ONE) == 2


async def test_cancelled_between_two_attempts_nothing_was_sent() -> None:
    """A send whose connection was refused waits before its next attempt: nobody has its body."""
    attempt, count = Attempt(), Count()
    failed = anyio.Event()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        transport = carry(base_url, on_request=count, on_response=lambda _: failed.set())
        await cancel(lambda: transport.exchange(text(), attempt), failed.wait, "scope")
        await transport.aclose()
    assert attempt.outcome is Outcome.NOT_SENT
    assert count.posts == 1


def test_an_attempt_that_never_began_sent_nothing() -> None:
    assert Attempt().outcome is Outcome.NOT_SENT


async def test_an_attempt_that_begins_anew_forgets_the_one_that_was_turned_away(
    server: SandboxServer,
) -> None:
    attempt = Attempt()
    transport = carry(server.url)
    await transport.exchange(text(), attempt)
    outcomes = [attempt.outcome]
    attempt.forget()
    assert [*outcomes, attempt.outcome] == [Outcome.UNKNOWN, Outcome.NOT_SENT]
    await transport.aclose()


CALLS: dict[str, Callable[[AsyncVavaSMS], Awaitable[Any]]] = {
    "balance": lambda sms: sms.balance(),
    "send": lambda sms: sms.send([ONE], TEXT),
    "otp": lambda sms: sms.send_otp(ONE, template=f"{TEXT} ##OTP##"),
    "verify": lambda sms: sms.verify_otp(ONE, "042317"),
}


@every_way
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("phase", ["handshake", "reply"])
async def test_the_traceback_of_a_cancellation_tells_no_secret(
    phase: str,
    call: str,
    way: str,
    anyio_backend: str,
    server: SandboxServer,
    all_tracebacks: Callable[[BaseException], Iterator[str]],
) -> None:
    server.faults.script(stall())
    taken = server.faults.taken

    async def stalled() -> None:
        assert await anyio.to_thread.run_sync(server.faults.wait_taken, taken + 1)

    with silent() as (base_url, begun):
        early = phase == "handshake"
        async with connect(base_url if early else server.url) as sms:
            error = await cancel(lambda: CALLS[call](sms), begun if early else stalled, way)
    for shown in all_tracebacks(error):
        for secret in (*SECRETS, "042317"):
            assert secret not in shown
    gc.collect()
