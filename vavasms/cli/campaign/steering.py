"""Ctrl-C, SIGTERM and a closed terminal while a campaign runs: the first finishes what is under way."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

import anyio
from attrs import define, frozen

from vavasms.campaigns.feeding import INTERRUPTED
from vavasms.campaigns.ledger.port import CampaignStatus
from vavasms.campaigns.runner import CampaignRun, CampaignRunner
from vavasms.campaigns.states import CampaignState
from vavasms.cli.stopping import ONE_WISH, ending_signals

_NOTICE = "Interrupted: finishing what is under way. Ctrl-C again does not wait."
_ABRUPT = "Interrupted again: what is under way and was not answered becomes unknown."


class Display(Protocol):
    """What shows a person how far a campaign is."""

    def __call__(self, status: CampaignStatus, /) -> None:
        """Show where it stands now."""
        ...

    def note(self, sentence: str) -> None:
        """Say something in between."""
        ...


@frozen(kw_only=True)
class SteeredRun:
    """How a run ended that a person could interrupt."""

    run: CampaignRun
    #: A person stopped it before its end.
    interrupted: bool

    @property
    def status(self) -> CampaignStatus:
        """Where the campaign stands."""
        return self.run.status


@define(kw_only=True)
class _Steering:
    runner: CampaignRunner
    display: Display
    #: Ends the run at once.
    scope: anyio.CancelScope
    presses: int = 0

    async def listen(self, signals: AsyncIterator[signal.Signals]) -> None:
        async for _ in signals:
            self.presses += 1
            first = self.presses == 1
            # Before it is said: a terminal that was closed takes no words.
            (self.runner.stop if first else self.scope.cancel)()
            with suppress(OSError):
                self.display.note(_NOTICE if first else _ABRUPT)


async def run_steered(runner: CampaignRunner, campaign_id: str, display: Display) -> SteeredRun:
    """Run a campaign; a signal ends it, and what became of it is told all the same."""
    run: CampaignRun | None = None
    problem: Exception | None = None
    with receive_signals() as signals:
        async with anyio.create_task_group() as tasks:
            steering = _Steering(runner=runner, display=display, scope=tasks.cancel_scope)
            if signals is not None:
                tasks.start_soon(steering.listen, signals)
            try:
                run = await runner.run(campaign_id, on_progress=display)
            except Exception as error:  # noqa: BLE001  raised below, by itself and not in a group
                problem = error
            tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    if run is None:
        await runner.ledger.pause(campaign_id, INTERRUPTED)
        run = CampaignRun(status=await runner.ledger.status(campaign_id))
    over = run.status.state is CampaignState.DONE
    return SteeredRun(run=run, interrupted=steering.presses > 0 and not over)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script has put it in the background, where Ctrl-C is not its own. SIGTERM is.
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


@contextmanager
def terminable() -> Iterator[None]:
    """Take SIGTERM and a closed terminal for Ctrl-C where nothing runs yet: what was begun is put away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, _interrupt) for one in ending_signals() if one is not signal.SIGINT}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@define
class _Wishes(AsyncIterator[signal.Signals]):
    """Signals, those left out that come with the one before."""

    _signals: AsyncIterator[signal.Signals]
    _last: float = -math.inf

    async def __anext__(self) -> signal.Signals:
        while True:
            found = await anext(self._signals)
            last, self._last = self._last, anyio.current_time()
            if self._last - last > ONE_WISH:
                return found


@contextmanager
def receive_signals() -> Iterator[AsyncIterator[signal.Signals] | None]:
    """Receive signals; None where that is not possible: there, Ctrl-C cuts the run off."""
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield None
        return
    before = {one: signal.getsignal(one) for one in ending_signals()}
    try:
        with anyio.open_signal_receiver(*before) as signals:
            yield _Wishes(signals)
    finally:
        # The event loop's own handler, which cancels: asyncio leaves Python's behind, and that one could
        # raise in the middle of closing the ledger. Of the others it leaves those that kill.
        for one, handler in before.items():
            signal.signal(one, handler)
