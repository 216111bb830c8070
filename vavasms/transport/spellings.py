"""The spellings in which a text may come back: what PHP does to it, undone, and what all of them share."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html.entities import html5
from unicodedata import category, decimal, normalize

#: What one character comes to in a comparison; nothing for what a spelling may add, drop or change.
Fold = Callable[[str], str]

#: Escapes stand within escapes; each round undoes one layer, and a text is shorter after each.
_ROUNDS = 12
_ENTITIES = {name.rstrip(";").lower(): value for name, value in html5.items()}
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,160}>|<!--[^<>]{0,160}>")
_ENTITY = re.compile(r"&([a-zA-Z][a-zA-Z0-9]{1,30});")
_BYTES = re.compile(r"(?:[%=][0-9a-fA-F]{2}|\\+[xX][0-9a-fA-F]{2})+")
_UNITS = re.compile(r"(?:[\\%]*[uU](?:0[0-9a-fA-F]{3}|[dD][89a-fA-F][0-9a-fA-F]{2}|2[0-9a-fA-F]{3}))+")
_POINTS = re.compile(r"(?:\\+[uU]\{|[uU]\+)0*([0-9a-fA-F]{2,5})\}?")
_OCTAL = re.compile(r"(?:\\+[0-3][0-7]{2})+")
_SOFT_BREAK = re.compile(r"=\s{1,3}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEX = re.compile(r"(?:(?:0?[xX])?[0-9a-fA-F]{2}[\s:,;.-]{0,2}){4,}")
_NO_HEX = re.compile(r"0?[xX]|[^0-9a-fA-F]")
_SPACE = re.compile(r"\s+")
#: What transliteration takes apart, and Unicode does not.
_LETTERS = {"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "€": "eur"}
_CP1252 = [bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256)]


@lru_cache(maxsize=4096)
def plain(character: str) -> str:
    """Fold to letters and digits of any script, without case, accents and ligatures."""
    return "".join([_plain(part) for part in normalize("NFKD", character).casefold()])


@lru_cache(maxsize=4096)
def ascii_only(character: str) -> str:
    """Fold to ASCII letters and digits: what every wrong charset leaves as it was."""
    return character.lower() if character.isascii() and character.isalnum() else ""


@lru_cache(maxsize=4096)
def compact(character: str) -> str:
    """Fold to what is no space and no escape, signs too: a password may have no letter."""
    return "" if character in "+\\" or category(character)[0] in "ZC" else character.casefold()


FOLDS: tuple[Fold, ...] = (plain, ascii_only, compact)


def _plain(part: str) -> str:
    if part.isdecimal():
        return str(decimal(part))
    return _LETTERS.get(part) or (part if part.isalnum() else "")


def fold(text: str, by: Fold) -> str:
    """Fold a whole text."""
    return "".join(map(by, text))


def unescaped(text: str) -> Iterator[str]:
    """Yield a text as it stands, and then with each further layer of escapes undone. Linear in its length."""
    for _ in range(_ROUNDS):
        yield text
        before, text = text, _unescape(text)
        if text == before:
            return


def spellings(text: str) -> Iterator[str]:
    """Yield all that `text` may say: unescaped, out of pieces, out of base64 and hexadecimal digits."""
    for whole in dict.fromkeys((text, _SPACE.sub("", text))):
        for plain_text in unescaped(whole):
            yield plain_text
            for decoded in _decode_runs(plain_text):
                yield from unescaped(decoded)


def misread(text: str) -> Iterator[str]:
    """Yield a text, and what becomes of it where its UTF-8 is read as another charset, once and twice."""
    yield text
    if text.isascii():
        return
    for read in (_as_latin_1, _as_cp1252):
        once = read(text)
        yield once
        yield read(once)


def _as_latin_1(text: str) -> str:
    return text.encode("utf-8", "replace").decode("latin-1")


def _as_cp1252(text: str) -> str:
    return "".join([_CP1252[byte] for byte in text.encode("utf-8", "replace")])


def _unescape(text: str) -> str:
    text = _TAG.sub("", text)
    # At once: a layer a round would take as many rounds as somebody likes.
    text = re.sub(r"(?i)&(?:(?:amp|#0*38|#x0*26);)+", "&", text)
    text = re.sub(r"%(?:25)+", "%", text)
    # Upper or lower case makes no difference here, and may have been changed on the way.
    text = _ENTITY.sub(lambda match: _ENTITIES.get(match[1].lower(), match[0]), text)
    text = html.unescape(text)
    text = _BYTES.sub(lambda match: _from_bytes(match[0]), _SOFT_BREAK.sub("", text))
    text = _OCTAL.sub(lambda match: _from_octal(match[0]), text)
    text = _POINTS.sub(lambda match: chr(int(match[1], 16)), text)
    return _UNITS.sub(lambda match: _from_units(match[0]), text)


def _from_bytes(escapes: str) -> str:
    return _read(bytes.fromhex("".join(re.findall(r"[0-9a-fA-F]{2}", escapes))))


def _from_octal(escapes: str) -> str:
    return _read(bytes([int(digits, 8) for digits in re.findall(r"[0-7]{3}", escapes)]))


def _read(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _from_units(escapes: str) -> str:
    units = re.findall(r"[uU]([0-9a-fA-F]{4})", escapes)
    return bytes.fromhex("".join(units)).decode("utf-16-be", "replace")


def _decode_runs(text: str) -> Iterator[str]:
    for match in _BASE64.finditer(text):
        digits = match[0].translate({ord("-"): "+", ord("_"): "/"})
        # It may begin with the end of a word that stood before it.
        for begin in range(4):
            yield _from_base64(digits[begin:])
    for match in _HEX.finditer(text):
        digits = _NO_HEX.sub("", match[0])
        for begin in range(2):
            raw = binascii.unhexlify(digits[begin : len(digits) - (len(digits) - begin) % 2])
            yield raw.decode("utf-8", "ignore")
            # What a modem is sent for a text beyond GSM-7.
            yield from (raw[odd:].decode("utf-16-be", "ignore") for odd in range(2))


def _from_base64(digits: str) -> str:
    # One digit beyond whole bytes holds none.
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return base64.b64decode(digits + "=" * (-len(digits) % 4)).decode("utf-8", "ignore")
