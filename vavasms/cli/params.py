"""Options that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from vavasms.cli import output
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _


def flag(description: str, *, name: str | None = None) -> Parameter:
    """Return an option that takes no value and has no opposite."""
    return Parameter(name=name, negative=(), show_default=False, help=description)


def text_option(description: str, *, metavar: str = "TEXT", name: str | None = None) -> Parameter:
    """Return an option whose value may begin with a hyphen, and be one."""
    return Parameter(
        name=name, metavar=metavar, show_default=False, allow_leading_hyphen=True, help=description
    )


JsonFlag = Annotated[bool, flag(_("Print JSON for programs."), name="--json")]
Yes = Annotated[bool, flag(_("Do not ask."))]
SenderId = Annotated[
    str | None, text_option(_("Who it comes from [VAVASMS_SENDER_ID]."), metavar="ID", name="--sender-id")
]
#: A list, and how the commands that take one read it.
Contacts = Annotated[
    str,
    Parameter(
        help=_("CSV, XLSX, or one number a line; `-` is standard input."),
        show_default=False,
        allow_leading_hyphen=True,
    ),
]
Region = Annotated[
    str | None,
    Parameter(
        metavar="CC", help=_("The country of all numbers, such as CI: makes old 8-digit ones readable.")
    ),
]
Repair = Annotated[bool, flag(_("Take the new number in place of an old or spoiled one."))]
PhoneColumn = Annotated[
    str | None,
    Parameter(
        name="--phone-column", metavar="NAME", help=_("The name of the column that holds the numbers.")
    ),
]
SheetName = Annotated[
    str | None,
    Parameter(
        name="--sheet", metavar="NAME", help=_("The sheet, where it is not the first that holds anything.")
    ),
]
TextEncoding = Annotated[
    str | None,
    Parameter(
        name="--encoding",
        metavar="NAME",
        help=_("The encoding of a text that is not UTF-8, cp1252 or marked, such as mac_roman."),
    ),
]


def open_contacts(contacts: str) -> Path | BinaryIO:
    """Return the list to read; `-` is standard input."""
    if contacts != "-":
        return Path(contacts)
    if sys.stdin is None:
        raise InvalidInputError(
            _("There is no standard input: name a file. Nothing was sent."), error_code="usage.no_input"
        )
    if sys.stdin.isatty():
        output.warn(_("Type one number a line, and Ctrl-D at the end."))
    return sys.stdin.buffer


CampaignId = Annotated[str, Parameter(name="ID", help=_("The id that `vavasms campaign run` printed."))]
