"""A seen store in the shared portal's thread, for frameworks whose event loops come and go or are none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import TypeVar

from anyio.to_thread import run_sync

from vavasms.calls import PortalCall, Workplace, close, outwaiting, run
from vavasms.inbound.seen.base import LEASE, ClaimStatus, SeenStore
from vavasms.inbound.seen.open import LazySeen, SeenPlace
from vavasms.portal import SharedPortal, shared
from vavasms.storage.forks import forget_at_fork

T = TypeVar("T")


class PortalLease:
    """A share in a portal, from the first call on."""

    def __init__(self, portal: SharedPortal = shared) -> None:
        self._portal = portal
        self.forget()
        forget_at_fork(self)

    def forget(self) -> None:
        """Begin afresh in a forked child: the portal's thread, and who held the lock, live in the parent."""
        self._place: Workplace | None = None
        self._guard = Lock()

    def start(self, call: Callable[[], Awaitable[T]]) -> Future[T]:
        """Run something in the portal's thread, with the context of the caller."""
        return self._open().lease.start(call)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do so, and wait for the end. Raises `ConfigurationError` in that very thread."""
        place = self._open()
        place.check_thread()
        call = PortalCall(place, work)
        return run(call, outwaiting(call))

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """Run `last` in the portal, wait for its end and give the share up. May be called twice."""
        with self._guard:
            place, self._place = self._place, None
        if place is not None:
            close(place, last)

    def _open(self) -> Workplace:
        with self._guard:
            if self._place is None:
                self._place = Workplace(self._portal.lease())
            return self._place


class PortalSeenStore:
    """A store at a place, opened and used in the portal: any thread and any asyncio loop may call."""

    def __init__(self, place: SeenPlace) -> None:
        self.lease = LEASE
        self._home, self._seen = PortalLease(), LazySeen(place)

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        """Claim an id: see `SeenStore.claim`."""
        return await self._run(lambda store: store.claim(message_id, digest, owner))

    async def renew(self, message_id: str, owner: str) -> None:
        """Renew a claim: see `SeenStore.renew`."""
        await self._run(lambda store: store.renew(message_id, owner))

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        """Note that a message was handled: see `SeenStore.commit`."""
        await self._run(lambda store: store.commit(message_id, digest, owner))

    async def release(self, message_id: str, owner: str) -> None:
        """Release a claim: see `SeenStore.release`."""
        await self._run(lambda store: store.release(message_id, owner))

    async def aclose(self) -> None:
        """Close the store, if it was opened here."""
        await run_sync(self.close)

    def close(self) -> None:
        """Do so from a thread without an event loop."""
        self._home.close(self._seen.aclose)

    async def _run(self, work: Callable[[SeenStore], Awaitable[T]]) -> T:
        return await asyncio.wrap_future(self._home.start(partial(self._work, work)))

    async def _work(self, work: Callable[[SeenStore], Awaitable[T]]) -> T:
        return await work(await self._seen.get())
