"""The slow and complete reading of a number: `phonenumbers` decides, and nothing is guessed.

Importing this module imports `phonenumbers`, a tenth of a second: `msisdn` does so when it must ask.
"""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumber, ValidationResult
from phonenumbers import PhoneNumberType as Kind

from vavasms.errors import ConfigurationError, Outcome
from vavasms.i18n import gettext as _
from vavasms.numbers.faults import NumberFault, Reading
from vavasms.numbers.normalize import clean, normalize, split_decimal
from vavasms.numbers.plans import OLD_LENGTH, RENUMBERED, read_old

# No international number of a mobile is shorter, save those of a few islands, which need their `+`.
_SHORTEST_UNMARKED = 9
_LONGEST_SHORT_CODE = 6
# Beyond any number with its prefixes: no need to ask.
_LONGEST = 20
# What phonenumbers found in a plan, fit or unfit: no other reading is tried.
_ALLOCATED = (None, NumberFault.LANDLINE, NumberFault.NOT_MOBILE, NumberFault.OLD_PLAN)


def check_country(region: object) -> str | None:
    """Return the region in upper case, or raise `ConfigurationError` where there is none such."""
    if region is None:
        return None
    known = region.upper() if isinstance(region, str) else ""
    if known not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigurationError(
            _(
                "unknown region {region}: give an ISO 3166 code of two letters, such as 'CI'",
                region=repr(region),
            ),
            error_code="config.region",
            outcome=Outcome.NOT_SENT,
            halts=True,
        )
    return known


def read(text: str, region: str | None, default_region: str | None) -> Reading:
    """Read a written number in any form. Regions are checked ones."""
    plain = normalize(text)
    head = split_decimal(plain)
    if head is not None:
        reading = read(head, region, default_region)
        # The graver fault: a zero that was lost as well is not restored for having been found behind a point.
        fault = reading.fault or NumberFault.DECIMAL
        return Reading(fault=fault, digits=reading.digits) if reading.digits else reading
    cleaned = clean(plain)
    if isinstance(cleaned, NumberFault):
        return Reading(fault=cleaned)
    digits, marked = cleaned
    if len(digits) > _LONGEST:
        return Reading(fault=NumberFault.TOO_LONG)
    if marked:
        return _read_international(digits)
    if region is None and len(digits) == OLD_LENGTH:
        return Reading(fault=NumberFault.AMBIGUOUS)
    return _read_unmarked(digits, region or default_region, named=region is not None)


def find_country(digits: str) -> str:
    """Return the ISO region of an international number, `001` for one of no country, `ZZ` if unknown."""
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return "ZZ"
    return phonenumbers.region_code_for_number(number) or "ZZ"


def _read_international(digits: str) -> Reading:
    old_region = RENUMBERED.get(digits[:3])
    if old_region is not None and len(digits) == 3 + OLD_LENGTH:
        return read_old(old_region, digits[3:])
    return _ask(f"+{digits}", None)


def _read_national(digits: str, region: str) -> Reading:
    if region in RENUMBERED.values() and len(digits) == OLD_LENGTH:
        return read_old(region, digits)
    return _ask(digits, region)


def _read_unmarked(digits: str, home: str | None, *, named: bool) -> Reading:
    """Weigh the national reading against the international one, the wire's own form."""
    near = _read_national(digits, home) if home else Reading(fault=NumberFault.NO_REGION)
    if len(digits) < _SHORTEST_UNMARKED:
        far = Reading(fault=NumberFault.TOO_SHORT)
    else:
        far = _read_international(digits)
    if near.fault in _ALLOCATED:
        rivals = not named and near.fault is far.fault is None and near != far
        return Reading(fault=NumberFault.AMBIGUOUS) if rivals else near
    lost = _restore_zero(digits, home) if home else ""
    if far.fault in _ALLOCATED:
        return Reading(fault=NumberFault.AMBIGUOUS) if lost else far
    if lost:
        return Reading(fault=NumberFault.LOST_ZERO, digits=lost)
    return Reading(fault=_choose(digits, near, far))


def _choose(digits: str, near: Reading, far: Reading) -> NumberFault | None:
    if len(digits) <= _LONGEST_SHORT_CODE:
        return NumberFault.SHORT_CODE if len(digits) > 2 else NumberFault.TOO_SHORT
    # More digits than a national number has, and no trunk zero: it was meant to be international.
    return far.fault if len(digits) > 10 and digits[0] != "0" else near.fault


def _restore_zero(digits: str, home: str) -> str:
    """Return the international number that a zero before these digits makes, where it makes one."""
    code = phonenumbers.country_code_for_region(home)
    restored = _ask(f"+{code}0{digits}", None)
    # A trunk zero is no part of the number: with it, nothing was lost.
    return restored.digits if restored.digits == f"{code}0{digits}" else ""


def _ask(text: str, region: str | None) -> Reading:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as problem:
        kind = problem.error_type
    else:
        return _classify(number)
    if kind == phonenumbers.NumberParseException.TOO_LONG:
        return Reading(fault=NumberFault.TOO_LONG)
    unknown = kind == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
    return Reading(fault=NumberFault.INVALID if unknown else NumberFault.TOO_SHORT)


def _classify(number: PhoneNumber) -> Reading:
    kind = phonenumbers.number_type(number)
    if kind in (Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE):
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return Reading(digits=e164[1:])
    if kind == Kind.UNKNOWN:
        return Reading(fault=_measure(number))
    return Reading(fault=NumberFault.LANDLINE if kind == Kind.FIXED_LINE else NumberFault.NOT_MOBILE)


def _measure(number: PhoneNumber) -> NumberFault:
    length = phonenumbers.is_possible_number_with_reason(number)
    if length in (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return NumberFault.TOO_SHORT
    return NumberFault.TOO_LONG if length == ValidationResult.TOO_LONG else NumberFault.INVALID
