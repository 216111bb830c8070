"""A bounded set of connection pools, each lent to one request at a time.

One large pool looks at every connection at each request: at 64 connections that is eight times the
work of the request itself. So every slot has a small pool of its own, acquired by one request at a time.
The pool used last is acquired first: its connection is the one most likely to be still open.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio

from vavasms.event_loops import current_loop, has_ended
from vavasms.i18n import gettext_noop as N_

#: Seconds an idle connection is kept. Apache and httpx both say 5: reusing a connection at the very
#: instant the server closes it makes an unknown outcome, 2 never did.
KEEPALIVE_EXPIRY = 2.0

PoolT = TypeVar("PoolT")


class Users:
    """Those who use something that is not to be closed under them, in one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._none: anyio.Event | None = None

    def enter(self) -> None:
        """Count one more."""
        self._count += 1

    def leave(self) -> None:
        """Count one less."""
        self._count -= 1
        if not self._count and self._none is not None:
            self._none.set()
            self._none = None

    async def wait_for_none(self) -> None:
        """Wait until nobody uses it."""
        while self._count:
            self._none = self._none or anyio.Event()
            await self._none.wait()


class Pools(Generic[PoolT]):
    """At most `limit` connection pools, made when first needed."""

    def __init__(
        self, make: Callable[[], PoolT], close: Callable[[PoolT], Awaitable[None]], limit: int
    ) -> None:
        self._make = make
        self._close = close
        self._idle: list[PoolT] = []
        self._users = Users()
        self._slots = anyio.Semaphore(limit, fast_acquire=True)

    async def acquire(self) -> PoolT:
        """Wait for a free pool, first come first served.

        Without a deadline: whoever holds one has a deadline of its own, and a time-out here would call
        `not_sent` what one's own calls merely kept waiting.
        """
        self._users.enter()
        try:
            try:
                self._slots.acquire_nowait()
            except anyio.WouldBlock:
                await self._slots.acquire()
            try:
                return self._idle.pop() if self._idle else self._make()
            except BaseException:
                self._slots.release()
                raise
        except BaseException:
            self._users.leave()
            raise

    def release(self, pool: PoolT) -> None:
        """Return a pool that is fit for the next request."""
        self._idle.append(pool)
        self._slots.release()
        self._users.leave()

    async def discard(self, pool: PoolT) -> None:
        """Close a pool whose request failed, and free its slot.

        httpcore can leave a connection occupied for ever when a request is cancelled at the wrong
        instant; a pool that saw a failure is not worth the doubt.
        """
        self._slots.release()
        self._users.leave()
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await self._close(pool)

    async def aclose(self) -> None:
        """Wait for the requests under way, which have deadlines of their own, and close every pool.

        Cancelled, it waits no more: what is under way goes on, and whoever has its pool closes it.
        """
        try:
            await self._users.wait_for_none()
        finally:
            with anyio.CancelScope(shield=True):
                while self._idle:
                    await self._close(self._idle.pop())


T = TypeVar("T")

_LIBRARY = N_("The client was used under another async library (asyncio or trio) before: make one for each.")
_BOUND = N_("The client's transport belongs to another event loop: make a client for each.")


class PerLoop(Generic[T]):
    """One of something for each event loop that asks for it.

    A script that calls `asyncio.run` again, `async_to_sync` and Celery use one client in one loop after the
    other, and threads in several at a time: a connection that was opened in another loop answers nobody here.
    What belongs to a loop that has ended is dropped, never closed: that would be a use of it.
    """

    def __init__(self, make: Callable[[], T], *, is_bound: bool = False) -> None:
        self._make = make
        #: There is one for all, which belongs to the first loop.
        self._is_bound = is_bound
        self._by_loop: dict[Any, T] = {}
        #: Of threads with a loop each, which come to it at once.
        self._adding = threading.Lock()
        self._library: type | None = None

    def refusal(self) -> str | None:
        """Return why there can be none in this loop, in English; None where there can."""
        token = anyio.lowlevel.current_token()
        if self._library not in (None, token.backend_class):
            return _LIBRARY
        if self._is_bound and self._library is not None and token.native_token not in self._by_loop:
            return _BOUND
        return None

    def current(self) -> T | None:
        """Return this loop's own; None where it never asked for one."""
        return self._by_loop.get(current_loop())

    def get(self) -> T:
        """Return this loop's own, made when it is first asked for. To be used where nothing refuses it."""
        token = anyio.lowlevel.current_token()
        own = self._by_loop.get(token.native_token)
        if own is None:
            with self._adding:
                self._by_loop = {loop: value for loop, value in self._by_loop.items() if not has_ended(loop)}
                self._library = token.backend_class
                own = self._by_loop[token.native_token] = self._make()
        return own
