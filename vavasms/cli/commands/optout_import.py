"""`optouts import`: what is said of the rows."""

from __future__ import annotations

from attrs import define, field

from vavasms.campaigns.opt_out_import import FATES, OptOutImport, write_ranges
from vavasms.campaigns.planning.contacts import ContactList, Judge, Verdict
from vavasms.campaigns.planning.contacts.reader import Line
from vavasms.campaigns.planning.refused import RefusedFile
from vavasms.cli import output
from vavasms.cli.ledger_option import open_ledger
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext

#: Refused rows that are explained one by one; the others are listed.
_SHOWN = 10


@define(kw_only=True)
class Import:
    """One file on its way to the opt-out list, for a terminal."""

    contacts: ContactList
    judge: Judge
    source: str
    is_quiet: bool
    left_out: RefusedFile | None = None
    work: OptOutImport = field(init=False)

    @work.default
    def _make_work(self) -> OptOutImport:
        return OptOutImport(
            contacts=self.contacts, judge=self.judge, source=self.source, on_refused=self._refuse
        )

    async def run(self, place: str | None) -> None:
        """Put the numbers that can be read on the list."""
        async with open_ledger(place) as ledger:
            await self.work.run(ledger)

    def summarize(self) -> None:
        """Show the counts, and which rows were not read."""
        counts = self.work.counts
        output.say(
            ngettext(
                "{n} number: {added} added, {known} known already, {duplicates}, {refused} refused.",
                "{n} numbers: {added} added, {known} known already, {duplicates}, {refused} refused.",
                counts.total(),
                **{fate: counts[fate] for fate in FATES}
                | {"duplicates": ngettext("{n} duplicate", "{n} duplicates", counts["duplicates"])},
            )
        )
        if counts["refused"] > _SHOWN:
            rows = ", ".join(write_ranges(self.work.refused_rows))
            output.warn(_("Not read, and so not on the list: row {rows}", rows=rows))

    def _refuse(self, line: Line, verdict: Verdict) -> None:
        if self.left_out is not None:
            self.left_out.write(line, verdict.reason or "")
        if not self.is_quiet and self.work.counts["refused"] <= _SHOWN:
            row, why = str(line[0]), verdict.sentence.rstrip(".")
            if verdict.suggestion is None:
                output.warn(_("Row {row}: {why}", row=row, why=why))
            else:
                use = verdict.suggestion.e164
                output.warn(_("Row {row}: {why} (--repair takes {number})", row=row, why=why, number=use))
