"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

JsonFlag = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON for programs.")
]
SenderId = Annotated[
    str | None,
    Parameter(
        name="--sender-id",
        metavar="ID",
        allow_leading_hyphen=True,
        help="Who it comes from [VAVASMS_SENDER_ID].",
    ),
]
#: How the commands that take a list read it.
PhoneColumn = Annotated[
    str | None,
    Parameter(name="--phone-column", metavar="NAME", help="The name of the column that holds the numbers."),
]
SheetName = Annotated[
    str | None,
    Parameter(
        name="--sheet", metavar="NAME", help="The sheet, where it is not the first that holds anything."
    ),
]
TextEncoding = Annotated[
    str | None,
    Parameter(
        name="--encoding",
        metavar="NAME",
        help="The encoding of a text that is not UTF-8, cp1252 or marked, such as mac_roman.",
    ),
]
