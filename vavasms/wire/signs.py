"""Signs of a success in what cannot be believed as one: they speak against every refusal. Pure.

A gateway may accept a message and answer a 4xx all the same: a proxy's outbound rule, a notice of PHP's
behind the envelope, a body cut short. A sign too many costs an unknown outcome, one too few a second SMS.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

#: Beyond it nobody looks: searching would hold the event loop.
MAX_LEGIBLE_BYTES = 256 * 1024
# Patterns are texts here, compiled when first looked for: most programs never do.
#: JSON, JSON5, and the ways PHP prints an array; a code such as 0901 is none.
_CODE_0 = (
    r"""(?i)(?:["'\[]code(?:["']\]?|\])|[{,(]\s*code)\s*(?::|=>?|;)\s*(?:int\(|i:|string\(\d\)\s*|s:\d:)?"""
    r"""["']?\s*[+-]?\.?0+(?!\d)|<code>\s*0+(?!\d)"""
)
_CODE = r"""(?i)["']code["']\s*:|[{,]\s*code\s*:"""
#: What only a success is called; the vendor writes it with one S.
_NAME = "(?i)OPERATION_SUCC"
#: What only a success has: its ids, and what they look like.
_IDS = r"(?i)lot_id|message_id|\b(?:LOT|SM|OTP)-\d{6}"
_ID_NAMES = frozenset({"lot_id", "message_id"})
_OBJECT = r"""\{\s*(?:["']|\Z)"""
_ESCAPE = r"\\u([0-9a-fA-F]{4})"
_CONTROL = r"[\x00-\x08\x0b\x0e-\x1f\x7f]"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class CodeWatch:
    """A watch over every object of a document as it is parsed, for `json.loads(object_pairs_hook=…)`.

    Names are compared as they were parsed: `"c\\u006fde"` is a code.
    """

    def __init__(self) -> None:
        #: An object has two codes: which of them counts would be a guess.
        self.has_twins = False
        #: Some object has the code 0.
        self.has_zero = False
        #: Some object has the id of a lot or of a message.
        self.has_ids = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the object; the last of several values of a name wins, as everywhere in Python."""
        codes = [value for name, value in pairs if name == "code"]
        self.has_ids = self.has_ids or any(name in _ID_NAMES and value for name, value in pairs)
        self.has_twins = self.has_twins or len(codes) > 1
        self.has_zero = self.has_zero or any(_is_zero(code) for code in codes)
        return dict(pairs)


def says_success(text: str) -> bool:
    """Return whether a success's code or name stands anywhere in a text, nested and escaped ones too."""
    return _says_success(_unescape(text))


def may_hold_success(body: bytes) -> bool:
    """Return whether a body that is no envelope may hold a success.

    True as well for what cannot be read: another encoding, a compression, a document that is cut or that
    another one follows.
    """
    text = _read(body)
    if text is None:
        return True
    plain = _unescape(text)
    if _says_success(plain) or re.search(_IDS, plain):
        return True
    if text.startswith(("{", "[")):
        return not _is_whole(text)
    return re.search(_CODE, plain) is not None or _has_cut_object(text)


def _says_success(plain: str) -> bool:
    return re.search(_CODE_0, plain) is not None or re.search(_NAME, plain) is not None


def _read(body: bytes) -> str | None:
    if len(body) > MAX_LEGIBLE_BYTES or body.startswith(_WIDE_MARKS):
        return None
    text = _decode(body)
    return None if text is None or re.search(_CONTROL, text) else text.strip("\ufeff \t\r\n")


def _decode(body: bytes) -> str | None:
    for encoding in ("utf-8", "cp1252"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _unescape(text: str) -> str:
    plain = re.sub(_ESCAPE, lambda escape: chr(int(escape[1], 16)), html.unescape(text))
    return plain.replace("\\", "")


def _is_whole(text: str) -> bool:
    watch = CodeWatch()
    try:
        json.loads(text, object_pairs_hook=watch)
    except (ValueError, RecursionError):
        return False
    return not (watch.has_twins or watch.has_zero)


def _has_cut_object(text: str) -> bool:
    decoder, objects, at = json.JSONDecoder(), re.compile(_OBJECT), 0
    while start := objects.search(text, at):
        try:
            _, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return True
    return False


def _is_zero(code: object) -> bool:
    if isinstance(code, str):
        return re.fullmatch(r"\s*[+-]?0+(?:\.0*)?\s*", code) is not None
    return isinstance(code, int | float) and not isinstance(code, bool) and code == 0
