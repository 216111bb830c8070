"""`Msisdn`, the only form in which numbers travel through this package, and the way into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.errors import InvalidNumberError
from vavasms.numbers.faults import NumberFault, Reading, describe
from vavasms.numbers.plans import IVORIAN_RANGES, PLANS, REGION_BY_CODE
from vavasms.tracebacks import hide_frames

_TWO_DIGIT_CODE = "2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"


class Msisdn(str):
    """A mobile number in the wire's form: digits, calling code first, no `+`.

    Its `repr` is masked, so that numbers stay out of logs; `str()` and formatting give the whole number.
    Calling the class checks nothing: use `parse_msisdn` for anything read from outside. What sends reads one
    that is no number in the wire's form as it reads any text.
    """

    __slots__ = ()

    @property
    def e164(self) -> str:
        """The number with its `+`."""
        return f"+{self}"

    @property
    def calling_code(self) -> str:
        """The country calling code, without `+`."""
        return self[: 1 if self[:1] in ("1", "7") else 2 if re.match(_TWO_DIGIT_CODE, self) else 3]

    @property
    def country(self) -> str:
        """The ISO region; `001` for a number of no country (satellites), `ZZ` where there is none."""
        region = REGION_BY_CODE.get(self[:3])
        if region is None:
            from vavasms.numbers.lookup import find_country

            region = find_country(str(self))
        return region

    @property
    def operator_range(self) -> str | None:
        """First owner of the range of an Ivorian number; since portability (2018) no proof of today's."""
        return IVORIAN_RANGES.get(self[3:5]) if self[:3] == "225" and len(self) == 13 else None

    @property
    def masked(self) -> str:
        """The number with calling code, two digits and the last two; only the code of a very short one."""
        code = len(self.calling_code)
        head = code + 2 if len(self) >= code + 7 else code
        hidden = "•" * max(len(self) - head - 2, 0)
        return f"+{self[:head]}{hidden}{self[max(head, len(self) - 2) :]}"

    def __repr__(self) -> str:
        return f"Msisdn({self.masked!r})"


# Regions under which the tables decide alone: national numbers of these are shorter than any wire form.
_TABLED = {None: None} | {key: region for region in PLANS for key in (region, region.lower())}
# Their national numbers begin with 0, so no other country's wire form can be meant.
_UNMISTAKABLE = {"CI": "CI", "BJ": "BJ"}
_PUNCTUATION = {ord(c): None for c in ".()\u00a0\u202f"}


# Both are compiled with the first number they read, not with the module: two milliseconds.
@cache
def _wire() -> re.Pattern[str]:
    numbers = "|".join(plan.calling_code + plan.mobile for plan in PLANS.values())
    return re.compile(rf"(?:\+|00)?({numbers})")


@cache
def _wire_lines() -> re.Pattern[str]:
    numbers = "|".join(plan.calling_code + plan.mobile for plan in PLANS.values())
    return re.compile(rf"(?:(?:{numbers})\n)+")


@cache
def _national(region: str) -> re.Pattern[str]:
    return re.compile(PLANS[region].mobile)


def check_region(region: str) -> str:
    """Return a region in upper case, or raise `ConfigurationError` where there is none such."""
    known = region.upper() if isinstance(region, str) else ""
    if known in PLANS:
        return known
    from vavasms.numbers.lookup import check_country

    return check_country(region or "") or ""


@hide_frames
def parse_msisdn(
    text: str, *, region: str | None = None, default_region: str | None = None, repair: bool = False
) -> Msisdn:
    """Read a mobile number in any written form.

    International forms are `+225...`, `00225...` and, the wire's own, `225...`; national forms need a region.

    Args:
        region: ISO code, any case; the caller knows that these numbers are of this country. With it eight
            bare digits are read too, for `CI` and `BJ` as their old plans.
        default_region: ISO code of a client's setting. Serves national numbers of the current plan where
            `region` is None, and never eight bare digits, which are numbers of six countries.
        repair: convert what has one sure correction (old plans, a spreadsheet's `.0`, and where `region`
            is named a lost leading zero) rather than refuse it with the correction as `.suggestion`.

    Raises:
        InvalidNumberError: it is no mobile number; `.reason` is a value of `NumberFault`. The sentence
            shows a masked number only.
        InvalidInputError: `repair` is no bool.
        ConfigurationError: a region is unknown.

    `phonenumbers` is the judge. Tables give its verdicts on West African mobile numbers about twenty times
    faster, in a microsecond or two. Pure; an `Msisdn` comes back as it is, save one that was made of a text
    that is no number on the wire: it is read like any text.
    """
    if repair is not False:
        check_flags(NOTHING_SENT, repair=repair)
    if isinstance(text, Msisdn) and text.isdecimal() and text.isascii() and 7 <= len(text) <= 15:
        return text
    if not isinstance(text, str):
        raise _refusal(Reading(fault=NumberFault.NOT_TEXT), text)
    if region in _TABLED and default_region in _TABLED:
        match = _wire().fullmatch(text)
        if match:
            # Most lists are in the wire's form, or nearly.
            return Msisdn(match[1])
        digits = _read_fast(text, _TABLED[region], _TABLED[default_region])
        if digits is not None:
            return Msisdn(digits)
    from vavasms.numbers.lookup import check_country, read

    reading = read(text, check_country(region), check_country(default_region))
    if reading.fault is None or (repair and _is_sure(reading, region)):
        return Msisdn(reading.digits)
    raise _refusal(reading, text)


def read_wire(texts: Sequence[str], *, default_region: str) -> list[Msisdn] | None:
    """Return the numbers of texts that all are in the wire's own form; None where one is not, or is no text.

    They are what `parse_msisdn` returns of each, in a tenth of the time.
    """
    if default_region not in _TABLED:
        return None
    try:
        lines = "\n".join([*texts, ""])
    except TypeError:
        return None
    # A text that holds a line end itself is for `parse_msisdn` to refuse.
    if lines.count("\n") != len(texts) or _wire_lines().fullmatch(lines) is None:
        return None
    return [*map(Msisdn, texts)]


def _read_fast(text: str, region: str | None, default_region: str | None) -> str | None:
    """Return the digits where the tables are sure, None where the judge must be asked."""
    # `replace` is twice as fast as `translate`, and nearly all written numbers need no more.
    compact = text.replace(" ", "").replace("-", "")
    match = _wire().fullmatch(compact)
    if match is None and text.count(".") != 1:  # a single point may be a spreadsheet's ".0": the judge's
        compact = compact.translate(_PUNCTUATION)
        match = _wire().fullmatch(compact)
    if match:
        return match[1]
    home = region or _UNMISTAKABLE.get(default_region or "")
    if home and _national(home).fullmatch(compact):
        return PLANS[home].calling_code + compact
    return None


def _is_sure(reading: Reading, region: str | None) -> bool:
    # Nine digits without their zero are also a Senegalese mobile number: only a named region decides.
    return bool(reading.digits) and (region is not None or reading.fault is not NumberFault.LOST_ZERO)


def _refusal(reading: Reading, text: object) -> InvalidNumberError:
    assert reading.fault is not None
    # An Msisdn as suggestion keeps the number out of the error's repr and of logs.
    suggestion = Msisdn(reading.digits) if reading.digits else None
    return InvalidNumberError(
        describe(reading.fault, text, suggestion.masked if suggestion else ""),
        reason=reading.fault.value,
        suggestion=suggestion,
    )
