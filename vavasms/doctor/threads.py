"""Work that may never end, in a thread that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

import anyio

T = TypeVar("T")

_POLL = 0.02


async def run_abandonable(work: Callable[[], T], *, patience: float) -> T:
    """Return what `work` returns in a daemon thread. Raises `TimeoutError` after `patience` seconds.

    Of any other thread, asyncio's and anyio's too, the end of the program waits for the end: what asks a name
    server or a disk would hold it up as long as the system's own patience lasts.
    """
    future = Future[T]()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001  it is raised where the result is wanted
            future.set_exception(error)

    Thread(target=run, name="vavasms-doctor", daemon=True).start()
    with anyio.fail_after(patience):
        while not future.done():  # noqa: ASYNC110  a thread of any event loop sets no event of this one
            await anyio.sleep(_POLL)
    return future.result()
