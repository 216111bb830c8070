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
