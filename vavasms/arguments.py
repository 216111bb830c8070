"""Arguments that are a bool, and nothing that merely counts as one: `"no"` is true to Python."""

from __future__ import annotations

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

NOTHING_SENT = N_("{name} is True or False; nothing was sent.")
NOTHING_CHANGED = N_("{name} is True or False; nothing was changed.")


def find_no_bool(**flags: object) -> str | None:
    """Return the name of the first argument that is neither True nor False; None where all are."""
    return next((name for name, value in flags.items() if not isinstance(value, bool)), None)


def check_flags(sentence: str, **flags: object) -> None:
    """Raise `InvalidInputError` for an argument that is neither True nor False.

    `sentence` is `NOTHING_SENT` or `NOTHING_CHANGED`.
    """
    name = find_no_bool(**flags)
    if name is not None:
        raise InvalidInputError(_(sentence, name=name), error_code="input.flag", argument=name)
