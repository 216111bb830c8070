"""`campaign track`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from attrs import define
from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vavasms.campaigns.tracking import TrackSummary
from vavasms.campaigns.tracking import track as track_campaign
from vavasms.cli import output, settings
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag
from vavasms.cli.signals import terminable
from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger

_CONNECTIONS = 8
#: Seconds between two plain lines.
_INTERVAL = 10.0
_FATES = {
    "delivered": "delivered",
    "failed": "failed",
    "sent": "sent, which is not yet delivered",
    "pending": "pending",
    "other": "reported with a word that nobody documented",
    "not_found": "not known to the gateway",
    "silent": "without a report",
}


def track(
    campaign_id: CampaignId,
    /,
    *,
    rate: Annotated[float, Parameter(metavar="N", help="The most requests a second.")] = 10,
    seconds: Annotated[
        float, Parameter(name="--for", metavar="SECONDS", help="How long at most; it can be run again.")
    ] = 3600,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask for the delivery reports of a campaign until they are final."""
    if not 0 <= seconds < float("inf"):
        raise InvalidInputError("--for takes a number of seconds, 0 or more.", outcome=None)
    with terminable(), _progress(quiet=as_json) as show:

        async def ask(opened: Ledger) -> TrackSummary:
            await opened.status(campaign_id)
            async with settings.make_async_client(max_connections=_CONNECTIONS) as sms:
                deadline = time.time() + seconds
                return await track_campaign(
                    sms, opened, campaign_id, rate=rate, deadline=deadline, on_progress=show
                )

        summary = run_on_ledger(ledger, ask)
    if as_json:
        output.print_json(_as_json(summary))
    else:
        output.say(_describe(output.clean(campaign_id), summary, repeat_option(ledger)))


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[TrackSummary], None]]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _: None
        return
    console = output.messages()
    if not console.is_terminal:
        yield _TrackLines().show
        return
    columns = (
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("messages final"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda now: bar.update(task, total=now.messages, completed=now.messages - now.waiting)


@define
class _TrackLines:
    _next: float = 0.0

    def show(self, summary: TrackSummary) -> None:
        """Print a line, unless the last is too fresh."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            sys.stderr.write(
                f"{summary.messages - summary.waiting:,} of {summary.messages:,} messages final\n"
            )


def _as_json(summary: TrackSummary) -> dict[str, object]:
    error = None if summary.error is None else f"{type(summary.error).__name__}: {summary.error}"
    counts = {name: getattr(summary, name) for name in ("messages", *_FATES, "waiting")}
    return counts | {"error": error}


def _describe(name: str, summary: TrackSummary, again: str) -> str:
    if not summary.messages:
        return f"The campaign {name} has no accepted messages with an id."
    lines = [f"{output.count(summary.messages, 'message')} of the campaign {name}:"]
    counts = ((getattr(summary, key), fate) for key, fate in _FATES.items())
    lines += [f"  {count:>11,}  {fate}" for count, fate in counts if count]
    if summary.waiting:
        # In vain at last, or only once: either way it says why the rest may be missing.
        lines += [f"The last failure: {output.clean(str(summary.error))}"] if summary.error else []
        lines += [f"To ask again: vavasms campaign track {name}{again}"]
    return "\n".join(lines)
