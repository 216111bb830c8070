"""`campaign track`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import anyio
from attrs import define
from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vavasms.campaigns.tracking import TrackSummary
from vavasms.campaigns.tracking import track as track_campaign
from vavasms.cli import output, settings
from vavasms.cli.ledger_option import LedgerPath, open_existing, repeat_option
from vavasms.cli.params import CampaignId, JsonFlag
from vavasms.cli.signals import terminable
from vavasms.errors import InvalidInputError

_CONNECTIONS = 8
#: Seconds between two plain lines.
_BEAT = 10.0
_WORDS = {
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
    with terminable(), _progress(quiet=as_json) as tell:
        summary = anyio.run(partial(_track, ledger, campaign_id, rate, seconds, tell))
    if as_json:
        output.print_json(_as_json(summary))
    else:
        output.say(_describe(output.clean(campaign_id), summary, repeat_option(ledger)))


async def _track(
    place: str | None, campaign_id: str, rate: float, seconds: float, tell: Callable[[TrackSummary], None]
) -> TrackSummary:
    async with open_existing(place) as ledger:
        await ledger.status(campaign_id)
        async with settings.make_async_client(max_connections=_CONNECTIONS) as sms:
            deadline = time.time() + seconds
            return await track_campaign(
                sms, ledger, campaign_id, rate=rate, deadline=deadline, on_progress=tell
            )


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[TrackSummary], None]]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _: None
        return
    console = output.messages()
    if not console.is_terminal:
        yield _TrackLines().tell
        return
    words = TextColumn("messages final")
    with Progress(
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        words,
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda found: bar.update(task, total=found.messages, completed=found.messages - found.waiting)


@define
class _TrackLines:
    _next: float = 0.0

    def tell(self, found: TrackSummary) -> None:
        """Print a line, unless the last is too fresh."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _BEAT
            sys.stderr.write(f"{found.messages - found.waiting:,} of {found.messages:,} messages final\n")


def _as_json(found: TrackSummary) -> dict[str, object]:
    error = None if found.error is None else f"{type(found.error).__name__}: {found.error}"
    counts = {name: getattr(found, name) for name in ("messages", *_WORDS, "waiting")}
    return counts | {"error": error}


def _describe(name: str, found: TrackSummary, again: str) -> str:
    if not found.messages:
        return f"The campaign {name} has no accepted messages with an id."
    lines = [f"{output.count(found.messages, 'message')} of the campaign {name}:"]
    counts = ((getattr(found, key), words) for key, words in _WORDS.items())
    lines += [f"  {count:>11,}  {words}" for count, words in counts if count]
    # In vain at last, or only once: either way it says why the rest may be missing.
    lines += [f"The last failure: {output.clean(str(found.error))}"] if found.waiting and found.error else []
    lines += [f"To ask again: vavasms campaign track {name}{again}"] if found.waiting else []
    return "\n".join(lines)
