"""Wait in an event loop for what changes in any thread, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token
from starlette.types import Receive

from vavasms.sandbox.signals import Signal

__all__ = ["SignalWaiter", "hearing", "unless_gone"]

T = TypeVar("T")


class SignalWaiter:
    """Hold that a bell rang until it is waited for; made and waited for in one event loop."""

    def __init__(self) -> None:
        token: Any = current_token().native_token
        self._soon: Callable[[Callable[[], None]], object] = (
            token.call_soon_threadsafe if hasattr(token, "call_soon_threadsafe") else token.run_sync_soon
        )
        self._rang = anyio.Event()
        self._told = False

    def ring(self) -> None:
        """Wake the loop, from any thread; many rings before it looks are one."""
        if self._told:
            return
        self._told = True
        try:
            self._soon(lambda: self._rang.set())
        except RuntimeError:
            return  # the loop has ended: nobody listens

    async def wait(self) -> None:
        """Wait for a ring since the last wait."""
        await self._rang.wait()
        self._rang = anyio.Event()
        # Whoever rings between these lines is heard all the same: the state is read after both.
        self._told = False


@contextmanager
def hearing(*bells: Signal) -> Iterator[SignalWaiter]:
    """Listen to the bells while the block runs."""
    ear = SignalWaiter()
    for bell in bells:
        bell.add(ear.ring)
    try:
        yield ear
    finally:
        for bell in bells:
            bell.remove(ear.ring)


async def unless_gone(receive: Receive, work: Callable[[], Awaitable[T]]) -> T | None:
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
