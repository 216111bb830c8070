"""Seen stores by their place: a path, a PostgreSQL URL, or none; opened when first needed."""

from __future__ import annotations

from pathlib import Path

from anyio import Lock

from vavasms.config import Secret
from vavasms.forks import forget_at_fork
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.storage.location import Place, read_place

#: A store that is open, or the place of one: a file's path or a PostgreSQL URL. None is the memory.
SeenPlace = SeenStore | str | Path | None


async def open_seen(place: str | Path) -> SeenStore:
    """Open the store at a path or a PostgreSQL URL: see the `open` of each.

    Raises `ConfigurationError` for the URL of another database.
    """
    return await _open(read_place(str(place), "seen"))


async def _open(place: Place) -> SeenStore:
    # The libraries behind a store are imported with it.
    if isinstance(place, Secret):
        from vavasms.inbound.seen.postgres import PostgresSeenStore

        return await PostgresSeenStore.open(place.reveal())
    from vavasms.inbound.seen.sqlite import SqliteSeenStore

    return await SqliteSeenStore.open(place)


class LazySeen:
    """A seen store that is opened when it is first asked for. For one event loop.

    Raises `ConfigurationError` for the URL of another database.
    """

    def __init__(self, place: SeenPlace) -> None:
        self._store: SeenStore | None = None
        self._place: Place | None = None
        if isinstance(place, str | Path):
            self._place = read_place(str(place), "seen")
        else:
            self._store = MemorySeenStore() if place is None else place
        self._opening = Lock()
        #: The parent's: it must be neither used nor closed here.
        self._lost: list[SeenStore] = []
        forget_at_fork(self, LazySeen._forget)

    def _forget(self) -> None:
        """Begin afresh in a forked child; a store that was opened elsewhere refuses by itself."""
        self._opening = Lock()
        if self._place is not None and self._store is not None:
            self._lost.append(self._store)
            self._store = None

    async def get(self) -> SeenStore:
        """Return the store. Raises what opening it raises; the next call tries again."""
        if self._store is not None:
            # Not by the lock: where each request has an event loop of its own they would wait for ever.
            return self._store
        async with self._opening:
            if self._store is None:
                assert self._place is not None
                self._store = await _open(self._place)
            return self._store

    async def aclose(self) -> None:
        """Close the store, if it was opened here; asked for again it is opened again."""
        if self._place is not None and self._store is not None:
            store, self._store = self._store, None
            await store.aclose()
