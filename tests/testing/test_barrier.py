"""The barrier itself: what it stops, what never comes so far, and what is left open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

import httpx
import pytest
import respx

from vavasms import AsyncVavaSMS, ConfigurationError, NotSentError, Outcome, Timeouts
from vavasms.sandbox import Gateway, SandboxServer, create_app
from vavasms.transport.live_guard import REFUSED_URL, VARIABLE, Barrier, Gate, barrier

pytestmark = pytest.mark.anyio

REAL = "https://gateway.example/api"
ONE = "+2250700000101"
SENTENCE = (
    "This test would have reached the real gateway (gateway.example): use the fixture vavasms_sandbox and make "
    "the client after it, or mark the test with @pytest.mark.vavasms(real=True)."
)
BALANCE = {"code": 0, "data": {"amount": "12.5", "currency": "XOF"}}


@pytest.fixture(autouse=True)
def _is_up() -> Iterator[None]:
    before, barrier.is_up = barrier.is_up, True
    yield
    barrier.is_up = before


@pytest.fixture
def dead_end() -> Iterator[tuple[socket.socket, str]]:
    """Yield a proxy that takes connections and says nothing; a test asks whether one came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def connect(base_url: str = REAL, **settings: Any) -> AsyncVavaSMS:
    return AsyncVavaSMS("me", "word", base_url=base_url, sender_id="ACME", **settings)


async def stopped(call: Awaitable[object], outcome: Outcome | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await call
    assert str(caught.value).removesuffix(" Nothing was sent.") == SENTENCE
    assert (caught.value.outcome, caught.value.halts) == (outcome, True)
    # Taken, or the plugin would fail this test.
    assert barrier.take() == [SENTENCE]


async def test_every_kind_of_call_is_stopped_before_a_connection(dead_end: tuple[socket.socket, str]) -> None:
    listener, proxy = dead_end
    for settings in ({}, {"proxy": proxy}):
        async with connect(**settings) as sms:
            await stopped(sms.send(ONE, "x"), Outcome.NOT_SENT)
            await stopped(sms.balance(), None)
            await stopped(sms.verify_otp(ONE, "0423"), Outcome.NOT_SENT)
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_a_transport_that_was_given_is_stopped_where_it_goes_to_the_network() -> None:
    async with connect(transport=httpx.AsyncHTTPTransport()) as sms:
        await stopped(sms.send(ONE, "x"), Outcome.NOT_SENT)


@respx.mock(assert_all_mocked=True)
async def test_respx_is_not_disturbed(respx_mock: respx.MockRouter) -> None:
    respx_mock.post(f"{REAL}/v1/check/balance").respond(json=BALANCE)
    async with connect() as sms:
        assert str((await sms.balance()).amount) == "12.5"
    assert barrier.take() == []


@respx.mock
async def test_what_respx_lets_through_was_not_sent(respx_mock: respx.MockRouter) -> None:
    # It has read the body by then, which elsewhere means that nobody knows.
    respx_mock.post(f"{REAL}/v1/text/single").pass_through()
    async with connect() as sms:
        await stopped(sms.send(ONE, "x"), Outcome.NOT_SENT)


async def test_a_transport_of_no_network_is_not_disturbed() -> None:
    mock = httpx.MockTransport(lambda _request: httpx.Response(200, json=BALANCE))
    app = create_app(Gateway(username="me", password="word"), allowed_hosts=["gateway.example"])
    for transport in (mock, httpx.ASGITransport(app=app)):
        async with connect(transport=transport) as sms:
            assert (await sms.balance()).currency == "XOF"
    assert barrier.take() == []


async def test_loopback_and_names_of_nobody_are_no_gateway() -> None:
    with SandboxServer(Gateway(username="me", password="word")) as server:
        async with connect(server.url) as sms:
            assert len((await sms.send(ONE, "x")).message_ids) == 1
    async with connect("https://gateway.INVALID/api", timeouts=Timeouts(connect=0.1)) as sms:
        with pytest.raises(NotSentError):
            await sms.send(ONE, "x")
    assert barrier.take() == []


@pytest.mark.parametrize("url", ["http://localhost:1/api", "https://[::1]/api", "https://vavasms.invalid"])
def test_the_gate_knows_them_by_their_names(url: str) -> None:
    assert not Gate(url).is_shut
    assert Gate(url).extensions == {}


@pytest.mark.parametrize("is_up", [True, False])
async def test_the_base_url_of_a_run_of_tests_is_never_open(is_up: bool) -> None:
    barrier.is_up = is_up
    async with connect(REFUSED_URL) as sms:
        with pytest.raises(ConfigurationError, match="reached the real gateway: use the fixture"):
            await sms.send(ONE, "x")
    assert len(barrier.take()) == 1


def test_without_the_barrier_the_way_is_open() -> None:
    barrier.is_up = False
    assert not Gate(REAL).is_shut


def test_a_process_finds_it_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not Barrier().is_up
    monkeypatch.setenv(VARIABLE, "1")
    assert Barrier().is_up
    command = [sys.executable, "-m", "vavasms", "balance"]
    account = {"VAVASMS_USERNAME": "me", "VAVASMS_PASSWORD": "word", "VAVASMS_BASE_URL": REAL}
    done = subprocess.run(command, env=os.environ | account, capture_output=True, text=True, check=False)
    assert SENTENCE in " ".join(done.stderr.split())
