"""The tables against `phonenumbers`, prefix by prefix, and the fast reading against the slow one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import phonenumbers
import pytest
from phonenumbers import carrier

from vavasms.numbers import lookup, msisdn, parse_msisdn, plans

MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
LENGTHS = {"CI": 10, "BJ": 10, "SN": 9, "GN": 9}
STARTS = {
    "BF": ["01", "44", "5", "6", "7"],
    "BJ": ["014", "016", "019", "0197", "0128"],
    "CI": ["01", "05", "07", "07", "0"],
    "GN": ["6", "62", "60", "65", "64"],
    "ML": ["6", "7", "9", "50", "2079", "217"],
    "MR": ["2", "3", "4", "45", "22"],
    "NE": ["8", "9", "96", "70", "23"],
    "SN": ["7", "77", "78", "70", "721"],
    "TG": ["9", "90", "70", "79", "92"],
}
SEPARATORS = ["", "", " ", "-", ".", "\u00a0", " - "]


def national(region: str, prefix: str) -> str:
    return prefix.ljust(LENGTHS.get(region, 8), "1")


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("region", plans.PLANS)
def test_every_prefix_of_five_digits_has_the_librarys_verdict(region: str) -> None:
    plan = plans.PLANS[region]
    for prefix in range(100_000):
        number = phonenumbers.PhoneNumber(
            country_code=int(plan.calling_code),
            national_number=int(digits := national(region, f"{prefix:05}")),
            italian_leading_zero=digits[0] == "0",
            number_of_leading_zeros=len(digits) - len(digits.lstrip("0")),
        )
        mobile = phonenumbers.number_type(number) in MOBILE
        assert (re.fullmatch(plan.mobile, digits) is not None) is mobile, (region, digits)


def test_each_calling_code_belongs_to_one_country() -> None:
    for region, plan in plans.PLANS.items():
        assert phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(plan.calling_code)] == (region,)


def test_the_masks_calling_codes_are_the_librarys() -> None:
    two_digits = {code for code in range(10, 100) if re.fullmatch(msisdn._TWO_DIGIT_CODE, str(code))}
    assert {code for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE if 10 <= code < 100} == two_digits


def test_every_old_ivorian_mobile_range_becomes_its_operators() -> None:
    assert len(plans.IVORIAN_PREFIX) == 56
    for old, new in plans.IVORIAN_PREFIX.items():
        for third in "059":
            number = parse_msisdn(f"225{old}{third}00001", repair=True)
            assert number == f"225{new}{old}{third}00001"
            parsed = phonenumbers.parse(number.e164)
            assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE
            assert carrier.name_for_number(parsed, "en").startswith(str(number.operator_range))


def test_every_old_two_digits_not_mobile_are_refused() -> None:
    for old in {f"{n:02}" for n in range(100)} - set(plans.IVORIAN_PREFIX):
        assert not plans.read_old("CI", f"{old}000000").digits


def test_every_old_beninese_number_becomes_what_the_library_says() -> None:
    for prefix in range(1000):
        old = f"{prefix:03}00001"
        number = phonenumbers.parse(f"+22901{old}")
        mobile = phonenumbers.number_type(number) in MOBILE
        assert bool(plans.read_old("BJ", old).digits) is mobile


def written_forms(rng: random.Random) -> Iterator[str]:
    region = rng.choice(list(plans.PLANS))
    code = plans.PLANS[region].calling_code
    length = LENGTHS.get(region, 8) + rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 1, -2, 2])
    start = rng.choice([*STARTS[region], "", "0", "2", "27"])
    digits = (start + "".join(rng.choices("0123456789", k=length)))[:length]
    pairs = [digits[i : i + 2] for i in range(0, len(digits), 2)]
    grouped = rng.choice(SEPARATORS).join(pairs)
    mark = rng.choice(["+", "+", "00", "", "", "+ ", "(+", "0 0"])
    closing = ")" if mark == "(+" else rng.choice(["", " ", "-"])
    yield f"{mark}{code}{closing}{grouped}"
    if rng.random() < 0.3:
        yield rng.choice([grouped, grouped, f"{digits}.0", f"{code}{digits}.0", f"{code}{digits}0.00"])


def verdict(text: str, region: str | None, default_region: str | None) -> str:
    try:
        return str(parse_msisdn(text, region=region, default_region=default_region))
    except ValueError as error:
        return str(error.reason)  # type: ignore[attr-defined]


def compare_readings(numbers: int) -> float:
    """Hold the fast reading against the slow one; return the share that the fast one read."""
    rng = random.Random(20210131)
    regions = [None, None, None, *plans.PLANS]
    fast = total = 0
    while total < numbers:
        for text in written_forms(rng):
            region, default_region = rng.choice(regions), rng.choice([None, "CI", *plans.PLANS])
            total += 1
            digits = msisdn._read_fast(text, region, default_region)
            if digits is None:
                continue  # the slow reading is the verdict itself
            fast += 1
            slow = lookup.read(text, region, default_region)
            assert (slow.fault, slow.digits) == (None, digits), (text, region, default_region)
            if total % 50 == 0:
                assert verdict(text, region, default_region) == digits
    return fast / total


def test_the_fast_reading_has_the_slow_ones_verdict() -> None:
    assert compare_readings(20_000) > 0.3


@pytest.mark.full
def test_the_fast_reading_has_the_slow_ones_verdict_on_200_000_numbers() -> None:
    assert compare_readings(200_000) > 0.3


def test_the_fast_reading_misses_no_common_form_of_a_good_number() -> None:
    rng = random.Random(20241130)
    for _ in range(20_000):
        plan = rng.choice(list(plans.PLANS.values()))
        digits = "".join(rng.choices("0123456789", k=LENGTHS.get(plans.REGION_BY_CODE[plan.calling_code], 8)))
        if re.fullmatch(plan.mobile, digits):
            for text in (f"+{plan.calling_code} {digits}", f"00{plan.calling_code}-{digits}"):
                assert msisdn._read_fast(text, None, "CI") == plan.calling_code + digits
