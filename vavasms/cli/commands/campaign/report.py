"""`campaign report`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Literal

from cyclopts import Parameter

from vavasms.campaigns.report import (
    COLUMNS,
    RecipientReport,
    csv_line,
    format_csv,
    format_json,
    format_text,
    read_report,
)
from vavasms.cli import output
from vavasms.cli.ledger_option import LedgerPath, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus

_FORMATS: dict[str, Callable[[RecipientReport], str]] = {
    "text": format_text,
    "csv": format_csv,
    "json": format_json,
}


def report(
    campaign_id: CampaignId,
    /,
    *,
    form: Annotated[
        Literal["text", "csv", "json"],
        Parameter(name="--format", help="For people, for spreadsheets, or an object a line for programs."),
    ] = "text",
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Report what became of the message to each recipient."""
    chosen = "json" if as_json else form
    status, written = run_on_ledger(ledger, lambda opened: _write(opened, campaign_id, chosen))
    if written < status.recipients:
        output.warn("The numbers of this campaign are forgotten: only its counts are left")
    if chosen == "text":
        _summarize(status)


async def _write(ledger: Ledger, campaign_id: str, form: str) -> tuple[CampaignStatus, int]:
    line, written, out = _FORMATS[form], 0, sys.stdout
    await ledger.status(campaign_id)
    if form == "csv":
        out.write(csv_line(COLUMNS))
    async for recipient in read_report(ledger, campaign_id):
        out.write(line(recipient))
        written += 1
    return await ledger.status(campaign_id), written


def _summarize(status: CampaignStatus) -> None:
    names = ("accepted", "rejected", "not_sent", "unknown")
    fates = [f"{getattr(status, name):,} {name.replace('_', ' ')}" for name in names]
    waiting = status.queued + status.sending
    more = [f"{waiting:,} waiting"] if waiting else []
    output.say(f"{output.count(status.recipients, 'recipient')}: {', '.join(fates + more)}.")
