"""Kept, repaired, a duplicate, refused."""

from __future__ import annotations

import pytest

from vavasms.campaigns.contacts import Fate, Judge
from vavasms.errors import ConfigurationError


def test_a_mobile_number_is_kept_in_any_written_form() -> None:
    for text in ("+225 07 00 00 00 01", "0700000001", "00225-07.00.00.00.01"):
        verdict = Judge().judge(text)
        assert (verdict.fate, verdict.recipient, verdict.reason) == (Fate.KEPT, "2250700000001", None)


def test_a_number_that_came_before_in_whatever_form_is_a_duplicate() -> None:
    judge = Judge(repair=True)
    fates = [judge.judge(text).fate for text in ("0709000001", "+2250709000001", "+22509000001")]
    assert fates == [Fate.KEPT, Fate.DUPLICATE, Fate.DUPLICATE]


def test_an_old_number_is_refused_with_its_suggestion_and_repaired_on_demand() -> None:
    refused = Judge().judge("+22509000001")
    assert (refused.fate, refused.reason) == (Fate.REFUSED, "old_plan")
    assert (refused.recipient, refused.suggestion) == (None, "2250709000001")
    repaired = Judge(repair=True).judge("+22509000001")
    assert (repaired.fate, repaired.recipient) == (Fate.REPAIRED, "2250709000001")
    assert (repaired.reason, repaired.suggestion) == ("old_plan", None)


def test_eight_digits_are_repaired_only_where_the_region_is_named() -> None:
    assert Judge(repair=True).judge("09000001").reason == "ambiguous"
    assert Judge(repair=True, region="CI").judge("09000001").recipient == "2250709000001"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("abc", "letters"), ("2,25E+12", "scientific"), ("27 22 41 20 00", "landline")],
)
def test_what_is_no_mobile_number_is_refused_even_with_repair(text: str, reason: str) -> None:
    verdict = Judge(repair=True).judge(text)
    assert (verdict.fate, verdict.reason, verdict.suggestion) == (Fate.REFUSED, reason, None)
    assert verdict.sentence


def test_a_refused_number_does_not_make_a_duplicate_of_the_next() -> None:
    judge = Judge()
    assert judge.judge("+22509000001").fate is Fate.REFUSED
    assert judge.judge("+2250709000001").fate is Fate.KEPT


def test_a_verdict_does_not_show_the_number() -> None:
    assert "2250700000001" not in repr(Judge().judge("0700000001"))


def test_an_unknown_region_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="unknown region 'XX'"):
        Judge(region="XX").judge("0700000001")
