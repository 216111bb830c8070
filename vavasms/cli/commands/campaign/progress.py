"""A bar while a campaign runs on a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from attrs import define, field
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vavasms.campaigns.policy import Policy
from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import describe_cost, make_object, settled, tell_outcomes
from vavasms.i18n import format_number
from vavasms.i18n import gettext as _
from vavasms.ledger.models import CampaignStatus

#: Lines elsewhere than on a terminal, about.
_LINES = 8
#: Seconds over which the pace is taken.
_SPAN = 10.0
_BAR = 34


class Display(Protocol):
    """What shows a person how far a campaign is."""

    def __call__(self, status: CampaignStatus, /) -> None:
        """Show where it stands now."""
        ...

    def note(self, sentence: str) -> None:
        """Show a sentence in between."""
        ...


@define(kw_only=True)
class Throughput:
    """How fast recipients are settled, over the last seconds."""

    clock: Callable[[], float] = time.monotonic
    _samples: deque[tuple[float, int]] = field(factory=deque, init=False)

    def take(self, done: int) -> float:
        """Take in how many are settled by now; return the recipients a second."""
        now = self.clock()
        self._samples.append((now, done))
        while now - self._samples[0][0] > _SPAN:
            self._samples.popleft()
        first, before = self._samples[0]
        return (done - before) / (now - first) if now > first else 0.0


@contextmanager
def progress(policy: Policy, *, as_json: bool, quiet: bool = False) -> Iterator[Display]:
    """Yield the display of how far a campaign is.

    `quiet` shows interruptions only.
    """
    console = output.output()
    if quiet:
        yield _ProgressLines(write=lambda _status: None)
        return
    if as_json or not console.is_terminal:
        yield _ProgressLines(write=_print_object if as_json else _print_line)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield _Bar(live=live, policy=policy)


@define(kw_only=True)
class _ProgressLines:
    """A line at each eighth of the way."""

    write: Callable[[CampaignStatus], None]
    _shown: int | None = field(default=None, init=False)

    def __call__(self, status: CampaignStatus) -> None:
        step = settled(status) * _LINES // max(status.recipients, 1)
        # Where a run begins is no news.
        if self._shown is not None and step > self._shown:
            self.write(status)
            sys.stdout.flush()
        self._shown = step

    def note(self, sentence: str) -> None:
        output.warn(sentence)


@define(kw_only=True)
class _Bar:
    """Two lines that are drawn anew: how far, and what became of those."""

    live: Live
    policy: Policy
    _pace: Throughput = field(factory=Throughput, init=False)

    def __call__(self, status: CampaignStatus) -> None:
        self.live.update(draw(status, self.policy, self._pace.take(settled(status))), refresh=True)

    def note(self, sentence: str) -> None:
        # Above the bar. The terminal has just written ^C at its end: begin a line.
        self.live.console.print(Text(sentence, style="yellow"))


def draw(status: CampaignStatus, policy: Policy, pace: float) -> Group:
    """Draw how far a campaign is, within 80 columns."""
    done = settled(status)
    ahead = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=max(status.recipients, 1), completed=done, width=_BAR)
    ahead.add_row(
        " ",
        bar,
        f"{format_number(done)}/{format_number(status.recipients)}",
        f"{format_number(round(pace))}/s",
        _say_left(status, pace),
    )
    outcomes = Text("   ").append_text(tell_outcomes(status)).append(f"  {describe_cost(status, policy)}")
    return Group(ahead, outcomes)


def _say_left(status: CampaignStatus, pace: float) -> str:
    left = status.queued + status.sending
    if not left:
        return _("done")
    if pace <= 0:
        return _("waiting")
    minutes, seconds = divmod(round(left / pace), 60)
    hours, minutes = divmod(minutes, 60)
    time_left = f"{hours}:{minutes:02}:{seconds:02}"
    return _("{time} left", time=time_left)


def _print_line(status: CampaignStatus) -> None:
    done = f"{format_number(settled(status)):>9}"
    head = _("{done} of {total}:", done=done, total=status.recipients)
    output.say(Text(f"{head} ").append_text(tell_outcomes(status)))


def _print_object(status: CampaignStatus) -> None:
    output.print_json({"event": "progress", **make_object(status)})
