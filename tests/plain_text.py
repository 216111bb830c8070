"""What a terminal and a log show as it is."""

from __future__ import annotations

import unicodedata


def is_plain(text: str) -> bool:
    """Return whether a terminal or a log shows this as the one line it is."""
    return not any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        for character in text
    )
