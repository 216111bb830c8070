"""Waiting in a thread for work in the portal's, through interrupts at any instant.

An interrupt is whatever is raised into the waiting thread: Ctrl-C, a job queue's time limit, an exit. A call
exists before anything is started, and starting it is part of what an interrupt ends: after it the work has
either not begun, and never will, or has come to its end.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import anyio
from attrs import define, field, frozen

from vavasms.config import misconfigured
from vavasms.errors import ConfigurationError, NotSentError, Outcome, OutcomeUnknownError
from vavasms.i18n import gettext as _
from vavasms.portal import WAIT_SLICE, Lease, mark_asyncio

T = TypeVar("T")
Wakeup = SimpleQueue[None]

#: Seconds in which what was cut off has to settle.
SETTLE_SECONDS = 5.0


def _closed_error() -> Exception:
    return misconfigured(_("The client is closed: make a new one."), "config.closed")


@define(eq=False)
class CallGroup:
    """The calls that one client has under way in the portal's thread. Only the loop touches them."""

    lease: Lease
    running: set[PortalCall] = field(factory=set)  # type: ignore[type-arg]
    closing: bool = False
    is_closed: bool = False
    _changed: asyncio.Event = field(factory=asyncio.Event)

    def check_thread(self) -> None:
        """Refuse to wait in the thread that is waited for."""
        if self.lease.thread.is_current:
            raise misconfigured(
                _(
                    "This was called in the thread that does its work (by a hook, `on_progress`): "
                    "it would wait for itself, so call it in another thread."
                ),
                "config.own_thread",
            )

    def discard(self, call: PortalCall[T]) -> None:
        """Note that a call is over."""
        self.running.discard(call)
        self._changed.set()

    async def close(self, finalizer: Callable[[], Awaitable[object]]) -> None:
        """Refuse what begins now, end what is held open, wait for the rest, and release the lease."""
        self.closing = True
        for call in tuple(self.running):
            call.on_close()
        while self.running:
            self._changed.clear()
            await self._changed.wait()
        try:
            await finalizer()
        finally:
            self.is_closed = True
            self.lease.release()


class PortalCall(Generic[T]):
    """Work for the portal's thread, with what the waiting thread has to know of it.

    No lock is shared by the two threads: the loop writes plain attributes and wakes it up.
    """

    def __init__(
        self,
        group: CallGroup,
        work: Callable[[], Awaitable[T]],
        *,
        wakeup: Wakeup | None = None,
        sends: bool = False,
        on_close: Callable[[], object] = lambda: None,
        is_last: bool = False,
    ) -> None:
        self.done = False
        #: What it ended in, once it is done.
        self.error: BaseException | None = None
        self.on_close = on_close
        self._result: T | None = None
        self._group, self._thread, self._work = group, group.lease.thread, work
        self._wakeup: Wakeup = SimpleQueue() if wakeup is None else wakeup
        self._outcome = Outcome.UNKNOWN if sends else None
        self._is_last = is_last
        self._task: asyncio.Task[None] | None = None
        self._began = self._withdrawn = False

    def start(self) -> None:
        """Begin. May be repeated."""
        self._thread.post(self._begin)

    def interrupt(self, action: Callable[[], object]) -> None:
        """Run `action` in the loop if the work has begun; else it never will begin. May be repeated."""
        self._thread.post(partial(self._interrupt, action))

    def cancel(self) -> None:
        """Cut the work off, in the portal's thread."""
        # Not the task: that would leave a thread at work that holds a lock for nobody.
        self._scope.cancel()

    def wait(
        self,
        *,
        serve: Callable[[], object] = lambda: None,
        ready: Callable[[], bool] = lambda: False,
        seconds: float = math.inf,
    ) -> None:
        """Wait for the end, until it is `ready` or the time is up; `serve` is called at each wake-up."""
        deadline = time.monotonic() + seconds
        while not (self.done or ready()):
            serve()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                self._wakeup.get(timeout=min(left, WAIT_SLICE))
            except Empty:
                if self._thread.ended and not self.done:
                    self._end_with_thread()

    def result(self) -> T:
        """Return the result or raise the error, once it is done."""
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value]  # set where there is no error

    def _begin(self) -> None:
        if self._task is not None or self.done:
            return
        if self._group.closing:
            self._end(_closed_error())
            return
        if not self._is_last:
            self._group.running.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _task: self._end(self.error))

    async def _run(self) -> None:
        if self._withdrawn:
            self.error = _not_begun_error()
            return
        mark_asyncio()
        self._began, self._scope = True, anyio.CancelScope()
        try:
            with self._scope:
                self._result = await self._work()
            if self._scope.cancelled_caught:
                self.error = self._cut_off_error(asyncio.CancelledError())
        except asyncio.CancelledError as error:
            self.error = self._cut_off_error(error)
        except BaseException as error:  # noqa: BLE001  the waiting thread's: an exit must not end the loop
            self.error = _find_exit(error)

    def _interrupt(self, action: Callable[[], object]) -> None:
        if self.done:
            return
        if self._began:
            action()
        elif self._task is None:
            self._end(_not_begun_error())
        else:
            self._withdrawn = True

    def _cut_off_error(self, error: asyncio.CancelledError) -> Exception:
        cut = OutcomeUnknownError(
            _("The call was cut off before its end: look before doing it again."),
            error_code="outcome.unknown.interrupted",
            outcome=self._outcome,
        )
        vars(cut).update(vars(error))
        return cut

    def _end_with_thread(self) -> None:
        """End with the thread: nothing that had not begun will begin."""
        self._end(self._cut_off_error(asyncio.CancelledError()) if self._began else _closed_error())

    def _end(self, error: BaseException | None) -> None:
        self.error = error
        self.done = True
        self._group.discard(self)
        self._wakeup.put(None)


def _find_exit(error: BaseException) -> BaseException:
    """Return the exit that a hook raised in a group, with the account of the group; else the error."""
    exits = error.subgroup((SystemExit, KeyboardInterrupt)) if isinstance(error, BaseExceptionGroup) else None
    if exits is None:
        return error
    exit_: BaseException = exits
    while isinstance(exit_, BaseExceptionGroup):
        exit_ = exit_.exceptions[0]
    inherit_account(exit_, error)
    return exit_


def _not_begun_error() -> Exception:
    return NotSentError(
        _("Nothing was sent: the call had not begun."),
        error_code="not_sent.interrupted",
        outcome=Outcome.NOT_SENT,
    )


@frozen
class Step:
    """What the next interrupt does to a call, and for how many seconds its end is waited for."""

    action: Callable[[], object]
    seconds: float = math.inf


def cancel_steps(call: PortalCall[T]) -> tuple[Step, ...]:
    """Return the steps that cut a call off; several, so that an interrupt of the wait has the account."""
    return (Step(call.cancel, SETTLE_SECONDS),) * 3


def finish_steps(call: PortalCall[T]) -> tuple[Step, ...]:
    """Return the steps that leave a call to its end, and cut it off at the second interrupt."""
    return (Step(lambda: None), *cancel_steps(call))


def run(
    call: PortalCall[T],
    steps: Sequence[Step],
    *,
    annotate: Callable[[BaseException], object] = lambda _error: None,
    serve: Callable[[], object] = lambda: None,
    ready: Callable[[], bool] = lambda: False,
) -> T:
    """Start a call and return its result; raise its error, or what this thread was interrupted by.

    The first interrupt takes the first step and waits for the end, the next one the next step. `annotate`
    puts the account on the interrupt that comes out. With `ready` only that is waited for.
    """
    try:
        call.start()
        call.wait(serve=serve, ready=ready)
        return call.result()
    except BaseException as error:
        if error is not call.error:
            finish_interrupted(call, error, steps, annotate)
        raise


def finish_interrupted(
    call: PortalCall[T],
    interrupt: BaseException,
    steps: Sequence[Step],
    annotate: Callable[[BaseException], object],
) -> None:
    """Bring an interrupted call to its end; raise only the interrupts that come meanwhile."""
    step, *later = steps
    try:
        call.interrupt(step.action)
        call.wait(seconds=step.seconds)
        annotate(interrupt)
    except BaseException as another:
        if later:
            finish_interrupted(call, another, later, annotate)
        raise


def close(group: CallGroup, finalizer: Callable[[], Awaitable[object]]) -> None:
    """Close a group: see `CallGroup.close`. May be repeated.

    An interrupt does not wait for what is under way: the closing goes on without it.
    """
    group.check_thread()
    call = PortalCall(group, partial(group.close, finalizer), is_last=True)
    if group.is_closed or group.lease.thread.ended:
        return
    try:
        call.start()
        call.wait()
    except BaseException:
        call.start()
        call.wait(seconds=SETTLE_SECONDS)
        raise
    # Where the thread ended before it came to this, somebody else had closed the group.
    group.lease.thread.join_unless_used()
    with suppress(ConfigurationError):
        call.result()


def inherit_account(interrupt: BaseException, earlier: BaseException | None) -> None:
    """Copy the account of an earlier interrupt to the one that takes its place."""
    if earlier is not None:
        vars(interrupt).update(vars(earlier))


class Session(Generic[T]):
    """An async context manager that is entered and left in one task of the portal's, for a thread outside."""

    def __init__(
        self,
        group: CallGroup,
        context: Callable[[], AbstractAsyncContextManager[T]],
        *,
        wakeup: Wakeup | None = None,
        annotate: Callable[[BaseException], object] = lambda _error: None,
    ) -> None:
        #: Closing the client ended it.
        self.was_closed = False
        self._group, self._context, self._annotate = group, context, annotate
        self._wakeup: Wakeup = SimpleQueue() if wakeup is None else wakeup
        self._call = PortalCall(group, self._hold, wakeup=self._wakeup, on_close=self._close)
        self._value: T | None = None
        self._entered = False
        self._leaving = False
        self._exit: asyncio.Event | None = None

    @property
    def is_over(self) -> bool:
        """True once it was left, and everything in it settled."""
        return self._call.done

    def enter(self) -> T:
        """Enter it and return its value. What interrupts this leaves it again."""
        self._group.check_thread()
        steps = (Step(self._leave), *cancel_steps(self._call))
        run(self._call, steps, annotate=self._annotate, ready=lambda: self._entered)
        return self._value  # type: ignore[return-value]  # set once it was entered

    def leave(self, *, was_interrupted: bool) -> None:
        """Leave it and wait for the end. An interrupt of an exit that is one already cuts it off."""
        self._group.check_thread()
        cut = cancel_steps(self._call)
        steps = cut if was_interrupted else (Step(self._leave), *cut)
        try:
            self._call.interrupt(self._leave)
            self._call.wait()
        except BaseException as error:
            finish_interrupted(self._call, error, steps, self._annotate)
            raise
        self._call.result()

    async def _hold(self) -> None:
        self._exit = asyncio.Event()
        async with self._context() as self._value:
            self._entered = True
            self._wakeup.put(None)
            if not self._leaving:
                await self._exit.wait()

    def _leave(self) -> None:
        self._leaving = True
        if self._exit is not None:
            self._exit.set()

    def _close(self) -> None:
        self.was_closed = not self._leaving
        self._leave()
