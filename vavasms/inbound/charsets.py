"""Bytes to text, in the charset that was declared or else in the one they are evidently in. Pure."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

#: Where ASCII is itself. Python knows more, some of which read any text slowly or as something else.
_KNOWN = re.compile(
    r"utf-8(-sig)?|ascii|iso8859-\d+|cp(125[0-8]|437|85[0-9]|86[0-9])|mac-roman|koi8-[ru]|gb\w+|big5|euc_\w+"
)
#: What a declaration of these means on the web: Windows' letters stand in the places of control characters.
_WINDOWS = {"iso8859-1": "cp1252"}


def decode(raw: bytes, charset: str | None) -> str:
    """Return the text of some bytes: in `charset` where that fits, else in UTF-8, else in Windows' letters.

    French operators send Latin-1, with and without saying so. Never fails.
    """
    for encoding in (_find(charset or ""), "utf-8"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    # Five bytes have no letter there.
    return raw.decode("cp1252", "replace")


def _find(charset: str) -> str:
    """Return Python's name of a charset, or UTF-8's."""
    name = "utf-8"
    with suppress(LookupError, ValueError):
        name = codecs.lookup(charset).name
    return _WINDOWS.get(name, name) if _KNOWN.fullmatch(name) else "utf-8"
