"""A bounded set of connection pools, each lent to one request at a time.

One large pool looks at every connection at each request: at 64 connections that is eight times the
work of the request itself. So every place has a small pool of its own, taken by one request at a time.
The pool used last is taken first: its connection is the one most likely to be still open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

PoolT = TypeVar("PoolT")


class Pools(Generic[PoolT]):
    """Lend at most `limit` pools, made when first needed."""

    def __init__(
        self, make: Callable[[], PoolT], close: Callable[[PoolT], Awaitable[None]], limit: int
    ) -> None:
        self._make = make
        self._close = close
        self._idle: list[PoolT] = []
        self._places = anyio.Semaphore(limit, fast_acquire=True)

    async def take(self) -> PoolT:
        """Wait for a free pool, first come first served.

        Without a deadline: whoever holds one has a deadline of its own, and a time-out here would call
        `not_sent` what one's own calls merely kept waiting.
        """
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            await self._places.acquire()
        try:
            return self._idle.pop() if self._idle else self._make()
        except BaseException:
            self._places.release()
            raise

    def give_back(self, pool: PoolT) -> None:
        """Return a pool that is fit for the next request."""
        self._idle.append(pool)
        self._places.release()

    async def discard(self, pool: PoolT) -> None:
        """Close a pool whose request failed, and free its place.

        httpcore can leave a connection occupied for ever when a request is cancelled at the wrong
        instant; a pool that saw a failure is not worth the doubt.
        """
        self._places.release()
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await self._close(pool)

    async def aclose(self) -> None:
        """Close every idle pool."""
        while self._idle:
            await self._close(self._idle.pop())
