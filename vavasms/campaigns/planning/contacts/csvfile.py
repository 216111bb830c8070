"""CSV as people's spreadsheets write it: which delimiter, and its records one by one."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import IO

from attrs import define, field

from vavasms.campaigns.planning.contacts.encodings import FileEncoding, mend_record
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

DELIMITERS = (",", ";", "\t", "|")
#: No text holds it: a record is one cell.
UNDIVIDED = "\x1f"
#: A header is looked for in so many records.
HEAD = 20

_SAMPLE = 1 << 16
_SAMPLE_ROWS = 50
#: What Excel writes, and hides, in the first line.
_match_declared = re.compile(r'"?sep=([^\w\s"]|\t)"?', re.IGNORECASE).match


@define
class Strays:
    """Records that are not in the encoding of their file."""

    count: int = 0
    #: Of the first, as a spreadsheet counts it.
    row: int = 0
    text: str = field(default="", repr=False)

    def add(self, row: int, record: list[str]) -> None:
        """Count one, and keep the first."""
        if not self.count:
            self.row, self.text = row, " ".join(filter(None, record))
        self.count += 1


def read_sample(text: IO[str], name: str, encoding: FileEncoding) -> list[str]:
    """Return the first lines that hold anything, and go back to the start.

    Raises `InvalidInputError` where they are not in an encoding that the caller named.
    """
    try:
        sample = text.read(_SAMPLE)
    except UnicodeError:
        sample = None
    if sample is None:
        raise InvalidInputError(
            _(
                "{name} is not in the encoding {encoding}. Nothing was sent.",
                name=name,
                encoding=encoding.name,
            ),
            error_code="list.encoding",
        )
    text.seek(0)
    return [line for line in sample.splitlines() if line.strip()][:_SAMPLE_ROWS]


def find_delimiter(lines: list[str], rate: Callable[[list[str]], float]) -> str:
    """Choose the delimiter that makes the best header of one of the first lines, then the most even lines.

    `rate` returns how good a header is, 0 for none. `UNDIVIDED` where nothing parts the lines; a first line
    `sep=;` decides.
    """
    if not lines:
        return UNDIVIDED
    if declared := _match_declared(lines[0]):
        return declared[1]
    scores = {delimiter: _score(lines, delimiter, rate) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best][-1] > 1 else UNDIVIDED


def is_declaration(record: list[str]) -> bool:
    """Return whether a first record is Excel's `sep=;`."""
    return record[0].strip().casefold().startswith("sep=") and not any(record[1:])


def read_records(
    text: IO[str], delimiter: str, name: str, encoding: FileEncoding, strays: Strays
) -> Iterator[tuple[int, list[str]]]:
    """Return each record that holds anything, with its row as a spreadsheet counts it, from 1.

    Raises `InvalidInputError` at a quote that is never closed: the rest of the file would be one cell.
    """
    row, is_broken = 0, False
    # People put a blank before a quote.
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for row, record in enumerate(reader, start=1):
            if record and (record[0] or any(record)):
                yield row, _mend(row, record, encoding, strays) if encoding.is_mixed else record
    except csv.Error:
        is_broken = True
    if is_broken:
        raise InvalidInputError(
            _(
                '{name} has a quotation mark " out of place in row {row}: close it, or remove it. '
                "Nothing was sent.",
                name=name,
                row=str(row + 1),
            ),
            error_code="list.quotation_mark",
        )


def _mend(row: int, record: list[str], encoding: FileEncoding, strays: Strays) -> list[str]:
    mended, is_stray = mend_record(record, encoding)
    if is_stray:
        strays.add(row, mended)
    return mended


def _score(lines: list[str], delimiter: str, rate: Callable[[list[str]], float]) -> tuple[float, float, int]:
    """Rate a delimiter: how good a header it makes, the share of lines below as wide as that, its width."""
    records = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    scores = [_score_header(records[place:], rate) for place in range(min(len(records), HEAD))]
    best = max(scores)
    # Without any header the first line stands for all.
    return best if best[0] else (0.0, *scores[0][1:])


def _score_header(records: list[list[str]], rate: Callable[[list[str]], float]) -> tuple[float, float, int]:
    width = len(records[0])
    if width < 2:
        return 0.0, 0.0, width
    alike = sum(len(record) == width for record in records) / len(records)
    # Of lines that another delimiter parts, some make long cells that speak of a phone.
    return rate(records[0]) * alike, alike, width
