"""Ctrl-C, SIGTERM and a closed terminal: the first ends a command in order, the second at once."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

import anyio
from attrs import define, field

from vavasms.i18n import gettext as _

T = TypeVar("T")

#: Seconds. `timeout` and supervisors signal a process and then its group: that is one request, not two.
_ONE_REQUEST = 0.3


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a program to end: Ctrl-C, SIGTERM, and a terminal that was closed.

    Where `nohup` had SIGHUP ignored it stays so; Windows has none.
    """
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    is_heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and is_heard else []))


async def run_until_signalled(
    run: Callable[[], Awaitable[T]],
    stop: Callable[[], object],
    *,
    note: Callable[[str], object],
    sentences: tuple[str, str],
) -> tuple[T | None, list[signal.Signals]]:
    """Return what `run` returned, None where it was cut off, and the signals that came.

    The first signal calls `stop`, the second cancels the run; `note` is passed the sentence for each.
    """
    scope, loop = anyio.CancelScope(), asyncio.get_running_loop()

    def end(act: Callable[[], object], sentence: str) -> None:
        act()
        # Afterwards: a terminal that was closed takes no words.
        with suppress(OSError):
            note(sentence)

    handler = _SignalHandler(
        first=lambda: end(stop, sentences[0]), second=lambda: end(scope.cancel, sentences[1])
    )
    result: T | None = None
    with _handled(handler, ending_signals(), loop), scope:
        result = await run()
    return result, handler.received


@contextmanager
def stop_on_signal(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at the first signal; the second interrupts, for whoever reads may not read on."""
    with _handled(_SignalHandler(first=stop.set, second=_interrupt), ending_signals()):
        yield


@contextmanager
def terminable() -> Iterator[None]:
    """Take SIGTERM and a closed terminal for Ctrl-C where nothing runs yet: what was begun is put away."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A script has put it in the background, where Ctrl-C is not its own. SIGTERM is.
            _interrupt()
        signal.raise_signal(signal.SIGINT)

    with _handled(interrupt, ending_signals()[1:]):
        yield


@contextmanager
def announced() -> Iterator[None]:
    """Answer the first Ctrl-C with a line before it interrupts; the second interrupts as ever."""
    sentence = _("Interrupted: waiting for what is under way. Ctrl-C again does not wait.")
    notice = f"{sentence}\n".encode(getattr(sys.stderr, "encoding", None) or "ascii", "replace")

    def announce(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Past all buffers and locks, which this thread may be holding.
        os.write(2, notice)
        _interrupt()

    with _handled(announce, (signal.SIGINT,)):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Defer signals to the end of the block: no process that it starts is left behind."""
    received: list[int] = []
    try:
        with _handled(lambda number, _frame: received.append(number), ending_signals()):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@define(kw_only=True)
class _SignalHandler:
    """A handler that counts the requests to end."""

    first: Callable[[], object]
    second: Callable[[], object]
    received: list[signal.Signals] = field(factory=list)
    _last: float = field(default=-math.inf, init=False)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        before, self._last = self._last, time.monotonic()
        if self._last - before > _ONE_REQUEST:
            self.received.append(signal.Signals(number))
            (self.first if len(self.received) == 1 else self.second)()


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], object],
    signals: tuple[signal.Signals, ...],
    loop: asyncio.AbstractEventLoop | None = None,
) -> Iterator[None]:
    """Handle signals, by the event loop where one is passed; only where Python allows it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or (loop is not None and os.name == "nt"):
        yield
        return
    before = {number: signal.getsignal(number) for number in signals}
    try:
        for number in signals:
            if loop is None:
                signal.signal(number, handler)
            else:
                loop.add_signal_handler(number, handler, number, None)
        yield
    finally:
        for number, earlier in before.items():
            if loop is not None:
                loop.remove_signal_handler(number)
            # The event loop's own handler, which cancels: asyncio leaves Python's behind, and that one could
            # raise in the middle of closing the ledger. Of the others it leaves those that kill.
            signal.signal(number, earlier)
