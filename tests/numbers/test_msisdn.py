"""What `parse_msisdn` promises about single numbers, and what an `Msisdn` shows."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import assert_linear
from vavasms.errors import ConfigurationError, InvalidNumberError
from vavasms.numbers import Msisdn, NumberFault, parse_msisdn, read_wire

ORANGE = "2250709000001"


def refused(text: object, **options: object) -> InvalidNumberError:
    with pytest.raises(InvalidNumberError) as caught:
        parse_msisdn(text, **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "2250709000001",
        "+2250709000001",
        "002250709000001",
        "+225 07 09 00 00 01",
        "+225-07-09-00-00-01",
        "(+225) 07.09.00.00.01",
        "+225\u00a007\u202f09\u200900\u300000\u00a001",
        "＋２２５０７０９０００００１",
        "\u202a+225 07 09 00 00 01\u202c",
        "٢٢٥٠٧٠٩٠٠٠٠٠١",
        "+225 07‑09–00—00−01",
        "'2250709000001",
        "\ufeff2250709000001\n",
        "+225 0709.000001",
        "[225] 0709000001",
    ],
)
def test_every_written_form_is_the_same_number(text: str) -> None:
    assert parse_msisdn(text) == ORANGE


def test_a_national_number_of_the_current_plan_needs_a_region() -> None:
    assert refused("0709000001").reason == NumberFault.NO_REGION
    assert parse_msisdn("07 09 00 00 01", region="CI") == ORANGE
    assert parse_msisdn("07 09 00 00 01", region="ci") == ORANGE
    assert parse_msisdn("07 09 00 00 01", default_region="CI") == ORANGE
    assert parse_msisdn("01 97 00 00 01", default_region="bj") == "2290197000001"
    assert parse_msisdn("77 123 45 67", default_region="SN") == "221771234567"
    assert parse_msisdn("06 12 34 56 78", region="fr") == "33612345678"


def test_an_unknown_region_is_a_configuration_error() -> None:
    for options in ({"region": "XX"}, {"default_region": "225"}, {"region": 225}):
        with pytest.raises(ConfigurationError, match="unknown region"):
            parse_msisdn(ORANGE, **options)


def test_the_wires_own_form_is_read_under_any_region() -> None:
    assert parse_msisdn("22370000001", region="CI") == "22370000001"
    assert parse_msisdn("22370000001", default_region="CI") == "22370000001"
    assert parse_msisdn("33612345678", default_region="CI") == "33612345678"
    assert parse_msisdn("+22370000001", region="FR") == "22370000001"


def test_digits_with_two_meanings_are_refused_unless_the_region_is_named() -> None:
    assert refused("6598234567", default_region="US").reason == NumberFault.AMBIGUOUS
    assert parse_msisdn("6598234567", region="US") == "16598234567"
    assert parse_msisdn("6598234567", default_region="CI") == "6598234567"
    assert refused("508551234", region="CI", repair=True).reason == NumberFault.AMBIGUOUS


def test_an_old_ivorian_number_is_refused_with_the_new_one_suggested() -> None:
    for text in ("22509000001", "+225 09 00 00 01", "0022509000001"):
        error = refused(text)
        assert error.reason == NumberFault.OLD_PLAN
        assert error.suggestion == "2250709000001"
        assert parse_msisdn(text, repair=True) == error.suggestion


def test_an_old_beninese_number_is_refused_with_the_new_one_suggested() -> None:
    error = refused("22995123456")
    assert (error.reason, error.suggestion) == (NumberFault.OLD_PLAN, "2290195123456")
    assert parse_msisdn("95123456", region="BJ", repair=True) == "2290195123456"
    assert refused("22920123456", repair=True).reason == NumberFault.LANDLINE
    assert refused("22910123456", repair=True).reason == NumberFault.INVALID


def test_old_ivorian_landlines_and_unused_ranges_are_never_converted() -> None:
    for digits, reason in (("22442233", "landline"), ("61000000", "invalid"), ("99000000", "invalid")):
        error = refused(f"225{digits}", repair=True)
        assert (error.reason, error.suggestion) == (reason, None)


def test_eight_bare_digits_are_never_guessed_from_a_default_region() -> None:
    for default in (None, "CI", "ML"):
        error = refused("70000001", default_region=default, repair=True)
        assert (error.reason, error.suggestion) == (NumberFault.AMBIGUOUS, None)


def test_eight_bare_digits_are_read_for_the_region_the_caller_named() -> None:
    assert parse_msisdn("70000001", region="ML") == "22370000001"
    assert parse_msisdn("70 00 00 01", region="BF") == "22670000001"
    assert refused("70000001", region="CI").suggestion == "2250170000001"
    assert parse_msisdn("70000001", region="CI", repair=True) == "2250170000001"
    assert refused("29051234", region="CI").reason == NumberFault.INVALID


def test_a_lost_leading_zero_is_restored_only_on_demand() -> None:
    for options in ({"region": "CI"}, {"default_region": "CI"}):
        error = refused("709000001", **options)
        assert (error.reason, error.suggestion) == (NumberFault.LOST_ZERO, ORANGE)
    assert parse_msisdn("709000001", region="CI", repair=True) == ORANGE
    assert parse_msisdn("197000001", region="BJ", repair=True) == "2290197000001"
    assert refused("709000001", repair=True).reason == NumberFault.NO_REGION
    assert refused("709000001", region="FR", repair=True).reason == NumberFault.INVALID


def test_a_spreadsheets_decimal_is_restored_only_on_demand() -> None:
    error = refused("2250709000001.0")
    assert (error.reason, error.suggestion) == (NumberFault.DECIMAL, ORANGE)
    assert parse_msisdn("2250709000001,0", repair=True) == ORANGE
    assert refused("2237000000.0", repair=True).suggestion is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  \u200b ", "empty"),
        ("+", "empty"),
        ("()-", "empty"),
        ("00", "too_short"),
        ("+225", "too_short"),
        ("12", "too_short"),
        ("98164", "short_code"),
        ("bonjour", "letters"),
        ("call:+2250709000001", "letters"),
        ("O709000001", "letters"),
        ("+2250709000001 ext. 5", "extension"),
        ("+2250709000001x5", "extension"),
        ("+2250709000001 poste 12", "extension"),
        ("+2250709000001;22507", "extension"),
        ("#144#", "extension"),
        ("*144", "extension"),
        ("++2250709000001", "several"),
        ("+2250709000001 +2250709000002", "several"),
        ("07 07 07 07/08", "several"),
        ("2250709000001,2250709000002", "several"),
        ("2250709000001\n2250709000002", "several"),
        ("2250709000001²", "characters"),
        ("225_0709000001", "characters"),
        ("2,25071E+12", "scientific"),
        ("2.25071e12", "scientific"),
        ("+2250709", "too_short"),
        ("+22507090000012", "too_long"),
        ("22507090000012", "too_long"),
        ("2" * 21, "too_long"),
        ("+33" + "6" * 18, "too_long"),
        ("+225 27 20 30 00 00", "landline"),
        ("+221 800 123 456", "not_mobile"),
        ("+2250809000001", "invalid"),
        ("+9990709000001", "invalid"),
        ("+002250709000001", "invalid"),
        ("22300000001", "invalid"),
        ("7090000", "no_region"),
    ],
)
def test_what_is_no_mobile_number_is_refused_by_its_reason(text: str, reason: str) -> None:
    error = refused(text, repair=True)
    assert (error.reason, error.suggestion) == (reason, None)


_ONE_OF_TWO, _OTHER = ("+2250709000001", "2250709000001", "0709000001", "07 09 00 00 01"), "2250709000002"
_PARTS = [
    "; ",
    ";",
    ",",
    ", ",
    "/",
    " / ",
    "|",
    "\n",
    "\r\n",
    "\t",
    "\u2028",
    " et ",
    " ou ",
    " ET ",
    " or ",
    " and ",
]
_PARTS += [
    " ::: ",
    ":::",
    ":",
    "&",
    " & ",
    "+",
    " - ",
    " – ",
    "  ",
    "\\",
    "•",
    " · ",
    "،",
    "、",
    "；",
    "，",
    " (",
    "[",
    "<",
    "_",
]


@pytest.mark.parametrize("between", _PARTS)
def test_a_list_of_numbers_is_several_whatever_parts_them(between: str) -> None:
    for number in _ONE_OF_TWO:
        for text in (f"{number}{between}{_OTHER}", f"{number}{between}0709000002{between}{number}"):
            assert refused(text, default_region="CI").reason == NumberFault.SEVERAL, text
    assert refused(f"2250709000001{between}+2250709000002", repair=True).suggestion is None


@pytest.mark.parametrize("text", ["2250709000001 2250709000002", "0709000001 0709000002 0709000003"])
def test_numbers_with_a_single_blank_between_are_several_too(text: str) -> None:
    assert refused(text, region="CI").reason == NumberFault.SEVERAL


@pytest.mark.parametrize(
    "text",
    [
        "+225 (07) 09-00-00-01",
        "+225 07.09.00.00.01",
        "00225 0709000001",
        "+225\t0709000001",
        "225 - 0709000001",
    ],
)
def test_what_people_put_inside_a_number_parts_nothing(text: str) -> None:
    assert parse_msisdn(text) == ORANGE


@pytest.mark.parametrize(
    ("begin", "part", "end"), [("1", "\n", "x"), ("", "1 ", "_"), ("", "+", ""), ("", "1(", "")]
)
def test_a_hostile_text_is_refused_in_linear_time(begin: str, part: str, end: str) -> None:
    assert_linear(lambda repeats: refused(begin + part * repeats + end), 100_000)


def test_the_length_is_judged_by_the_plan_that_was_meant() -> None:
    assert refused("07090000011", region="CI").reason == NumberFault.TOO_LONG
    assert refused("2250709", region="CI").reason == NumberFault.TOO_SHORT
    assert refused("2720300000", default_region="CI").reason == NumberFault.LANDLINE
    assert refused("5550100", region="US").reason == NumberFault.TOO_SHORT
    assert refused("33199001234", default_region="CI").reason == NumberFault.LANDLINE


@pytest.mark.parametrize("value", [2250709000001, 709000001.0, None, b"2250709000001", True])
def test_what_is_no_text_is_refused_with_advice(value: object) -> None:
    error = refused(value)
    assert error.reason == NumberFault.NOT_TEXT
    assert "give it as text" in str(error)


def test_no_message_shows_more_than_five_digits_and_two() -> None:
    for text in ("22509000001", "70000001", "+2250809000001", "Awa 0709000001", "98164", "0709000001x22"):
        digits = "".join(c for c in text if c.isdigit())
        message = str(refused(text))
        assert digits not in message
        assert digits[: min(6, len(digits))] not in message
        assert digits[-3:] not in message


def test_an_error_hides_its_suggestion_in_a_repr() -> None:
    error = refused("22509000001")
    assert isinstance(error.suggestion, Msisdn)
    assert "2250709000001" not in repr(vars(error))


def test_a_number_knows_its_country() -> None:
    for text, country in (
        ("+2250709000001", "CI"),
        ("+22370000001", "ML"),
        ("+33612345678", "FR"),
        ("+14165550123", "CA"),
        ("+447400123456", "GB"),
        ("+881612345678", "001"),
    ):
        assert parse_msisdn(text).country == country
    assert Msisdn("").country == Msisdn("999123").country == "ZZ"
    assert Msisdn("1").country == Msisdn("10000000000").country == "ZZ"


def test_the_operator_range_is_the_ivorian_plans_own() -> None:
    ranges = {"07": "Orange", "05": "MTN", "01": "Moov"}
    for prefix, operator in ranges.items():
        assert parse_msisdn(f"225{prefix}00000001").operator_range == operator
    assert parse_msisdn("+22370000001").operator_range is None
    assert Msisdn("22509000001").operator_range is None


def test_a_number_is_masked_in_its_repr() -> None:
    number = parse_msisdn(ORANGE)
    assert number.e164 == "+2250709000001"
    assert number.masked == "+22507••••••01"
    assert repr(number) == "Msisdn('+22507••••••01')"
    assert repr([number]) == "[Msisdn('+22507••••••01')]"
    assert Msisdn("33612345678").masked == "+3361•••••78"
    assert Msisdn("14165550123").masked == "+141••••••23"
    assert Msisdn("29051234").masked == "+290•••34"
    assert Msisdn("").masked == "+"
    assert Msisdn("1234").masked == "+1•34"


def test_a_number_survives_pickling_and_copying() -> None:
    number = parse_msisdn(ORANGE)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(number, protocol))
        assert (again, type(again)) == (number, Msisdn)
    assert type(copy.copy(number)) is type(copy.deepcopy(number)) is Msisdn
    assert not hasattr(number, "__dict__")
    assert {number: 1}[ORANGE] == 1  # type: ignore[index]


def test_a_parsed_number_comes_back_as_it_is() -> None:
    number = parse_msisdn(ORANGE)
    assert parse_msisdn(number, region="ML") is number


def test_west_african_numbers_do_without_phonenumbers() -> None:
    script = (
        "import sys; from vavasms.numbers import parse_msisdn; "
        "n = parse_msisdn('+225 07 09 00 00 01'); n.country, n.masked, n.operator_range; "
        "sys.exit('phonenumbers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


written = st.text(alphabet="0123456789+ -.()/\u00a0exE,;٠٩²", max_size=24) | st.text(max_size=40)
regions = st.sampled_from([None, "CI", "BJ", "ML", "SN", "FR", "US"])


@given(text=written, region=regions, default_region=regions, repair=st.booleans())
def test_any_text_is_a_number_or_an_invalid_number(
    text: str, region: str | None, default_region: str | None, repair: bool
) -> None:
    try:
        number = parse_msisdn(text, region=region, default_region=default_region, repair=repair)
    except InvalidNumberError as error:
        reason, suggestion = NumberFault(error.reason), error.suggestion
    else:
        assert parse_msisdn(number) is number
        assert parse_msisdn(number.e164) == number
        return
    assert reason in NumberFault
    if suggestion is not None:
        again = parse_msisdn(text, region=region, default_region=default_region, repair=True)
        assert again == suggestion


@given(
    st.sampled_from(["2250", "22507", "22177", "22370", "22670", "22890", "22996", "22901", "336", "4915"]),
    st.text(alphabet="0123456789", min_size=5, max_size=9),
)
def test_parsing_twice_changes_nothing(prefix: str, rest: str) -> None:
    try:
        number = parse_msisdn(f"+{prefix}{rest}", repair=True)
    except InvalidNumberError:
        return
    assert parse_msisdn(str(number)) == number == parse_msisdn(number.e164)


def test_a_lost_zero_is_restored_only_where_the_caller_named_the_region() -> None:
    # 70 900 00 01 is a Senegalese mobile number too: a client's default region decides nothing.
    assert parse_msisdn("709000001", region="CI", repair=True) == "2250709000001"
    with pytest.raises(InvalidNumberError) as refused:
        parse_msisdn("709000001", default_region="CI", repair=True)
    assert refused.value.reason == NumberFault.LOST_ZERO.value
    assert refused.value.suggestion == "2250709000001"


@pytest.mark.parametrize(
    "text",
    [
        *('="0709000001"', '= "07 09 00 00 01"', "'0709000001", "\u2019+2250709000001", '"0709000001"'),
        *("tel:+225-07-09-00-00-01", "whatsapp:+2250709000001", "T\u00e9l. : 0709000001", "p:+2250709000001"),
        *(
            "07 09 00 00 01 (Orange)",
            "+2250709000001 [MTN CI]",
            "0709000001(perso)",
            "'tel:0709000001 (Moov)",
        ),
    ],
)
def test_what_spreadsheets_and_links_put_around_a_number_is_taken_off(text: str) -> None:
    assert parse_msisdn(text, default_region="CI") == "2250709000001"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0709000001 (faux)", "letters"),
        ("0709000001 (ne pas)", "letters"),
        ("0709000001 ::: 0505000002", "several"),
        ("tel:+2250709000001;ext=12", "extension"),
        ("0709000001 (12)", "too_long"),
        ('="0709000001', "characters"),
        ("(0709000001" + " " * 300 + "9 (Orange)", "letters"),
    ],
)
def test_what_is_around_a_number_and_says_more_than_that_is_not_passed_over(text: str, reason: str) -> None:
    assert refused(text, default_region="CI").reason == reason


# --- many at once -------------------------------------------------------------------------------------

WIRE = ["2250709000001", "2290197000001", "221770000001", Msisdn("2250709000002")]
OTHER = [
    "+2250709000001",
    "002250709000001",
    "0709000001",
    "225 0709000001",
    "2250709000001\n",
    "2250709000001\n2250709000002",
    "\n2250709000001",
    "2250709000001,2250709000002",
    "٢٢٥٠٧٠٩٠٠٠٠٠١",
    "22507090000011",
    "225070900000",
    "33612345678",
    Msisdn("33612345678"),
    "",
    "x",
    None,
    2250709000001,
    b"2250709000001",
]


@pytest.mark.parametrize("default_region", ["CI", "ci", "SN", "FR", "XX"])
@pytest.mark.parametrize("other", [None, *OTHER], ids=repr)
def test_numbers_in_the_wire_s_form_are_read_at_once_as_one_by_one(other: Any, default_region: str) -> None:
    for texts in ([*WIRE], [*WIRE, other], [other, *WIRE], [other]):
        numbers = read_wire(texts, default_region=default_region)
        if other is None and texts == WIRE and default_region not in ("FR", "XX"):
            assert numbers is not None
        if numbers is not None:
            assert numbers == [parse_msisdn(text, default_region=default_region) for text in texts]
            assert {*map(type, numbers)} == {Msisdn}


def test_no_number_at_all_is_not_read_at_once() -> None:
    assert read_wire([], default_region="CI") is None
