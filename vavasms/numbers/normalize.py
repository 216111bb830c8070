"""Written forms to bare digits: everything people and spreadsheets put around a number."""

from __future__ import annotations

import re
import unicodedata

from vavasms.numbers.faults import NumberFault

_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+")
# The head has no separators: "07.09.00.00.00" is how numbers are written in French.
_DECIMAL = re.compile(r"(\+?\d{7,})[.,]0{1,2}")
_EXTENSION = re.compile(r"[#*;]|\d\s*[(\[]?\s*(?:ext(?:n|ension)?|x|poste|post|p)[.:=\s]*\d", re.IGNORECASE)
_SEVERAL = re.compile(r"\+.*\+|:::|\d\s*[,/|&\n\r][\s,/|&]*[+\d]", re.DOTALL)
# What parts the numbers of a list: anything that no single number has, and wide or framed blanks. A dash, a
# point and a single blank stand inside numbers, `*` and `#` in codes of services.
_BETWEEN = re.compile(
    r"[^\d\s.+*#\-\u2010-\u2015\u2212]+|[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]|\s{2,}|\s[-\u2010-\u2015\u2212]\s"
    r"|(?<=\d)\s?(?=\+)|(?<=\d{8})\s(?=\d{8})"
)
# Digits of the shortest number that a list is made of.
_NUMBER_LENGTH = 7
# The patterns above take time in the square of a hostile text's length.
_LOOKED_AT = 250
# Digits of an international number (E.164).
_LONGEST = 15
#: A formula that makes a text of digits, as exports write it: `="0709000001"`.
_FORMULA = re.compile(r'=\s*"([^"]*)"')
#: What a link or a person writes before a number.
_PREFIX = re.compile(
    r"(?:tel|tél|téléphone|telephone|phone|whatsapp|wa|sms|smsto|callto|mobile?|cel|cell|gsm|portable|p)"
    r"\.?\s*:\s*",
    re.IGNORECASE,
)
#: A word or two in brackets after it: `0709000001 (Orange)`.
_REMARK = re.compile(r"\s*(?:\(([^\W\d_]+(?:[ '-][^\W\d_]+)?)\)|\[([^\W\d_]+(?:[ '-][^\W\d_]+)?)\])$")
#: Words that take the number back.
_DENIALS = frozenset({"faux", "fausse", "erroné", "errone", "invalide", "invalid", "wrong", "mauvais", "bad"})
_DENIALS |= {"décédé", "decede", "décédée", "decedee", "stop", "refus", "no", "non", "pas", "not"}
_QUOTES = "'\u2019\u2018`"
# Spaces and dashes of every script, and what surrounds an area code.
_SEPARATORS = {
    code: None
    for code in range(0x3100)
    if chr(code) in ".()[]\t\u2212" or unicodedata.category(chr(code)) in ("Zs", "Pd")
}


def clean(plain: str) -> tuple[str, bool] | NumberFault:
    """Reduce a normalized number to its digits, and whether `+` or `00` marks it as international.

    Slashes are not separators: `07 07 07 07/08` is two numbers in the field.
    """
    digits = plain.translate(_SEPARATORS)
    marked = digits.startswith("+")
    digits = digits[marked:]
    if not digits.isdecimal():
        return _find_fault(plain[:_LOOKED_AT], digits)
    if len(digits) > _LONGEST and _is_list(plain[:_LOOKED_AT]):
        return NumberFault.SEVERAL
    if not marked and digits.startswith("00"):
        marked, digits = True, digits[2:]
    return digits, marked


def normalize(text: str) -> str:
    """Compose, make every digit ASCII, drop what is invisible and what surrounds the number."""
    plain = text if text.isascii() else _normalize_unicode(text)
    # A leading apostrophe is how spreadsheets mark a text.
    plain = plain.strip().lstrip(_QUOTES).strip()
    is_bare = plain[:1].isdecimal() and plain[-1:].isdecimal()
    return plain if is_bare or len(plain) > _LOOKED_AT else _unwrap(plain)


def _unwrap(plain: str) -> str:
    """Remove what links, exports and people put around a number."""
    formula = _FORMULA.fullmatch(plain)
    plain = (formula[1] if formula else plain).strip(_QUOTES + '" ')
    prefix = _PREFIX.match(plain)
    plain = plain[prefix.end() :] if prefix else plain
    remark = _REMARK.search(plain)
    if remark and not _DENIALS & set(re.split(r"[ '-]", (remark[1] or remark[2]).casefold())):
        plain = plain[: remark.start()]
    return plain.strip()


def _normalize_unicode(text: str) -> str:
    # "²" and "½" would turn into digits of the number: their place is kept by what no number has.
    guarded = "".join("\ufffd" if c.isnumeric() and not c.isdecimal() else c for c in text)
    composed = unicodedata.normalize("NFKC", guarded)
    return "".join(
        str(unicodedata.decimal(c)) if c.isdecimal() else c
        for c in composed
        if unicodedata.category(c) != "Cf"
    )


def split_decimal(plain: str) -> str | None:
    """Return what stands before the `.0` that a spreadsheet's number ends in, or None."""
    match = _DECIMAL.fullmatch(plain)
    return match[1] if match else None


def _find_fault(plain: str, digits: str) -> NumberFault:
    if _SCIENTIFIC.fullmatch(plain):
        return NumberFault.SCIENTIFIC
    if _is_list(plain):
        return NumberFault.SEVERAL
    if _EXTENSION.search(plain):
        return NumberFault.EXTENSION
    if any(c.isalpha() for c in digits):
        return NumberFault.LETTERS
    if not any(c.isdecimal() for c in digits):
        return NumberFault.EMPTY
    return NumberFault.SEVERAL if _SEVERAL.search(plain) else NumberFault.CHARACTERS


def _is_list(plain: str) -> bool:
    """Return whether two numbers or more stand beside each other, whatever parts them."""
    sizes = [sum(map(str.isdecimal, part)) for part in _BETWEEN.split(plain)]
    return len([size for size in sizes if size >= _NUMBER_LENGTH]) > 1
