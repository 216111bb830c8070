"""Let exceptions out without the frames they came through.

The locals of those frames hold numbers and texts, and where a call was cancelled the transport's hold
the password; tracebacks with locals are what error trackers collect. Our own errors say what happened
without their frames. A foreign exception (a fault of the caller's iterable, of our own code) keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from vavasms.errors import VavaSMSError

P = ParamSpec("P")
T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)


def strip(error: ErrorT) -> ErrorT:
    """Take the frames and the exceptions behind it from an error."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def sealed(method: Callable[P, T]) -> Callable[P, T]:
    """Seal a plain function."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except BaseException as error:
            if not _is_to_be_stripped(error):
                raise
            escaped = strip(error)
        # This frame is in the traceback too.
        del args, kwargs
        raise escaped

    return call


def sealed_async(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Seal a coroutine function."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except BaseException as error:
            if not _is_to_be_stripped(error):
                raise
            escaped = strip(error)
        del args, kwargs
        raise escaped

    return call


def _is_to_be_stripped(error: BaseException) -> bool:
    # Cancellations and interrupts are no `Exception`.
    return isinstance(error, VavaSMSError) or not isinstance(error, Exception)
