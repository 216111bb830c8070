"""`--excel`: CSV as a French Excel opens it by a double click."""

from __future__ import annotations

import csv
import re
import sys
from contextlib import suppress
from io import StringIO
from typing import Annotated

from vavasms.cli.params import flag
from vavasms.i18n import gettext as _

Excel = Annotated[
    bool, flag(_("Write the CSV as Excel in French opens it: with semicolons."), name="--excel")
]
DELIMITER = ";"

_is_number = re.compile(r"\+?[0-9]+").fullmatch


def keep_digits(number: str) -> str:
    """Write a phone number so that Excel takes no zero from it, and makes no 2,25E+12 of it."""
    return f'="{number}"' if _is_number(number) else number


def print_mark() -> None:
    """Begin a CSV on standard output: Excel takes it for UTF-8 by its mark only."""
    with suppress(AttributeError):  # a stream that some host program put there
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write("\ufeff")


def write_line(line: str) -> str:
    """Return a line of CSV as Excel takes it; its first cell may be a phone number."""
    (number, *cells), text = next(csv.reader([line])), StringIO()
    csv.writer(text, delimiter=DELIMITER, lineterminator="\n").writerow([keep_digits(number), *cells])
    return text.getvalue()
