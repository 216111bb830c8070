"""A seen store in the shared portal's thread, for frameworks whose event loops come and go or are none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import TypeVar

from anyio.to_thread import run_sync

from vavasms.calls import CallGroup, PortalCall, close, finish_steps, run
from vavasms.forks import forget_at_fork
from vavasms.inbound.seen.base import LEASE, ClaimStatus, SeenStore
from vavasms.inbound.seen.open import LazySeen, SeenPlace
from vavasms.portal import SharedPortal, shared

T = TypeVar("T")


class PortalLease:
    """A share in a portal, from the first call on."""

    def __init__(self, portal: SharedPortal = shared) -> None:
        self._portal = portal
        self._forget()
        forget_at_fork(self, PortalLease._forget)

    def _forget(self) -> None:
        """Begin afresh in a forked child: the portal's thread, and who held the lock, live in the parent."""
        self._group: CallGroup | None = None
        self._guard = Lock()

    def start(self, call: Callable[[], Awaitable[T]]) -> Future[T]:
        """Run something in the portal's thread, with the context of the caller."""
        return self._open().lease.start(call)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do so, and wait for the end. Raises `ConfigurationError` in that very thread."""
        group = self._open()
        group.check_thread()
        call = PortalCall(group, work)
        return run(call, finish_steps(call))

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """Run `last` in the portal, wait for its end and give the share up. May be called twice."""
        with self._guard:
            group, self._group = self._group, None
        if group is not None:
            close(group, last)

    def _open(self) -> CallGroup:
        with self._guard:
            if self._group is None:
                self._group = CallGroup(self._portal.lease())
            return self._group


class PortalSeenStore(SeenStore):
    """A store at a place, opened and used in the portal: any thread and any asyncio loop may call."""

    def __init__(self, place: SeenPlace) -> None:
        self.lease = LEASE
        self._portal, self._seen = PortalLease(), LazySeen(place)

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        return await self._run(lambda store: store.claim(message_id, digest, owner))

    async def renew(self, message_id: str, owner: str) -> None:
        await self._run(lambda store: store.renew(message_id, owner))

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        await self._run(lambda store: store.commit(message_id, digest, owner))

    async def release(self, message_id: str, owner: str) -> None:
        await self._run(lambda store: store.release(message_id, owner))

    async def aclose(self) -> None:
        """Close the store, if it was opened here."""
        await run_sync(self.close)

    def close(self) -> None:
        """Do so from a thread without an event loop."""
        self._portal.close(self._seen.aclose)

    async def _run(self, work: Callable[[SeenStore], Awaitable[T]]) -> T:
        return await asyncio.wrap_future(self._portal.start(partial(self._work, work)))

    async def _work(self, work: Callable[[SeenStore], Awaitable[T]]) -> T:
        return await work(await self._seen.get())
