"""The numbering plans of West Africa: mobile ranges, and what became of the old ones.

Ranges as in phonenumbers 9.0; the Ivorian renumbering as notified by ARTCI in ITU-T E.129 form. A test checks
every prefix against the library at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from vavasms.numbers.faults import NumberFault, Reading


class Plan:
    """The mobile numbers of one country."""

    def __init__(self, *, calling_code: str, mobile: str) -> None:
        #: Country calling code, without `+`.
        self.calling_code = calling_code
        #: Regular expression of the national number of a mobile, whole.
        self.mobile = mobile


#: By ISO region. None of these countries shares its calling code, and none has a trunk prefix.
PLANS: Mapping[str, Plan] = {
    "BF": Plan(calling_code="226", mobile="(?:0[1-7]|4[4-6]|5[0-8]|[67][0-9])[0-9]{6}"),
    "BJ": Plan(calling_code="229", mobile="01(?:2[5-9]|[4-69][0-9])[0-9]{6}"),
    "CI": Plan(calling_code="225", mobile="0[157][0-9]{8}"),
    "GN": Plan(calling_code="224", mobile="6[0-356][0-9]{7}"),
    "ML": Plan(
        calling_code="223",
        mobile="(?:(?:5[0-3]|[679][0-9]|8[2-59])[0-9]{2}|2(?:0(?:01|79)|17[0-9]))[0-9]{4}",
    ),
    "MR": Plan(calling_code="222", mobile="[2-4][0-46-9][0-9]{6}"),
    "NE": Plan(calling_code="227", mobile="(?:23|7[0467]|[89][0-9])[0-9]{6}"),
    "SN": Plan(calling_code="221", mobile="7(?:[015-8][0-9]|21|90)[0-9]{6}"),
    "TG": Plan(calling_code="228", mobile="(?:7[0-389]|9[0-36-9])[0-9]{6}"),
}
REGION_BY_CODE: Mapping[str, str] = {plan.calling_code: region for region, plan in PLANS.items()}

#: First owner of each Ivorian mobile range; numbers may have been ported since 2018.
IVORIAN_RANGES: Mapping[str, str] = {"01": "Moov", "05": "MTN", "07": "Orange"}

_OLD_IVORIAN_MOBILE = {
    "01": "01 02 03 40 41 42 43 50 51 52 53 70 71 72 73",
    "05": "04 05 06 44 45 46 54 55 56 64 65 66 74 75 76 84 85 86 94 95 96",
    "07": "07 08 09 47 48 49 57 58 59 67 68 69 77 78 79 87 88 89 97 98",
}
_OLD_IVORIAN_FIXED = {
    "21": "208 218 228 238",
    "25": "200 210 220 230 240 300 310 320 330 340 350 360",
    "27": "202 203 212 213 215 217 224 225 234 235 243 244 245 306 316 319 327 337 347 359 368",
}
#: New prefix by the first two digits of an old Ivorian mobile number.
IVORIAN_PREFIX: Mapping[str, str] = {
    old: new for new, olds in _OLD_IVORIAN_MOBILE.items() for old in olds.split()
}
#: First three digits of the old Ivorian landlines.
OLD_IVORIAN_LANDLINES = frozenset(old for olds in _OLD_IVORIAN_FIXED.values() for old in olds.split())

OLD_LENGTH = 8


def read_old(region: str, old: str) -> Reading:
    """Read the eight digits of the old plan of `CI` (until 2021-01-31) or `BJ` (until 2024-11-30).

    Only what was mobile gets a new number: a landline's number never becomes a mobile's.
    """
    return _read_old_ivorian(old) if region == "CI" else _read_old_beninese(old)


def _read_old_ivorian(old: str) -> Reading:
    new = IVORIAN_PREFIX.get(old[:2])
    if new is not None:
        return Reading(fault=NumberFault.OLD_PLAN, digits=f"225{new}{old}")
    landline = old[:3] in OLD_IVORIAN_LANDLINES
    return Reading(fault=NumberFault.LANDLINE if landline else NumberFault.INVALID)


def _read_old_beninese(old: str) -> Reading:
    if old[0] in "4569" or "25" <= old[:2] <= "29":
        return Reading(fault=NumberFault.OLD_PLAN, digits=f"22901{old}")
    return Reading(fault=NumberFault.LANDLINE if old[0] == "2" else NumberFault.INVALID)


#: Regions whose old plan is converted, by calling code.
RENUMBERED: Mapping[str, str] = {"225": "CI", "229": "BJ"}
