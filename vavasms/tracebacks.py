"""Exceptions without the frames that they came through.

The locals of those frames hold numbers and texts, and where a call was cancelled the transport's hold
the password; tracebacks with locals are what error trackers collect. Our own errors say what happened
without their frames. A foreign exception (a fault of the caller's iterable) keeps the frames that are not
ours, and a fault of our own code keeps all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from types import CodeType, TracebackType
from typing import Any, ParamSpec, TypeVar

from vavasms.errors import VavaSMSError

P = ParamSpec("P")
T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0]


def strip(error: ErrorT) -> ErrorT:
    """Remove the frames of an error and the exceptions behind it, and those of a group's members."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            strip(member)
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


#: The code of functions that call somebody else's code, or raise an error that is cleaned already.
_BOUNDARIES: set[CodeType] = set()


def boundary(function: FunctionT) -> FunctionT:
    """Mark a function that calls what a caller gave: where that is written in C, it is the last frame."""
    _BOUNDARIES.add(function.__code__)
    return function


def _without_our_frames(error: ErrorT) -> ErrorT:
    entries = _entries(error)
    if _is_our_fault(entries):
        return error
    kept = None
    for entry in reversed(entries):
        if not _is_ours(entry):
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return error.with_traceback(kept)


def _entries(error: BaseException) -> Sequence[TracebackType]:
    entries = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _is_our_fault(entries: Sequence[TracebackType]) -> bool:
    return bool(entries) and _is_ours(entries[-1]) and entries[-1].tb_frame.f_code not in _BOUNDARIES


def _is_ours(traceback: TracebackType) -> bool:
    # Not by the file: what is compiled elsewhere or frozen names another one.
    package = traceback.tb_frame.f_globals.get("__package__") or ""
    return str(package).partition(".")[0] == _PACKAGE


def _cleaned(error: BaseException, clean: Callable[[BaseException], BaseException]) -> BaseException:
    try:
        return clean(error)
    except BaseException as interrupt:  # noqa: BLE001  raised by whoever asked, without its arguments
        # It comes in the place of the other one, and with its account.
        vars(interrupt).update(vars(error))
        return strip(interrupt)


def _clean(error: BaseException) -> BaseException:
    # Cancellations and interrupts are no `Exception`.
    if isinstance(error, VavaSMSError) or not isinstance(error, Exception):
        return strip(error)
    return _without_our_frames(error)


def _clean_all(error: BaseException) -> BaseException:
    is_foreign = isinstance(error, Exception) and not isinstance(error, VavaSMSError)
    return error if is_foreign and _is_our_fault(_entries(error)) else strip(error)


def hide_frames(method: Callable[P, T]) -> Callable[P, T]:
    """Return a plain function whose exceptions do not show our frames."""
    return _hide(method, lambda error: _clean(error))


def hide_all_frames(method: Callable[P, T]) -> Callable[P, T]:
    """Return a plain function whose exceptions show no frames, nor what is behind them.

    A database's driver has the parameters of a statement in its frames: the number and the text.
    """
    return _hide(method, _clean_all)


def _hide(method: Callable[P, T], clean: Callable[[BaseException], BaseException]) -> Callable[P, T]:
    @boundary
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  raised below, cleaned
            escaped = _cleaned(error, clean)
        # This frame is in the traceback too.
        del args, kwargs
        raise escaped

    return call


def hide_frames_async(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a coroutine function whose exceptions do not show our frames."""
    return _hide_async(method, lambda error: _clean(error))


def hide_all_frames_async(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a coroutine function whose exceptions show no frames: see `hide_all_frames`."""
    return _hide_async(method, _clean_all)


def _hide_async(
    method: Callable[P, Coroutine[Any, Any, T]], clean: Callable[[BaseException], BaseException]
) -> Callable[P, Coroutine[Any, Any, T]]:
    @boundary
    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  raised below, cleaned
            escaped = _cleaned(error, clean)
        del args, kwargs
        raise escaped

    return call
