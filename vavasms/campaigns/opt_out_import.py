"""Put the numbers of a list on the opt-out list: one that is not read is a person who is written to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from attrs import define, field

from vavasms.campaigns.planning.contacts import ContactList, Fate, Judge, Verdict
from vavasms.campaigns.planning.contacts.reader import TOO_MANY_CELLS, Line
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.numbers import Msisdn

#: Numbers written at a time.
_PAGE = 1000
#: What becomes of a number of an imported list.
FATES = ("added", "known", "duplicates", "refused")


@define(kw_only=True)
class OptOutImport:
    """One list on its way to the opt-out list."""

    contacts: ContactList
    judge: Judge
    #: Where the numbers come from, as the list will have it.
    source: str
    #: Called with each number that cannot be read.
    on_refused: Callable[[Line, Verdict], object] | None = None
    #: By fate.
    counts: Counter[str] = field(factory=Counter, init=False)
    #: The rows that could not be read, each once.
    refused_rows: list[int] = field(factory=list, init=False)

    async def run(self, ledger: Ledger) -> None:
        """Put the numbers that can be read on the list."""
        for chunk in self.contacts.chunks(_PAGE):
            numbers = list(self._read(chunk))
            added = await ledger.add_opt_outs(numbers, source=self.source, now=time.time())
            self.counts["added"] += added
            self.counts["known"] += len(numbers) - added

    def _read(self, chunk: Iterable[Line]) -> Iterator[Msisdn]:
        """Yield the numbers to be put on the list; count and name the others."""
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
        if self.on_refused is not None:
            self.on_refused(line, verdict)


def write_ranges(rows: Iterable[int]) -> list[str]:
    """Write rising numbers with their neighbours drawn together: `2`, `4-6`."""
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
