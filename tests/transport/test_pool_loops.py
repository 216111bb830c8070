"""One client over several event loops: a connection of one loop is never used in another."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
import trio
from anyio import to_thread

from vavasms import AsyncVavaSMS, ConfigurationError, Outcome
from vavasms.sandbox import SandboxServer
from vavasms.transport.pool import PerLoop

# What a loop leaves open when it ends is Python's to close, and it says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def client(sandbox: SandboxServer, **settings: Any) -> AsyncVavaSMS:
    gateway = sandbox.gateway
    options = {"sender_id": "ACME", "base_url": sandbox.url, "trust_env": False, **settings}
    return AsyncVavaSMS(gateway.username, gateway.password, **options)


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """Collect what is left behind before the next test."""
    yield
    gc.collect()


@pytest.fixture
def numbers() -> Iterator[str]:
    return (f"2250757{number:06d}" for number in range(1000))


def test_a_script_that_runs_one_loop_after_the_other_has_every_send_accepted(
    sandbox: SandboxServer, numbers: Iterator[str]
) -> None:
    sms = client(sandbox)

    async def main() -> None:
        await sms.send(next(numbers), "Bonjour")
        await sms.send(next(numbers), "Bonjour")

    for _ in range(20):
        asyncio.run(main())
    asyncio.run(sms.aclose())
    assert list(sandbox.gateway.journal.counts().values()) == [1] * 40


def test_a_bulk_send_in_each_of_several_loops_leaves_nothing_unknown(
    sandbox: SandboxServer, numbers: Iterator[str]
) -> None:
    sms = client(sandbox, max_connections=4)
    for _ in range(5):
        report = asyncio.run(sms.send_bulk([next(numbers) for _ in range(20)], "Bonjour", batch_size=2))
        assert (report.accepted, report.unknown) == (20, 0)
    assert len(sandbox.gateway.journal.counts()) == 100


def test_threads_with_a_loop_each_share_a_client(sandbox: SandboxServer, numbers: Iterator[str]) -> None:
    sms, problems, barrier = client(sandbox), list[BaseException](), threading.Barrier(4)

    async def main(mine: list[str]) -> None:
        barrier.wait(10)
        for number in mine:
            await sms.send(number, "Bonjour")

    def work(mine: list[str]) -> None:
        try:
            asyncio.run(main(mine))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=([next(numbers) for _ in range(10)],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    assert list(sandbox.gateway.journal.counts().values()) == [1] * 40


@pytest.mark.parametrize("trio_first", [False, True])
def test_under_another_library_nothing_is_sent(sandbox: SandboxServer, trio_first: bool) -> None:
    sms = client(sandbox)

    async def main() -> None:
        await sms.send("2250757000001", "Bonjour")

    def in_asyncio() -> None:
        asyncio.run(main())

    def in_trio() -> None:
        trio.run(main)

    first, second = (in_trio, in_asyncio) if trio_first else (in_asyncio, in_trio)
    first()
    with pytest.raises(ConfigurationError, match="another async library") as caught:
        second()
    assert caught.value.outcome is Outcome.NOT_SENT
    first()
    assert sandbox.gateway.journal.counts() == {"2250757000001": 2}


def test_trio_runs_one_loop_after_the_other_too(sandbox: SandboxServer) -> None:
    sms = client(sandbox)
    for _ in range(3):
        trio.run(sms.send, "2250757000001", "Bonjour")
    assert sandbox.gateway.journal.counts() == {"2250757000001": 3}


def test_a_transport_of_httpx_that_was_given_stays_with_its_loop(sandbox: SandboxServer) -> None:
    sms = client(sandbox, transport=httpx.AsyncHTTPTransport())

    async def main() -> None:
        await sms.send("2250757000001", "Bonjour")

    asyncio.run(main())
    with pytest.raises(ConfigurationError, match="another event loop") as caught:
        asyncio.run(main())
    assert caught.value.outcome is Outcome.NOT_SENT
    assert sandbox.gateway.journal.counts() == {"2250757000001": 1}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_a_running_loop_has_of_its_own_is_not_taken_by_another(backend: str) -> None:
    own: PerLoop[object] = PerLoop(object)
    begun, go = threading.Event(), threading.Event()
    found: list[object] = []

    async def first() -> None:
        found.append(own.get())
        begun.set()
        assert await to_thread.run_sync(go.wait, 10)
        found.append(own.current())

    async def other() -> object:
        return own.get()

    thread = threading.Thread(target=anyio.run, args=(first,), kwargs={"backend": backend})
    thread.start()
    assert begun.wait(10)
    second = anyio.run(other, backend=backend)
    go.set()
    thread.join()
    assert found[0] is found[1] is not second
    # Of loops that have ended nothing is kept.
    latest = anyio.run(other, backend=backend)
    assert [*own._by_loop.values()] == [latest]
