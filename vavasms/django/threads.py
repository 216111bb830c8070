"""Threads for what may wait for the project's own database, which may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

#: The name of such a thread.
THREAD = "vavasms-django"


async def run_in_thread(work: Callable[[], T]) -> T:
    """Return what `work` does in a thread of its own, whose connections are closed at its end.

    A cancellation leaves it behind: nothing else waits for it, not even the end of the process. The threads
    of asgiref and of asyncio are shared, and both wait for theirs.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=copy_context().run, args=(_run, work, future), name=THREAD, daemon=True).start()
    return await asyncio.wrap_future(future)


def _run(work: Callable[[], T], future: Future[T]) -> None:
    try:
        try:
            result = work()
        finally:
            connections.close_all()
    except BaseException as error:  # noqa: BLE001  raised where it is waited for
        future.set_exception(error)
    else:
        future.set_result(result)
