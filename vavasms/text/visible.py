"""What a handset can show of a text."""

from __future__ import annotations

import re
from functools import cache

# Blanks, and what Unicode says no font draws: soft hyphen, grapheme joiner, fillers, zero-width characters,
# bidi marks, joiners, variation selectors, byte order mark, tags. The Braille blank is drawn as nothing.
_INVISIBLE = (
    r"\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# All of C0 and C1 but tab and the two line ends: 0x1B is GSM-7's escape, 0x80 to 0x9F is text read in a
# wrong encoding.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"


# Both are compiled with the first text that is looked at, not with the module: half a millisecond.
@cache
def _visible() -> re.Pattern[str]:
    return re.compile(f"[^{_INVISIBLE}]")


@cache
def _control() -> re.Pattern[str]:
    return re.compile(_CONTROL)


def is_visible(text: str) -> bool:
    """Return whether a handset shows anything of a text."""
    return _visible().search(text) is not None


def has_control(text: str) -> bool:
    """Return whether a text holds a control character other than a tab or a line end."""
    return _control().search(text) is not None
