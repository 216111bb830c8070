"""`--excel`: CSV as a French Excel opens it by a double click."""

from __future__ import annotations

import csv
import re
import sys
from io import StringIO
from typing import Annotated, TextIO

from vavasms.campaigns.planning.refused import EXCEL_DELIMITER, keep_digits
from vavasms.cli.output_file import set_utf8
from vavasms.cli.params import flag
from vavasms.i18n import gettext as _

Excel = Annotated[
    bool, flag(_("Write the CSV as Excel in French opens it: with semicolons."), name="--excel")
]
_is_amount = re.compile(r"[0-9]+\.[0-9]+").fullmatch


def print_mark(out: TextIO | None = None) -> None:
    """Begin a CSV, on standard output if on no other: Excel takes it for UTF-8 by its mark only."""
    out = out or sys.stdout
    set_utf8(out)
    out.write("\ufeff")


def write_line(line: str, *, texts: int = 1) -> str:
    """Return a line of CSV as Excel takes it.

    Its first cells, so many `texts`, keep their digits: phone numbers, what a list says. Its last may be an
    amount.
    """
    cells, text = next(csv.reader([line])), StringIO()
    cells[:texts] = map(keep_digits, cells[:texts])
    # To a French Excel 12.5 is the twelfth of May.
    cells[-1:] = [cell.replace(".", ",") if _is_amount(cell) else cell for cell in cells[-1:]]
    csv.writer(text, delimiter=EXCEL_DELIMITER, lineterminator="\n").writerow(cells)
    return text.getvalue()
