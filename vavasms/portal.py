"""Threads with an asyncio event loop, in which those who cannot await have their work done.

A caller's thread may be interrupted at any instant (Ctrl-C, a job queue's time limit), so it shares no lock
with the loop: it posts callbacks, which may be repeated, and whatever is to be decided the loop decides.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import RLock, Thread, get_ident
from typing import TypeVar
from weakref import finalize

T = TypeVar("T")

#: Seconds. All waits are in slices: an endless one cannot be interrupted on Windows.
WAIT_SLICE = 1.0
#: Seconds between two checks whether a thread that ends is wanted again.
_POLL_SECONDS = 0.05


class PortalThread:
    """A daemon thread with an asyncio event loop."""

    def __init__(self, name: str) -> None:
        #: A token for each lease.
        self.leases: set[object] = set()
        self.is_stopping = self.ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._stop_wanted = False
        self._ready: SimpleQueue[None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def is_current(self) -> bool:
        """True in the thread itself."""
        return self._thread.ident == get_ident()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the thread, once it was started."""
        assert self._loop is not None
        return self._loop

    def start(self) -> None:
        """Start it and wait for its loop. Whoever is interrupted in it is to stop it."""
        self._thread.start()
        while self._loop is None and not self.ended:
            with suppress(Empty):
                self._ready.get(timeout=WAIT_SLICE)
        if self._failure is not None:
            raise self._failure

    def post(self, callback: Callable[[], object]) -> None:
        """Schedule a call in the loop; nothing happens where it has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def stop(self) -> None:
        """End the thread, from any thread."""
        self._stop_wanted = True
        self.post(self._end)

    def abandon(self) -> None:
        """Take it for ended, in a forked child; its loop is left alone, which is the parent's."""
        self._loop, self.is_stopping, self.ended = None, True, True

    def lease(self) -> Lease | None:
        """Return a new lease; None where it is about to end."""
        if self.is_stopping:
            return None
        lease = Lease(self)
        return lease if lease.acquire() else None

    def release(self, token: object) -> None:
        """Remove a lease, and end the thread if it was the last. May be repeated, from any thread."""
        self.leases.discard(token)
        self.post(self._end_unless_used)

    def join_unless_used(self) -> None:
        """Wait for the end of the thread, if nobody has a lease."""
        while self._thread.is_alive() and not self.leases and not self.is_current:
            self._thread.join(_POLL_SECONDS)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._keep_serving(runner.get_loop())
        except BaseException as error:  # noqa: BLE001  raised where it was started; a hook's exit ends no process
            self._failure = error
        finally:
            self.ended = self.is_stopping = True
            self._ready.put(None)

    def _keep_serving(self, loop: asyncio.AbstractEventLoop) -> None:
        serving = loop.create_task(self._serve())
        while not serving.done():
            # asyncio has an exit that a hook raises end the loop. The call it was raised in has it; the
            # other calls go on.
            with suppress(SystemExit, KeyboardInterrupt):
                loop.run_until_complete(serving)

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready.put(None)
        if not self._stop_wanted:
            await self._stopped.wait()

    def _end(self) -> None:
        self.is_stopping = True
        self._stopped.set()

    def _end_unless_used(self) -> None:
        # Who takes a lease looks at this after it did, so one of both sees the other.
        if self._stopped.is_set():
            return
        self.is_stopping = True
        if self.leases:
            self.is_stopping = False
        else:
            self._end()


class Lease:
    """A share in a portal's thread, until it is released or collected."""

    def __init__(self, thread: PortalThread) -> None:
        self.thread = thread
        self._token = object()
        # Whoever is interrupted while taking a lease drops it.
        self._finalizer = finalize(self, thread.release, self._token)
        self._finalizer.atexit = False

    def acquire(self) -> bool:
        """Acquire it; False where the thread is about to end."""
        self.thread.leases.add(self._token)
        if not self.thread.is_stopping:
            return True
        self.release()
        return False

    def start(self, call: Callable[[], Awaitable[T]]) -> Future[T]:
        """Run something in the portal's thread; to cancel the future cancels it.

        For those who await the future. A thread that waits is to use `vavasms.calls.PortalCall`: an interrupt
        can break what a future is made of.
        """
        return asyncio.run_coroutine_threadsafe(_await_marked(call), self.thread.loop)

    def release(self) -> None:
        """End the thread, if this was the last lease. May be repeated, and from any thread."""
        # An interrupt that comes within a finalizer is lost: no other lease needs one.
        self._finalizer.detach()
        self.thread.release(self._token)


async def _await_marked(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call as what it is, asyncio's."""
    mark_asyncio()
    return await call()


def mark_asyncio() -> None:
    """Mark this task as asyncio's."""
    # The caller's context comes along, for what traces calls; and with it the mark of a trio that it runs in.
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        sniffio.current_async_library_cvar.set("asyncio")


class SharedPortal:
    """A thread that is started with the first lease and stopped after the last.

    Always asyncio: a trio portal inside trio deadlocks.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: PortalThread | None = None
        # Reentrant: a signal handler may ask for a lease in the middle of this.
        self._guard = RLock()
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
            os.register_at_fork(after_in_child=self._forget)

    def lease(self) -> Lease:
        """Return a new lease."""
        # No loop ever waits for this lock.
        with self._guard:
            lease = None if self._thread is None else self._thread.lease()
            return self._start() if lease is None else lease

    def _start(self) -> Lease:
        thread = PortalThread(self._name)
        lease = Lease(thread)
        lease.acquire()
        try:
            thread.start()
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return lease

    def _forget(self) -> None:
        """Start afresh in a forked child: its copy of the thread runs nowhere."""
        if self._thread is not None:
            self._thread.abandon()
        self._guard, self._thread = RLock(), None


#: Where all clients do their work.
shared = SharedPortal("vavasms-portal")
#: Where handlers run whose framework has no loop: not where clients work, as they may use one.
handlers = SharedPortal("vavasms-handlers")
