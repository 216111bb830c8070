"""The limits of one-time codes as values, and the one error that they raise."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest

from vavasms import ConfigurationError, OtpLimitedError, OtpLimits, Outcome
from vavasms.errors import OtpLimit
from vavasms.ledger.otp import Refusal


def test_the_defaults_are_those_of_the_documentation() -> None:
    limits = OtpLimits()
    assert (limits.cool_down, limits.longest_cool_down) == (timedelta(seconds=30), timedelta(minutes=15))
    assert (limits.number_hourly, limits.number_daily) == (5, 10)
    assert (limits.client_hourly, limits.range_hourly) == (10, 10)
    assert (limits.countries, limits.segments_daily, limits.wrong_codes) == ((), None, 5)


def test_a_cool_down_doubles_up_to_the_longest() -> None:
    waits = [OtpLimits().cool_down_after(codes) for codes in range(8)]
    assert waits == [0, 30, 60, 120, 240, 480, 900, 900]
    assert OtpLimits(cool_down=None).cool_down_after(7) == 0
    assert OtpLimits().cool_down_after(32) == 900


def test_countries_are_read_as_regions_are() -> None:
    assert OtpLimits(countries=["ml", "FR"]).countries == ("ML", "FR")
    assert OtpLimits(countries=None).countries is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"number_hourly": 0}, "number_hourly is a whole number"),
        ({"number_daily": -1}, "number_daily is a whole number"),
        ({"client_hourly": 2.5}, "client_hourly is a whole number"),
        ({"range_hourly": "10"}, "range_hourly is a whole number"),
        ({"segments_daily": True}, "segments_daily is a whole number"),
        ({"wrong_codes": 0}, "wrong_codes is a whole number"),
        ({"cool_down": 30}, "cool_down is a timedelta"),
        ({"cool_down": timedelta()}, "cool_down is a timedelta"),
        ({"cool_down": timedelta(hours=25)}, "cool_down is a timedelta"),
        ({"longest_cool_down": None}, "longest_cool_down is a timedelta"),
        (
            {"longest_cool_down": timedelta(seconds=29)},
            "longest_cool_down is a timedelta, not below cool_down",
        ),
        ({"countries": "ML"}, "countries is a list"),
        ({"countries": 7}, "countries is a list"),
        ({"countries": ("XX",)}, "unknown region 'XX'"),
        ({"countries": (None,)}, "unknown region"),
    ],
)
def test_what_can_be_no_limit_is_refused_in_one_sentence(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OtpLimits(**wrong)
    assert words in str(caught.value)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("limit", OtpLimit)
def test_a_refusal_names_its_limit_and_no_number(limit: OtpLimit) -> None:
    error = Refusal(limit=limit, retry_after=29.2).error
    assert (error.reason, error.retry_after, error.outcome) == (limit.value, 29.2, Outcome.NOT_SENT)
    assert error.safe_to_retry
    assert not error.halts
    assert str(error).endswith("Nothing was sent. Try again in 30 s.")
    copied = pickle.loads(pickle.dumps(error))
    assert isinstance(copied, OtpLimitedError)
    assert (str(copied), copied.reason, copied.retry_after) == (str(error), limit, 29.2)
    assert "in 30 s" not in str(Refusal(limit=limit, retry_after=None).error)


def test_limits_can_be_compared_and_passed_on() -> None:
    limits = OtpLimits(countries=("ML",), segments_daily=500)
    assert pickle.loads(pickle.dumps(limits)) == limits
    assert hash(limits) == hash(OtpLimits(countries=["ML"], segments_daily=500))
