"""`optouts import`: a number that is not read is a person who is written to against their will."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from attrs import define, field

from vavasms.campaigns.planning.contacts import ContactList, Fate, Judge, Verdict
from vavasms.campaigns.planning.contacts.reader import TOO_MANY_CELLS, Line
from vavasms.cli import output
from vavasms.cli.ledger_option import open_ledger
from vavasms.cli.refused import RefusedFile
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
from vavasms.numbers import Msisdn

#: Numbers written at a time.
_PAGE = 1000
#: Refused rows that are explained one by one; the others are listed.
_SHOWN = 10
#: What becomes of a number of an imported file.
FATES = ("added", "known", "duplicates", "refused")


@define(kw_only=True)
class Import:
    """One file on its way to the opt-out list."""

    contacts: ContactList
    judge: Judge
    #: Where the numbers come from, as the list will have it.
    source: str
    is_quiet: bool
    left_out: RefusedFile | None = None
    counts: Counter[str] = field(factory=Counter, init=False)
    #: The rows that could not be read, each once.
    refused_rows: list[int] = field(factory=list, init=False)

    async def run(self, place: str | None) -> None:
        """Put the numbers that can be read on the list."""
        async with open_ledger(place) as ledger:
            for chunk in self.contacts.chunks(_PAGE):
                numbers = list(self._read(chunk))
                added = await ledger.add_opt_outs(numbers, source=self.source, now=time.time())
                self.counts["added"] += added
                self.counts["known"] += len(numbers) - added

    def summarize(self) -> None:
        """Show the counts, and which rows were not read."""
        output.say(
            ngettext(
                "{n} number: {added} added, {known} known already, {duplicates}, {refused} refused.",
                "{n} numbers: {added} added, {known} known already, {duplicates}, {refused} refused.",
                self.counts.total(),
                **{fate: self.counts[fate] for fate in FATES}
                | {"duplicates": ngettext("{n} duplicate", "{n} duplicates", self.counts["duplicates"])},
            )
        )
        if self.counts["refused"] > _SHOWN:
            rows = ", ".join(write_ranges(self.refused_rows))
            output.warn(_("Not read, and so not on the list: row {rows}", rows=rows))

    def _read(self, chunk: Iterable[Line]) -> Iterator[Msisdn]:
        """Return the numbers to be put on the list; count and name the others."""
        for line in chunk:
            verdict = self._judge(line)
            if verdict.fate is Fate.REFUSED:
                self._refuse(line, verdict)
            elif verdict.fate is Fate.DUPLICATE:
                self.counts["duplicates"] += 1
            else:
                assert verdict.recipient is not None
                yield verdict.recipient

    def _judge(self, line: Line) -> Verdict:
        if len(line[2]) <= len(self.contacts.columns):
            return self.judge.judge(line[1])
        sentence = _("the row has more cells than the header")
        return Verdict(fate=Fate.REFUSED, reason=TOO_MANY_CELLS, sentence=sentence)

    def _refuse(self, line: Line, verdict: Verdict) -> None:
        self.counts["refused"] += 1
        if self.refused_rows[-1:] != [line[0]]:
            self.refused_rows.append(line[0])
        if self.left_out is not None:
            self.left_out.write(line, verdict.reason or "")
        if not self.is_quiet and self.counts["refused"] <= _SHOWN:
            row, why = str(line[0]), verdict.sentence.rstrip(".")
            if verdict.suggestion is None:
                output.warn(_("Row {row}: {why}", row=row, why=why))
            else:
                use = verdict.suggestion.e164
                output.warn(_("Row {row}: {why} (--repair takes {number})", row=row, why=why, number=use))


def write_ranges(rows: Iterable[int]) -> list[str]:
    """Write rising numbers with their neighbours drawn together: `2`, `4-6`."""
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
