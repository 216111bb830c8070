"""A text folded to GSM-7 where that changes its looks and not its sense."""

from __future__ import annotations

import re
import unicodedata

from vavasms.text.gsm7 import BASIC, CHARACTER_SET, EXTENSION, search_foreign

_PLAIN = {
    "'": "‘’‚‛′`´ʼʹˈ‹›＇",
    '"': "“”„‟″«»＂",
    "-": "‐‑‒–—―−﹘﹣－•●▪‣⁃",
    ".": "·‧․",
    "..": "‥",
    "...": "…",
    " ": "\t",
    "\n": "\u2028\u2029\x85",
    "/": "⁄∕",
    "|": "¦",
    "x": "×",
    "+/-": "±",
    "<=": "≤",
    ">=": "≥",
    "->": "→",
    "<-": "←",
    "(c)": "©",
    "(r)": "®",
    "(tm)": "™",
    "No": "№",
    "a": "ª",
    "o": "º",
    "oe": "œ",
    "OE": "Œ",
    "ij": "ĳ",
    "IJ": "Ĳ",
    "ff": "ﬀ",
    "fi": "ﬁ",
    "fl": "ﬂ",
    "ffi": "ﬃ",
    "ffl": "ﬄ",
    "st": "ﬅﬆ",
    "s": "ſ",
    "SS": "ẞ",
    "'n": "ŉ",
    "l": "ł",
    "L": "Ł",
    "d": "đ",
    "D": "Đ",
    "h": "ħ",
    "H": "Ħ",
    "t": "ŧ",
    "T": "Ŧ",
    "i": "ı",
    # Invisible wherever they stand; the joiners and bidi marks below are not.
    "": "\u200b\u2060\ufeff\u00ad",
}

# A degree sign or a square is the letter's own only after these; "25°C" and "10²" would change their sense.
_IN_CONTEXT = (
    (re.compile(r"(?<=[nN])°"), "o"),
    (re.compile(r"(?<=m)²"), "2"),
    (re.compile(r"(?<=m)³"), "3"),
)
# Joiners, bidi marks and variation selectors shape emoji and Arabic: removed only where no such neighbour is.
_MARKS = "\u200c-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufe0e\ufe0f"
_IDLE_MARKS = re.compile(rf"(?<![^{CHARACTER_SET}])[{_MARKS}]+(?![^{CHARACTER_SET}])")
# Accents that no precomposed letter holds. Strokes (U+0334 to U+0338) stay: they delete
# the letter.
_LOOSE_ACCENTS = re.compile(r"(?<=[A-Za-zÄÖÑÜÅÆØÇÉäöñüàåæøßèéùìò])[\u0300-\u0333\u0339-\u036f]+")


class _Folds(dict[int, str]):
    """Characters to their GSM-7 spelling, worked out at first sight and kept."""

    def __missing__(self, code: int) -> str:
        # Bounded by the number of Unicode's characters, and in practice by the alphabets in use.
        self[code] = folded = _fold_character(chr(code))
        return folded


def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if "！" <= character <= "～":
        return chr(ord(character) - 0xFEE0)
    if not category.startswith("L"):
        return character  # "≠" is "=" with a stroke, and means the opposite
    base = "".join(c for c in unicodedata.normalize("NFD", character) if not unicodedata.combining(c))
    base = base.translate(_TABLE) if base != character else base
    return character if search_foreign(base) else base


_TABLE = _Folds({ord(old): new for new, olds in _PLAIN.items() for old in olds})
_TABLE.update({ord(kept): kept for kept in BASIC + EXTENSION})


def fold_to_gsm7(text: str) -> str:
    """Replace what forces UCS-2 by its GSM-7 spelling, where that keeps the sense.

    Accents GSM-7 lacks are dropped (`ê` to `e`, `ç` to `c`), ligatures spelt out, typographic quotes,
    dashes, spaces and ellipses made plain, invisible characters removed. Characters that GSM-7 has (`é`,
    `è`, `à`, `ù`, `Ç`) are never touched. What has no plain spelling (emoji, Arabic, `ɛ`, `25°C`) stays,
    and with it UCS-2: ask `count_segments`. The text may grow (`œ` to `oe`).

    One such character makes a text of 160 characters cost three SMS instead of one, so campaigns offer this.

    Pure and idempotent; a text that is GSM-7 already comes back as it is.
    """
    while search_foreign(text) is not None:
        folded = _fold_once(text)
        if folded == text:
            break
        text = folded
    return text


def _fold_once(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    for pattern, plain in _IN_CONTEXT:
        text = pattern.sub(plain, text)
    text = _IDLE_MARKS.sub("", text).translate(_TABLE)
    return _LOOSE_ACCENTS.sub("", text)
