"""Connections: how many, how long, and what a cancelled or closed one leaves behind."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from vavasms import (
    AsyncVavaSMS,
    CallInfo,
    ConfigurationError,
    Msisdn,
    Outcome,
    Timeouts,
    VavaSMSError,
)
from vavasms.config import load_settings
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.transport.http import Attempt, HttpTransport
from vavasms.wire.requests import draft_text

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_collections")]

ONE = "2250759123456"
TEXT = "sentinel-texte"
#: Instants at which a call is cancelled, the sooner the closer to each other.
STEPS = 40


def stall(seconds: float = 60) -> dict[Fault, float]:
    return {Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=seconds): 1}


def connect(base_url: str, **settings: Any) -> AsyncVavaSMS:
    return AsyncVavaSMS(
        "sandbox@example.com", "sandbox", sender_id="ACME", base_url=base_url, trust_env=False, **settings
    )


def numbers(count: int, first: int) -> list[str]:
    return [f"2250757{number:06d}" for number in range(first, first + count)]


class Count:
    def __init__(self) -> None:
        self.posts = 0

    def __call__(self, _: CallInfo) -> None:
        self.posts += 1


async def accepted(sandbox: SandboxServer, entries: int) -> None:
    assert await anyio.to_thread.run_sync(sandbox.gateway.journal.wait_for, entries)


async def nothing_open(sandbox: SandboxServer) -> None:
    gc.collect()
    with anyio.fail_after(30):
        while sandbox.connections:
            await anyio.sleep(0.01)


async def test_waiting_for_a_place_never_times_out_while_ones_own_calls_hold_them(
    sandbox: SandboxServer,
) -> None:
    # Slower than the pool's time-out, and more calls than places: as several bulk sends on one client are.
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.1): 1.0})
    settings = {"max_connections": 2, "timeouts": Timeouts(pool=0.01)}
    async with connect(sandbox.url, **settings) as sms, anyio.create_task_group() as tasks:
        for first in (0, 20, 40):
            tasks.start_soon(partial(sms.send_bulk, numbers(8, first), TEXT, batch_size=1, concurrency=8))
        for _ in range(4):
            tasks.start_soon(sms.balance)
    assert sandbox.gateway.journal.counts() == {
        number: 1 for first in (0, 20, 40) for number in numbers(8, first)
    }


async def test_calls_wait_for_a_place_and_all_succeed(sandbox: SandboxServer) -> None:
    async with connect(sandbox.url, max_connections=2) as sms:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(sms.send, ONE, TEXT)
        assert sandbox.connections <= 2
    assert sandbox.gateway.journal.accepted_count(ONE) == 20


async def test_fifty_cancelled_sends_give_their_places_back_and_their_connections_up(
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.set_rates(stall())
    async with connect(sandbox.url, max_connections=2) as sms:
        for number in range(1, 26):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sms.send, ONE, TEXT)
                tasks.start_soon(sms.send, ONE, TEXT)
                await accepted(sandbox, 2 * number)
                tasks.cancel_scope.cancel()
        await nothing_open(sandbox)
        sandbox.faults.clear()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(sms.send, ONE, TEXT)
        assert sandbox.connections <= 2
    # Each once: nothing was repeated on its own.
    assert sandbox.gateway.journal.accepted_count(ONE) == 70


@pytest.mark.parametrize("backend", ["httpx", "one pool for all"])
async def test_a_cancellation_at_any_instant_tells_the_truth_about_its_send(
    backend: str, sandbox: SandboxServer
) -> None:
    settings = load_settings("sandbox@example.com", "sandbox", base_url=sandbox.url)
    custom = None if backend == "httpx" else httpx.AsyncHTTPTransport(retries=0)
    transport = HttpTransport(settings, max_connections=2, trust_env=False, transport=custom)
    draft = draft_text(TEXT, "ACME")
    attempts: dict[str, Attempt] = {}
    for step in range(STEPS):
        number = f"22507591{step:05d}"
        attempts[number] = Attempt()
        request = draft.address((Msisdn(number),))
        with anyio.move_on_after((step / STEPS) ** 2 * 0.05):
            await transport.exchange(request, attempts[number])
    with anyio.fail_after(30):
        await transport.exchange(draft.address((Msisdn(ONE),)))
    await transport.aclose()
    await nothing_open(sandbox)
    counts = sandbox.gateway.journal.counts()
    outcomes = {attempt.outcome for attempt in attempts.values()}
    assert outcomes == {Outcome.NOT_SENT, Outcome.UNKNOWN}
    for number, attempt in attempts.items():
        assert counts.get(number, 0) <= (attempt.outcome is Outcome.UNKNOWN)


async def test_a_connection_that_the_server_closed_meanwhile_makes_no_unknown(sandbox: SandboxServer) -> None:
    async with connect(sandbox.url) as sms:
        for _ in range(20):
            await sms.send(ONE, TEXT)
            # The second waits until the first has closed the sockets.
            await anyio.to_thread.run_sync(sandbox.drop_connections)
            await anyio.to_thread.run_sync(sandbox.drop_connections)
    assert sandbox.gateway.journal.accepted_count(ONE) == 20


async def test_a_client_closed_while_a_call_is_under_way_leaves_nothing_open(sandbox: SandboxServer) -> None:
    sandbox.faults.set_rates(stall(0.3))
    sms = connect(sandbox.url)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sms.send, ONE, TEXT)
        await accepted(sandbox, 1)
        await sms.aclose()
    # The call under way has come to its end, whatever it is; no other begins.
    await nothing_open(sandbox)
    with pytest.raises(ConfigurationError, match="closed"):
        await sms.balance()
    assert sandbox.gateway.journal.accepted_count(ONE) == 1


async def test_a_call_waiting_for_a_place_when_the_client_closes_sends_nothing(
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.set_rates(stall(0.2))
    sms = connect(sandbox.url, max_connections=1)
    errors: list[VavaSMSError] = []

    async def wait() -> None:
        try:
            await sms.send(ONE, TEXT)
        except VavaSMSError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sms.send, "2250759123457", TEXT)
        await accepted(sandbox, 1)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await sms.aclose()
    assert [(error.outcome, error.error_code) for error in errors] == [(Outcome.NOT_SENT, "config.closed")]
    assert sandbox.gateway.journal.accepted_count(ONE) == 0
    await nothing_open(sandbox)


async def test_a_block_that_is_cancelled_leaves_nothing_open(sandbox: SandboxServer) -> None:
    with anyio.CancelScope() as scope:
        async with connect(sandbox.url) as sms:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(sms.balance)
            scope.cancel()
            await anyio.sleep_forever()
    await nothing_open(sandbox)
