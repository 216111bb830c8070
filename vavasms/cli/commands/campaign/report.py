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
from vavasms.cli.commands.campaign.status_view import count_outcome, count_outcomes
from vavasms.cli.excel import Excel, print_mark, write_line
from vavasms.cli.ledger_option import LedgerPath, run_on_ledger
from vavasms.cli.params import CampaignId, JsonFlag
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
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
        Parameter(name="--format", help=_("For people, for spreadsheets, or an object a line for programs.")),
    ] = "text",
    excel: Excel = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Report what became of the message to each recipient."""
    chosen = "json" if as_json else form
    if excel and chosen != "csv":
        raise InvalidInputError(
            _("--excel is for CSV only: add --format csv."), error_code="usage.options", outcome=None
        )
    status, written = run_on_ledger(ledger, lambda opened: _write(opened, campaign_id, chosen, excel=excel))
    if written < status.recipients:
        output.warn(_("The numbers of this campaign are forgotten: only its counts are left"))
    if chosen == "text":
        _summarize(status)


async def _write(ledger: Ledger, campaign_id: str, form: str, *, excel: bool) -> tuple[CampaignStatus, int]:
    line, written, out = _FORMATS[form], 0, sys.stdout
    adapt = write_line if excel else str
    await ledger.status(campaign_id)
    if excel:
        print_mark()
    if form == "csv":
        out.write(adapt(csv_line(COLUMNS)))
    async for recipient in read_report(ledger, campaign_id):
        out.write(adapt(line(recipient)))
        written += 1
    return await ledger.status(campaign_id), written


def _summarize(status: CampaignStatus) -> None:
    fates: list[str] = [count_outcome(outcome, count) for outcome, count in count_outcomes(status).items()]
    if waiting := status.queued + status.sending:
        fates.append(ngettext("{n} waiting", "{n} waiting", waiting))
    recipients = ngettext("{n} recipient", "{n} recipients", status.recipients)
    output.say(_("{recipients}: {fates}.", recipients=recipients, fates=", ".join(fates)))
