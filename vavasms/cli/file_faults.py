"""Why a file cannot be written, in the language of the moment."""

from __future__ import annotations

from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

#: As systems have it.
_FAULTS = (
    N_("No such file or directory"),
    N_("Permission denied"),
    N_("File exists"),
    N_("Is a directory"),
    N_("Not a directory"),
    N_("Read-only file system"),
    N_("No space left on device"),
    N_("File name too long"),
    N_("Invalid argument"),
)


def name_fault(error: Exception) -> Sentence:
    """Return why it cannot, of the error that came of it."""
    return _(getattr(error, "strerror", None) or N_("no name of a file"))
