"""A seen store that lives and dies with the process: for tests, and where a copy does no harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from vavasms.inbound.seen.base import DAY, KEEP_DAYS, LEASE, ClaimStatus, ContextSeenStore, compare


class MemorySeenStore(ContextSeenStore):
    """A store in memory of the latest `limit` ids, for `keep_days` days; an async context manager.

    A restart forgets all, and other processes know nothing of it. Any number of threads and event loops may
    call.
    """

    def __init__(
        self,
        *,
        limit: int = 100_000,
        keep_days: float = KEEP_DAYS,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease = lease
        self._limit, self._keep, self._clock = limit, keep_days * DAY, clock
        self._lock = Lock()
        #: In order of their time.
        self._handled: dict[str, tuple[bytes, float]] = {}
        self._claims: dict[str, tuple[str, float]] = {}

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        with self._lock:
            now = self._clock()
            self._forget(now)
            if message_id in self._handled:
                return compare(self._handled[message_id][0], digest)
            if message_id in self._claims and self._claims[message_id][1] > now:
                return ClaimStatus.BUSY
            self._claims[message_id] = (owner, now + self.lease)
            return ClaimStatus.CLAIMED

    async def renew(self, message_id: str, owner: str) -> None:
        with self._lock:
            if self._owns(message_id, owner):
                self._claims[message_id] = (owner, self._clock() + self.lease)

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        del owner
        with self._lock:
            self._claims.pop(message_id, None)
            self._handled.setdefault(message_id, (digest, self._clock()))

    async def release(self, message_id: str, owner: str) -> None:
        with self._lock:
            if self._owns(message_id, owner):
                del self._claims[message_id]

    def _owns(self, message_id: str, owner: str) -> bool:
        return self._claims.get(message_id, ("", 0.0))[0] == owner

    def _forget(self, now: float) -> None:
        while self._handled:
            oldest = next(iter(self._handled))
            if len(self._handled) <= self._limit and self._handled[oldest][1] >= now - self._keep:
                return
            del self._handled[oldest]
