"""An asyncio event loop without a selector and without a thread, run from outside one callback at a time.

The loops that there are do not fit: simloop and simloom need Python 3.12 and have one loop for the whole
simulation, as trio's `MockClock` and async-solipsism have. A process that dies is a loop here that is never run
again: none of its `finally` blocks runs, and no other process notices.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from random import Random
from typing import Any

#: Opens a connection: the protocol's factory, the host and the port.
Connect = Callable[[Callable[[], asyncio.Protocol], str, int], Awaitable[tuple[Any, Any]]]


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop of one simulated process."""

    # Those of the base class that the scheduler looks into.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(
        self, clock: Callable[[], float], connect: Connect, report: Callable[[dict[str, Any]], object]
    ) -> None:
        super().__init__()
        self._clock, self._connect, self._report = clock, connect, report
        # Beyond what the floats of the timeline lose.
        self._clock_resolution = 1e-7
        # Whoever asks is told that it runs.
        self._thread_id: int | None = threading.get_ident()

    @property
    def is_ready(self) -> bool:
        """Whether a callback waits to be run."""
        return bool(self._ready)

    def take(self, draw: Random | None) -> asyncio.Handle:
        """Take the next callback to be run: the first one, or any where the order is to be drawn."""
        ready = self._ready
        if draw is None or len(ready) == 1:
            return ready.popleft()
        place = draw.randrange(len(ready))
        ready.rotate(-place)
        handle = ready.popleft()
        ready.rotate(place)
        return handle

    def next_timer(self) -> float | None:
        """Return when the next timer is due, by this loop's clock; None where there is none."""
        timers = self._scheduled
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        return timers[0].when() if timers else None

    def release_timers(self) -> None:
        """Make ready whatever is due."""
        # A sum of floats can miss what it was made of.
        now = self.time() + self._clock_resolution
        while (when := self.next_timer()) is not None and when <= now:
            self._ready.append(heapq.heappop(self._scheduled))

    def end(self) -> None:
        """End it: nothing of it is ever run again."""
        self._thread_id = None
        self._closed = True
        self._ready.clear()
        self._scheduled.clear()

    def time(self) -> float:
        """Return the time of the machine's monotonic clock."""
        return self._clock()

    def call_soon_threadsafe(  # type: ignore[override]  # the same, without the types of the arguments
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call soon: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    async def create_connection(  # type: ignore[override]  # of all that it can be asked for, the plain case
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, **_options: Any
    ) -> tuple[Any, Any]:
        """Connect over the simulated network."""
        return await self._connect(protocol_factory, host, port)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report what no task waits for."""
        if not self.is_closed():
            self._report(context)

    def _write_to_self(self) -> None:
        pass

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # They go when their time comes.
        pass
