"""`campaign track`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from attrs import define
from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vavasms.campaigns.delivery_tracker import NO_STATUS_CALL, TRACKED_FOR
from vavasms.campaigns.tracking import (
    LONGEST_PAUSE,
    OLD_PAUSE,
    RATE,
    TrackSummary,
    is_known_absent,
    is_unavailable,
)
from vavasms.campaigns.tracking import track as track_campaign
from vavasms.cli import output, settings
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag
from vavasms.cli.signals import terminable
from vavasms.errors import InvalidInputError, VavaSMSError
from vavasms.i18n import Sentence, format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger

_CONNECTIONS = 8
#: Seconds between two plain lines.
_INTERVAL = 10.0
_FATES = {
    "delivered": N_("delivered"),
    "failed": N_("failed"),
    "sent": N_("sent, which is not yet delivered"),
    "pending": N_("pending"),
    "other": N_("reported with a word that nobody documented"),
    "not_found": N_("not known to the gateway"),
    "silent": N_("without a report"),
}


def track(
    campaign_id: CampaignId,
    /,
    *,
    rate: Annotated[float, Parameter(metavar="N", help=_("The most requests a second."))] = 10,
    seconds: Annotated[
        float, Parameter(name="--for", metavar=_("SECONDS"), help=_("How long at most; it can be run again."))
    ] = 3600,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask for the delivery reports of a campaign until they are final."""
    if not 0 <= seconds < float("inf"):
        raise InvalidInputError(
            _("--for takes a number of seconds, 0 or more."), error_code="usage.value", outcome=None
        )
    with terminable():
        summary = _ask(campaign_id, ledger, rate=rate, seconds=seconds, quiet=as_json)
    if as_json:
        output.print_json(_as_json(summary))
    else:
        output.say(_describe(output.clean(campaign_id), summary, repeat_option(ledger)))


def follow_up(campaign_id: str, ledger: str | None, *, as_json: bool) -> None:
    """Ask for the delivery reports of a campaign that was just sent; whatever ends that does no harm."""
    again = f"vavasms campaign track {output.clean(campaign_id)}{repeat_option(ledger)}"
    if not as_json:
        sentence = _(
            "Asking for delivery reports until all are final, {hours} hours at most. Ctrl-C ends that, and "
            "harms nothing.",
            hours=int(TRACKED_FOR // 3600),
        )
        output.say(f"\n{sentence}")
    try:
        summary = _ask(campaign_id, ledger, seconds=TRACKED_FOR, quiet=as_json, longest_pause=OLD_PAUSE)
    except KeyboardInterrupt:
        output.warn(_("Not asked any more; what came is kept. To ask again: {command}", command=again))
    except VavaSMSError as error:
        is_told = is_unavailable(error) and not is_known_absent(error)
        output.warn(_(NO_STATUS_CALL) if is_told else str(error))
    else:
        if as_json:
            output.print_json({"event": "delivery", **_as_json(summary)})
        else:
            output.say(_describe(output.clean(campaign_id), summary, repeat_option(ledger)))


def _ask(
    campaign_id: str,
    ledger: str | None,
    *,
    seconds: float,
    quiet: bool,
    rate: float = RATE,
    longest_pause: float = LONGEST_PAUSE,
) -> TrackSummary:
    with _progress(quiet=quiet) as show:

        async def ask(opened: Ledger) -> TrackSummary:
            await opened.status(campaign_id)
            async with settings.make_async_client(max_connections=_CONNECTIONS) as sms:
                deadline = time.time() + seconds
                return await track_campaign(
                    sms,
                    opened,
                    campaign_id,
                    rate=rate,
                    deadline=deadline,
                    on_progress=show,
                    longest_pause=longest_pause,
                )

        return run_on_ledger(ledger, ask)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[TrackSummary], None]]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _summary: None
        return
    console = output.messages()
    if not console.is_terminal:
        yield _TrackLines().show
        return
    columns = (BarColumn(bar_width=40), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        # Until the ledger was read, nobody knows of how many.
        task = bar.add_task(_("fate known: {final} of {n}", final=0, n="?"), total=None)
        yield lambda now: bar.update(
            task, description=_tell_final(now), total=now.messages, completed=_count_final(now)
        )


def _count_final(summary: TrackSummary) -> int:
    return summary.messages - summary.waiting


def _tell_final(summary: TrackSummary) -> Sentence:
    return _("fate known: {final} of {n}", final=_count_final(summary), n=summary.messages)


@define
class _TrackLines:
    _next: float = 0.0

    def show(self, summary: TrackSummary) -> None:
        """Print a line, unless the last is too fresh."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            sys.stderr.write(f"{_tell_final(summary)}\n")


def _as_json(summary: TrackSummary) -> dict[str, object]:
    error = None if summary.error is None else f"{type(summary.error).__name__}: {summary.error.english}"
    counts = {name: getattr(summary, name) for name in ("messages", *_FATES, "waiting")}
    return counts | {"error": error}


def _describe(name: str, summary: TrackSummary, again: str) -> str:
    if not summary.messages:
        return _("The campaign {id} has no accepted messages with an id.", id=name)
    lines: list[str] = [
        ngettext(
            "{n} message of the campaign {id}:",
            "{n} messages of the campaign {id}:",
            summary.messages,
            id=name,
        )
    ]
    counts = ((getattr(summary, key), _(fate)) for key, fate in _FATES.items())
    lines += [f"  {format_number(count):>11}  {fate}" for count, fate in counts if count]
    if summary.waiting:
        # In vain at last, or only once: either way it says why the rest may be missing.
        if summary.error:
            lines.append(_("The last failure: {error}", error=output.clean(str(summary.error))))
        purpose = _("To ask again:")
        lines.append(f"{purpose} vavasms campaign track {name}{again}")
    return "\n".join(lines)
