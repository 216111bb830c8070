"""What the program reads of its machine, replaced for good: to be called before any of it is imported.

Its modules bind `time.time` and others as they are loaded. Outside of a simulation each of these does as before.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random
from typing import Any, Generic, TypeVar

from tests.simulation.host import Current

T = TypeVar("T")


class OrderedSet(Generic[T]):
    """A set whose order is that of its making: anyio's go by addresses, which no seed decides."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: T) -> bool:
        return item in self._items

    def add(self, item: T) -> None:
        """Add an item."""
        self._items[item] = None

    def remove(self, item: T) -> None:
        """Remove an item that is in it."""
        del self._items[item]

    def discard(self, item: T) -> None:
        """Remove an item, if it is in it."""
        self._items.pop(item, None)


def install() -> None:
    """Replace them. Raises `RuntimeError` where it is too late."""
    if "vavasms.storage" in sys.modules:
        raise RuntimeError("vavasms was imported before: run `python -m tests.simulation`")
    time.time = _by_host(time.time, lambda host: host.clock.time())
    time.monotonic = _by_host(time.monotonic, lambda host: host.clock.monotonic())
    os.getpid = _by_host(os.getpid, lambda host: host.pid)
    _replace_threads()
    _replace_sockets()
    _replace_files()


def seed_secrets(draw: Random) -> None:
    """Draw tokens and waits from this from now on."""
    # All of `secrets` goes by it.
    secrets._sysrand = draw  # type: ignore[attr-defined]
    random.seed(draw.random())


def _by_host(real: Callable[[], T], simulated: Callable[[Any], T]) -> Callable[[], T]:
    def read() -> T:
        host = Current.host
        return real() if host is None else simulated(host)

    return read


def _replace_threads() -> None:
    """Make threads work in the loop, and give the sets of anyio an order."""
    from anyio._backends import _asyncio as backend

    async def run(
        cls: Any, work: Any, args: Any, abandon_on_cancel: bool = False, limiter: Any = None
    ) -> Any:
        host = Current.host
        if host is None:
            return work(*args)
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            with backend.CancelScope(shield=not abandon_on_cancel):
                return await host.run_job(work, args)

    backend.AsyncIOBackend.run_sync_in_worker_thread = classmethod(run)  # type: ignore[assignment]
    backend.set = OrderedSet  # type: ignore[attr-defined]


def _replace_sockets() -> None:
    from httpcore._backends import anyio as backend

    from vavasms.transport import connection

    def is_readable(found: Any) -> bool:
        return bool(found.is_readable() if hasattr(found, "is_readable") else real(found))

    real = backend.is_socket_readable  # type: ignore[attr-defined]
    backend.is_socket_readable = is_readable  # type: ignore[attr-defined,assignment]
    watch = connection.watch
    connection.watch = lambda sock: sock.is_readable if hasattr(sock, "is_readable") else watch(sock)


def _replace_files() -> None:
    import filelock

    from tests.simulation.storage import SimulatedFileLock, connect, write_file
    from vavasms.ledger.sqlite import identity
    from vavasms.ledger.sqlite.ledger import SqliteLedger

    filelock.FileLock = SimulatedFileLock  # type: ignore[assignment]
    identity._write_durably = partial(write_file, identity._write_durably)
    SqliteLedger.open.__func__.__kwdefaults__["connect"] = connect  # type: ignore[attr-defined]
