"""Times on the command line: `90s`, `15m`, `24h`, `30d`."""

from __future__ import annotations

import re

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# Not endless: the times of a ledger are numbers that can be compared.
_read = re.compile(r"([0-9]{1,6})([smhdw])").fullmatch


def read_duration(text: str, option: str) -> float:
    """Return the seconds of a time such as `24h`. Raises `InvalidInputError`, naming the option."""
    found = _read(text.strip().lower())
    if found is None:
        raise InvalidInputError(
            _(
                "{option} takes a whole number and a unit, such as 90s, 15m, 24h, 30d or 2w. "
                "Nothing was changed.",
                option=option,
            ),
            error_code="usage.value",
            outcome=None,
        )
    return float(int(found[1]) * _SECONDS[found[2]])
