"""The scheduler: whose turn it is, and what time it is. All that is drawn here comes from one seed.

Timers wait for every callback that is ready, as no real loop has it: who goes round in circles until one is due
is stuck here, rather than a core that is busy for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from attrs import define, field

from tests.simulation.clock import Timeline
from tests.simulation.host import Host

#: Seconds that one callback takes.
_STEP_SECONDS = 0.000_005


class StuckError(Exception):
    """Nothing can happen any more, and somebody still waits; or there is no end to it."""


@define(eq=False, kw_only=True)
class Scheduler:
    """The scheduler of all processes of a simulation."""

    timeline: Timeline
    draw: Random
    #: Whether the order of callbacks within a process is drawn as well, as trio does it.
    shuffles: bool = False
    #: Called with each process after each of its callbacks.
    after_step: Callable[[Host], object] = lambda _host: None
    hosts: list[Host] = field(factory=list)
    steps: int = 0
    #: What is to be done beside the processes: when, the order, what.
    _calls: list[tuple[float, int, Callable[[], object]]] = field(factory=list, init=False)
    _calls_made: int = field(default=0, init=False)

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        """Call something after so many seconds of the timeline."""
        self._calls_made += 1
        heapq.heappush(self._calls, (self.timeline.now + max(seconds, 0.0), self._calls_made, call))

    def run_until(self, is_done: Callable[[], bool], *, most_steps: int) -> None:
        """Run callback after callback. Raises `StuckError` where it never comes to that."""
        last = self.steps + most_steps
        while not is_done():
            if self.steps >= last:
                raise StuckError(f"no end after {most_steps} callbacks")
            self._step()

    def _step(self) -> None:
        ready = [host for host in self.hosts if host.loop.is_ready and host.clock.is_awake]
        if not ready:
            self._advance()
            return
        host = ready[0] if len(ready) == 1 else self.draw.choice(ready)
        handle = host.loop.take(self.draw if self.shuffles else None)
        if handle.cancelled():
            return
        self.steps += 1
        self.timeline.now += _STEP_SECONDS
        host.run(handle)
        self.after_step(host)

    def _advance(self) -> None:
        """Go to the next moment at which something can happen."""
        moments = [self._calls[0][0]] if self._calls else []
        for host in self.hosts:
            timer = host.loop.next_timer()
            if host.loop.is_ready:
                moments.append(host.clock.awake_at)
            elif timer is not None:
                moments.append(max(host.clock.true_time(timer), host.clock.awake_at))
        if not moments:
            raise StuckError("nothing can happen any more")
        self.timeline.now = max(self.timeline.now, min(moments))
        while self._calls and self._calls[0][0] <= self.timeline.now:
            heapq.heappop(self._calls)[2]()
        for host in self.hosts:
            if host.clock.is_awake:
                host.loop.release_timers()
