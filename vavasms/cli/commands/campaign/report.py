"""`campaign report`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Literal

from attrs import frozen
from cyclopts import Parameter

from vavasms.campaigns.report import (
    RecipientReport,
    csv_columns,
    csv_line,
    format_csv,
    format_json,
    format_text,
    kept_columns,
    read_report,
)
from vavasms.campaigns.summary import CampaignSummary, dump_summary, read_summary
from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import count_outcome, count_outcomes
from vavasms.cli.excel import Excel, print_mark, write_line
from vavasms.cli.ledger_option import LedgerPath, run_on_ledger
from vavasms.cli.output_file import OutputPath, open_binary, open_text, set_utf8
from vavasms.cli.params import CampaignId, JsonFlag, flag
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus

_LINES: dict[str, Callable[[RecipientReport], str]] = {
    "text": format_text,
    "csv": format_csv,
    "json": format_json,
}


def report(
    campaign_id: CampaignId,
    /,
    *,
    form: Annotated[
        Literal["text", "html", "xlsx", "csv", "json"],
        Parameter(
            name="--format",
            help=_(
                "A line a recipient for people, a page of figures, a spreadsheet, or an object a line for "
                "programs."
            ),
        ),
    ] = "text",
    summary: Annotated[bool, flag(_("With JSON: the figures of the page, in one object."))] = False,
    excel: Excel = False,
    output_file: OutputPath = None,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Report what became of a campaign, and of each of its recipients."""
    chosen = "json" if as_json else form
    _check(chosen, summary=summary, excel=excel, path=output_file)
    wanted = _Wanted(campaign_id=campaign_id, form=chosen, excel=excel, path=output_file)
    if summary or chosen == "html":
        run_on_ledger(ledger, wanted.write_summary)
    else:
        status, written = run_on_ledger(ledger, wanted.write)
        if written < status.recipients:
            output.warn(_("The numbers of this campaign are forgotten: only its counts are left"))
        if chosen == "text":
            _summarize(status)
    if output_file is not None and not as_json:
        output.say(_("The report is in {path}.", path=output.clean(output_file)))


def _check(form: str, *, summary: bool, excel: bool, path: str | None) -> None:
    """Raise an error where the options do not go together, or an extra is missing."""
    if excel and form != "csv":
        raise _misused(_("--excel is for CSV only: add --format csv."))
    if summary and form != "json":
        raise _misused(_("--summary is for JSON only: add --format json, or see --format html."))
    if form == "html" and find_spec("jinja2") is None:
        raise misconfigured(
            _("A report as a page needs its extra: pip install 'vavasms[report]'."), "config.extra"
        )
    if form == "xlsx" and find_spec("xlsxwriter") is None:
        raise misconfigured(
            _("A spreadsheet needs its extra: pip install 'vavasms[xlsx]', or save it as CSV."),
            "config.extra",
        )
    if form == "xlsx" and path is None and sys.stdout.isatty():
        raise _misused(_("A terminal shows no spreadsheet: add --output FILE."))


def _misused(sentence: Sentence) -> InvalidInputError:
    return InvalidInputError(sentence, error_code="usage.options", outcome=None)


@frozen(kw_only=True)
class _Wanted:
    """What is reported, how and where to."""

    campaign_id: str
    form: str
    excel: bool
    #: None: standard output.
    path: str | None

    async def write_summary(self, ledger: Ledger) -> None:
        """Write the figures of the campaign as a whole."""
        figures = await read_summary(ledger, self.campaign_id, now=time.time())
        with open_text(self.path) as out:
            if self.form == "html":
                set_utf8(out)
            out.write(_format_html(figures) if self.form == "html" else dump_summary(figures))

    async def write(self, ledger: Ledger) -> tuple[CampaignStatus, int]:
        """Write the report; return the campaign's counts and how many recipients were written."""
        kept = kept_columns(await ledger.campaign(self.campaign_id))
        written = await (self._write_workbook if self.form == "xlsx" else self._write_lines)(ledger, kept)
        return await ledger.status(self.campaign_id), written

    async def _write_workbook(self, ledger: Ledger, kept: tuple[str, ...]) -> int:
        # Here, for the extra may be missing.
        from vavasms.campaigns.workbook import write_workbook

        with open_binary(self.path) as file:
            return await write_workbook(file, read_report(ledger, self.campaign_id), kept=kept)

    async def _write_lines(self, ledger: Ledger, kept: tuple[str, ...]) -> int:
        line, written = _LINES[self.form], 0
        adapt: Callable[[str], str] = partial(write_line, texts=1 + len(kept)) if self.excel else str
        with open_text(self.path) as out:
            if self.excel:
                print_mark(out)
            if self.form == "csv":
                out.write(adapt(csv_line(csv_columns(kept))))
            async for recipient in read_report(ledger, self.campaign_id):
                out.write(adapt(line(recipient)))
                written += 1
        return written


def _format_html(figures: CampaignSummary) -> str:
    # Here, for the extra may be missing.
    from vavasms.campaigns.report_page import format_html

    return format_html(figures)


def _summarize(status: CampaignStatus) -> None:
    fates: list[str] = [count_outcome(outcome, count) for outcome, count in count_outcomes(status).items()]
    if waiting := status.queued + status.sending:
        fates.append(ngettext("{n} waiting", "{n} waiting", waiting))
    recipients = ngettext("{n} recipient", "{n} recipients", status.recipients)
    output.say(_("{recipients}: {fates}.", recipients=recipients, fates=", ".join(fates)))
