"""Waits in an event loop for what changes in any thread, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token
from starlette.types import Receive

from vavasms.sandbox.signals import Signal

T = TypeVar("T")


class SignalWaiter:
    """The waiter for signals, none of which is lost between waits; made and used in one event loop."""

    def __init__(self) -> None:
        token: Any = current_token().native_token
        self._call_soon: Callable[[Callable[[], None]], object] = (
            token.call_soon_threadsafe if hasattr(token, "call_soon_threadsafe") else token.run_sync_soon
        )
        self._event = anyio.Event()
        self._notified = False

    def notify(self) -> None:
        """Wake the loop, from any thread; many before it looks are one."""
        if self._notified:
            return
        self._notified = True
        try:
            self._call_soon(lambda: self._event.set())
        except RuntimeError:
            return  # the loop has ended: nobody listens

    async def wait(self) -> None:
        """Wait for a signal since the last wait."""
        await self._event.wait()
        self._event = anyio.Event()
        # A signal that comes between these lines is noticed all the same: the state is read after both.
        self._notified = False


@contextmanager
def subscribed(*signals: Signal) -> Iterator[SignalWaiter]:
    """Listen to the signals while the block runs."""
    waiter = SignalWaiter()
    for signal in signals:
        signal.add(waiter.notify)
    try:
        yield waiter
    finally:
        for signal in signals:
            signal.remove(waiter.notify)


async def while_connected(receive: Receive, work: Callable[[], Awaitable[T]]) -> T | None:
    """Do `work` as long as the client is there; None: it left."""
    results: list[T] = []

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        results.append(await work())
        group.cancel_scope.cancel()
    return results[0] if results else None
