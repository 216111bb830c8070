"""The thread with an asyncio event loop that all who wait without await share."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from anyio.from_thread import BlockingPortal, BlockingPortalProvider
from attrs import frozen

T = TypeVar("T")


@frozen
class Lease:
    """A share in the portal, until it is given up."""

    portal: BlockingPortal
    _provider: BlockingPortalProvider
    _loop: asyncio.AbstractEventLoop

    def start(self, call: Callable[[], Awaitable[T]]) -> Future[T]:
        """Run something in the portal's thread; to cancel the future cancels it.

        Not by `start_task_soon`: there the thread that asks is woken once for the start and once for the end.
        """
        return asyncio.run_coroutine_threadsafe(_run(call), self._loop)

    def give_up(self) -> None:
        """Stop the portal, if this was the last share."""
        self._provider.__exit__(None, None, None)


async def _run(call: Callable[[], Awaitable[T]]) -> T:
    # The caller's context comes along, for what traces calls; and with it the mark of a trio that it runs in.
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        sniffio.current_async_library_cvar.set("asyncio")
    return await call()


class SharedPortal:
    """The one portal of the process, started with the first lease and stopped after the last.

    Always asyncio: a trio portal inside trio deadlocks.
    """

    def __init__(self) -> None:
        self.provider = BlockingPortalProvider("asyncio")
        self._portal: BlockingPortal | None = None

    def lease(self) -> Lease:
        """Take a share in it."""
        portal = self._portal = self.provider.__enter__()
        return Lease(portal, self.provider, portal.call(asyncio.get_running_loop))

    def forget(self) -> None:
        """Start afresh in a forked child: its copy of the portal has lost its thread."""
        if self._portal is not None:
            # Stopped, as far as the copy can be: its clean-up would wait for the lost thread for ever.
            with suppress(StopIteration, RuntimeError):
                self._portal.stop().send(None)
        self.provider, self._portal = BlockingPortalProvider("asyncio"), None


shared = SharedPortal()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.forget)
