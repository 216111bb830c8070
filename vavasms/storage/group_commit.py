"""Writes that come while another one is under way are made together, in one round trip and one commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import anyio
from anyio import CancelScope
from attrs import define, field

from vavasms.errors import LedgerError
from vavasms.event_loops import check_loop
from vavasms.i18n import gettext as _
from vavasms.i18n import translate

T = TypeVar("T")
R = TypeVar("R")


@define(eq=False)
class _Call(Generic[T, R]):
    """One write that waits for its turn."""

    item: T
    #: Set when it is done, and when its caller is to make the next call for all that wait.
    woken: anyio.Event = field(factory=anyio.Event)
    done: bool = False
    result: R | None = None
    #: The sentence of the error, and its code.
    error: tuple[str, str] | None = None

    def end(self, result: R | None, error: LedgerError | None = None) -> None:
        """Wake whoever waits."""
        # Not the error: its traceback holds all of these.
        self.error = None if error is None else (error.args[0], error.error_code)
        self.result, self.done = result, True
        self.woken.set()

    def take(self) -> R:
        """Return the result, or raise what went wrong."""
        if self.error is not None:
            sentence, code = self.error
            # It was made in the language of the task that wrote for all.
            raise LedgerError(translate(sentence), error_code=code)
        return self.result  # type: ignore[return-value]  # set where there is no error


def _interrupted_error() -> LedgerError:
    return LedgerError(_("The database did not take it (interrupted): nothing more is sent."))


class GroupCommit(Generic[T, R]):
    """A group commit: one call of `make` for the writes that wait, at most `most`, with a result for each.

    Where that call fails, all of them do.
    """

    def __init__(self, make: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int = 64) -> None:
        self._make = make
        self._most = most
        self._begin_loop(None)

    def _begin_loop(self, loop: Any) -> None:
        """Set up what the tasks of one event loop wait with; another one has left its own behind."""
        self._loop = loop
        self._waiting: deque[_Call[T, R]] = deque()
        #: Somebody makes what waits, or was just told to.
        self._has_leader = False
        self._turn = anyio.Lock()

    async def write(self, item: T) -> R:
        """Write `item` and return what came of it.

        A cancellation waits for the end of it. One that cannot be held back (asyncio's own) takes it out of
        the queue; where it was under way already, `flush` waits for the end of that.

        Raises `ConfigurationError` beside another event loop that uses it.
        """
        loop = check_loop(self._loop)
        if loop is not self._loop:
            self._begin_loop(loop)
        call: _Call[T, R] = _Call(item)
        self._waiting.append(call)
        with CancelScope(shield=True):
            if self._has_leader:
                await self._wait(call)
            if not call.done:
                await self._lead(call)
        return call.take()

    async def flush(self) -> None:
        """Wait until what is under way is over."""
        with CancelScope(shield=True):
            async with self._turn:
                pass

    async def _wait(self, call: _Call[T, R]) -> None:
        try:
            await call.woken.wait()
        except BaseException:
            self._remove(call)
            if call.woken.is_set() and not call.done:
                self._wake_next()
            raise

    async def _lead(self, own: _Call[T, R]) -> None:
        self._has_leader = True
        calls: list[_Call[T, R]] = []
        try:
            async with self._turn:
                calls = [self._waiting.popleft() for _call in range(min(self._most, len(self._waiting)))]
                await self._make_all(calls)
        finally:
            for call in calls:
                if not call.done:
                    call.end(None, _interrupted_error())
            self._remove(own)
            self._wake_next()

    async def _make_all(self, calls: Sequence[_Call[T, R]]) -> None:
        try:
            results = await self._make([call.item for call in calls])
        except LedgerError as error:
            for call in calls:
                call.end(None, error)
        else:
            for call, result in zip(calls, results, strict=True):
                call.end(result)

    def _remove(self, call: _Call[T, R]) -> None:
        """Remove a call whose caller is gone."""
        if call in self._waiting:
            self._waiting.remove(call)

    def _wake_next(self) -> None:
        """Wake the first of those that wait: it writes the next ones."""
        if self._waiting:
            self._waiting[0].woken.set()
        else:
            self._has_leader = False
