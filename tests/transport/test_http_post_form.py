"""The bare POST of what plays the platform: the status is all it wants, and its time is bounded."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from vavasms.errors import OutcomeUnknownError
from vavasms.transport.http import post_form

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@asynccontextmanager
async def answering(answer: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Yield the URL of a server that reads a request and answers so."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            try:
                await answer(stream)
            except anyio.BrokenResourceError:
                pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/token"
        tasks.cancel_scope.cancel()


async def drip(stream: SocketStream) -> None:
    """Send a byte now and then, for ever."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
        await stream.send(bytes([byte]))
        await anyio.sleep(0.05)


async def test_an_answer_that_drips_ends_with_the_time() -> None:
    began = time.monotonic()
    async with answering(drip) as url:
        with pytest.raises(OutcomeUnknownError, match="TimeoutError"):
            await post_form(url, {"form": "x"}, timeout=0.5)
    assert time.monotonic() - began < 5


async def test_a_body_that_never_ends_or_is_cut_hides_no_status() -> None:
    async def stall(stream: SocketStream) -> None:
        await stream.send(HEAD + b"x")
        await anyio.sleep_forever()

    async def cut(stream: SocketStream) -> None:
        await stream.send(HEAD + b"x")

    for answer in (stall, cut):
        async with answering(answer) as url:
            with anyio.fail_after(10):
                assert await post_form(url, {"form": "x"}, timeout=5) == 200
