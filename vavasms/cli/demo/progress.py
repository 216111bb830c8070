"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vavasms.bulk.batches import BatchResult
from vavasms.cli import show

#: Plain lines in all, about.
_LINES = 8


@contextmanager
def progress(total: int, url: str, *, quiet: bool) -> Iterator[Callable[[BatchResult], None]]:
    """Show how far the sending is; the block gets a function to be told of each batch."""
    if quiet:
        yield lambda _: None
        return
    console = show.output()
    show.say(f"Sending to the sandbox at {url}", style="bold")
    if not console.is_terminal:
        yield _Lines(total=total).advance
        return
    with _bar(console) as bar:
        task = bar.add_task("", total=total)
        yield lambda result: bar.advance(task, len(result.recipients))


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn(" "),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("recipients"),
        TimeElapsedColumn(),
        console=console,
    )


@define(kw_only=True)
class _Lines:
    total: int
    _done: int = 0
    _shown: int = 0

    def advance(self, result: BatchResult) -> None:
        """Print a line at each eighth of the way."""
        self._done += len(result.recipients)
        step = self._done * _LINES // max(self.total, 1)
        if step > self._shown:
            self._shown = step
            show.say(f"  {self._done:>9,} of {self.total:,} recipients")
