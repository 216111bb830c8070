"""A simulated process: its loop, its clock, and what it has open. It can die between any two callbacks."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar, copy_context
from random import Random
from typing import Any, Protocol, TypeVar

from attrs import define, field

from tests.simulation.clock import MachineClock
from tests.simulation.faults import Event, Fault
from tests.simulation.loop import SimulatedLoop

T = TypeVar("T")

#: Seconds that work on a disk takes at most, as a rule.
_DISK_SECONDS = 0.004


class CrashError(BaseException):
    """Unwind the work of a thread whose process dies in the middle of it."""


class Injector(Protocol):
    """What makes things go wrong."""

    def happen(self, event: Event, host: Host) -> Sequence[Fault]:
        """Count an event; do what is to be done to the process, and return the faults left to the caller."""
        ...


class Resource(Protocol):
    """What a process has open, and the system takes from it when it dies."""

    def take_away(self) -> None:
        """Close it as the system does: without a word of the process's own."""
        ...


@define(eq=False)
class Caller:
    """Who made a call in a process, and may be cancelled in it."""

    cancel: Callable[[bool], object]


#: Whose call it is that runs.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


@define(eq=False, kw_only=True)
class Host:
    """One process."""

    name: str
    pid: int
    clock: MachineClock
    draw: Random
    injector: Injector
    loop: SimulatedLoop = field(init=False)
    main: asyncio.Task[None] | None = field(default=None, init=False)
    #: Begins it, and begins it again after it died.
    program: Callable[[], Coroutine[Any, Any, None]] | None = field(default=None, init=False)
    #: How often that may be.
    restarts: int = field(default=0, init=False)
    resources: list[Resource] = field(factory=list, init=False)
    #: Callbacks run so far.
    steps: int = field(default=0, init=False)
    #: The disk takes so much longer.
    disk_delay: float = field(default=0.0, init=False)
    #: It died in the middle of a thread's work, and ends with this callback.
    is_doomed: bool = field(default=False, init=False)
    has_ended: bool = field(default=False, init=False)

    def start(self, program: Coroutine[Any, Any, None]) -> None:
        """Begin its program."""
        self.main = self.loop.create_task(program)

    def run(self, handle: asyncio.Handle) -> None:
        """Run one callback as this process."""
        self.steps += 1
        with_loop(self, handle._run)

    def happen(self, event: Event) -> Sequence[Fault]:
        """Count an event of this process."""
        return self.injector.happen(event, self)

    def own(self, resource: Resource) -> None:
        """Note something that it has open."""
        self.resources.append(resource)

    def disown(self, resource: Resource) -> None:
        """Note that it was closed."""
        if resource in self.resources:
            self.resources.remove(resource)

    def end(self) -> None:
        """End it, however far it is."""
        self.has_ended = True
        self.loop.end()
        while self.resources:
            self.resources.pop().take_away()

    async def run_job(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        """Run work in a thread: at some later moment, whole, and whether or not anybody still waits for it."""
        future: asyncio.Future[T] = self.loop.create_future()
        context = copy_context()
        self.happen(Event.JOB)

        def run() -> None:
            try:
                result = context.run(work, *args)
            except CrashError:
                return
            except BaseException as error:
                self.loop.call_later(self._delay(), _fail, future, error)
            else:
                self.loop.call_later(self._delay(), _finish, future, result)

        self.loop.call_later(self._delay() + self.disk_delay, run)
        return await future

    def _delay(self) -> float:
        return self.draw.choice((0.0, 0.0, 0.0001, self.draw.uniform(0.0, _DISK_SECONDS)))


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class Current:
    """Whose code runs at this moment; None: nobody's, but the simulation's own."""

    host: Host | None = None


def with_loop(host: Host, work: Callable[[], T]) -> T:
    """Do some work as a process."""
    before, Current.host = Current.host, host
    loop = events._get_running_loop()
    events._set_running_loop(host.loop)
    try:
        return work()
    finally:
        Current.host = before
        events._set_running_loop(loop)
