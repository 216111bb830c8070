"""Calls of the user's handlers, async or plain, whose failures are told without their words."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from anyio.to_thread import run_sync

from vavasms.models import InboundMessage

#: Takes a message; returning means that it is handled, raising that it is not. A plain one runs in a thread.
Handler = Callable[[InboundMessage], object]
#: Calls such a handler and waits for its end.
HandlerCall = Callable[[Handler, InboundMessage], Awaitable[None]]


class HandlerFailedError(Exception):
    """A user's handler has failed; the message holds no number and no text, as the handler's own may."""


async def call(handler: Handler, message: InboundMessage) -> None:
    """Await an async handler, run a plain one in a worker thread."""
    if is_async(handler):
        result = handler(message)
    else:
        # In a list: trio takes an awaitable out of a thread for a mistake.
        (result,) = await run_sync(lambda: [handler(message)])
    if inspect.isawaitable(result):
        await result


def is_async(handler: Handler) -> bool:
    """Return whether a call gives an awaitable, as far as can be seen beforehand."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  its kind is asked for, not whether there is one
    )


def describe(error: BaseException) -> str:
    """Return what kind of error it was and where it arose; its own words may hold a number or a text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
