"""The limits of a campaign: what they are, how they are kept, when a campaign ends under them."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vavasms.campaigns.policy import (
    SLOWEST_RATE,
    Policy,
    Window,
    dump_policy,
    finishing_time,
    load_policy,
    parse_window,
)
from vavasms.errors import InvalidInputError, Outcome

#: A Monday, 08:00 in Abidjan.
MONDAY = datetime.fromisoformat("2026-03-02T08:00+00:00").timestamp()
HOUR, DAY = 3600, 86_400
DAYTIME = parse_window("08:00-20:00")

amounts = st.decimals(min_value="0.000001", max_value=10**12 - 1, places=6)
clocks = st.times().map(lambda each: each.replace(second=0, microsecond=0))
windows = st.builds(
    lambda ends, zone, days, holidays: Window(ends[0], ends[1], ZoneInfo(zone), days=days, holidays=holidays),
    st.lists(clocks, min_size=2, max_size=2, unique=True),
    st.sampled_from(["Africa/Abidjan", "Europe/Paris", "UTC"]),
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.dates(min_value=date(2000, 1, 1)).map(str) | st.just("12-25"), max_size=3),
)
counts = st.integers(1, 10**9)
rates = st.floats(SLOWEST_RATE, allow_infinity=False) | counts
policies = st.builds(
    lambda price, budget, floor, **rest: Policy(
        unit_price=price,
        budget=budget if price else None,
        balance_floor=floor if price else None,
        **rest,
    ),
    price=st.none() | amounts,
    budget=st.none() | amounts,
    rate=st.none() | rates,
    window=st.none() | windows,
    not_before=st.none() | st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Africa/Abidjan")])),
    floor=st.none() | amounts | st.just(Decimal(0)),
    daily_cap=st.none() | counts,
    batch_size=counts,
    concurrency=counts,
    track=st.booleans(),
    min_delivery=st.none() | st.decimals(min_value="0.0001", max_value=1, places=4),
)


def test_a_policy_without_limits_is_one() -> None:
    policy = Policy()
    assert (policy.request_size, policy.concurrency) == (100, 16)
    assert policy.max_segments is None
    assert policy.cost(5) is None


def test_a_budget_pays_whole_segments() -> None:
    policy = Policy(unit_price=Decimal("12.5"), budget=Decimal(1_000))
    assert policy.max_segments == 80
    assert policy.cost(80) == 1_000
    assert Policy(unit_price=Decimal("12.5")).max_segments is None
    assert Policy(unit_price=Decimal(20), budget=Decimal(19)).max_segments == 0


@given(price=amounts, budget=amounts)
@example(price=Decimal("0.000001"), budget=Decimal("999999999999.999999"))
def test_the_segments_of_a_budget_cost_no_more_than_it_and_one_more_would(
    price: Decimal, budget: Decimal
) -> None:
    policy = Policy(unit_price=price, budget=budget)
    assert policy.max_segments is not None
    least, more = policy.cost(policy.max_segments), policy.cost(policy.max_segments + 1)
    assert least is not None
    assert more is not None
    assert least <= budget < more


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"concurrency": True}, "concurrency must be a whole number"),
        ({"daily_cap": 0}, "daily_cap must be a whole number"),
        ({"daily_cap": 10.0}, "daily_cap must be a whole number"),
        ({"rate": 0}, "rate must be a number"),
        ({"rate": 0.0009}, "rate must be a number"),
        ({"rate": 1e-308}, "rate must be a number"),
        ({"rate": math.nan}, "rate must be a number"),
        ({"rate": math.inf}, "rate must be a number"),
        ({"rate": True}, "rate must be a number"),
        ({"rate": "5"}, "rate must be a number"),
        ({"window": "08:00-20:00"}, "window must be a Window"),
        ({"unit_price": Decimal(0)}, "unit_price must be a Decimal above 0"),
        ({"unit_price": 12.5}, "unit_price must be a Decimal above 0"),
        ({"unit_price": Decimal("NaN")}, "unit_price must be a Decimal above 0"),
        ({"unit_price": Decimal("0.0000001")}, "unit_price must be a Decimal above 0"),
        ({"unit_price": Decimal(1), "budget": Decimal(-1)}, "budget must be a Decimal above 0"),
        ({"unit_price": Decimal(1), "budget": Decimal("1E+99999")}, "budget must be a Decimal above 0"),
        (
            {"unit_price": Decimal(1), "balance_floor": Decimal(-1)},
            "balance_floor must be a Decimal of 0 or more",
        ),
        ({"balance_floor": Decimal(1)}, "A balance floor needs the unit price"),
        ({"budget": Decimal(5)}, "A budget needs the unit price"),
        ({"min_delivery": Decimal(0)}, "min_delivery must be a Decimal above 0, and 1 at most"),
        ({"min_delivery": Decimal("1.01")}, "min_delivery must be a Decimal above 0, and 1 at most"),
        ({"min_delivery": Decimal(80)}, "min_delivery must be a Decimal above 0, and 1 at most"),
        ({"min_delivery": 0.8}, "min_delivery must be a Decimal above 0, and 1 at most"),
        ({"min_delivery": Decimal("NaN")}, "min_delivery must be a Decimal above 0, and 1 at most"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_in_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=r"nothing was sent\.$") as caught:
        Policy(**fields)
    assert words in str(caught.value)
    assert caught.value.outcome is Outcome.NOT_SENT
    name, _, rest = words.partition(" must be")
    assert caught.value.argument == (name if rest else None)


@given(policy=policies)
def test_a_stored_policy_comes_back(policy: Policy) -> None:
    text = dump_policy(policy)
    assert load_policy(text) == policy
    assert dump_policy(load_policy(text)) == text


def test_a_stored_policy_is_compact_and_its_amounts_are_text() -> None:
    policy = Policy(unit_price=Decimal("12.50"), budget=Decimal(1000), window=DAYTIME, rate=2.5)
    assert dump_policy(policy) == (
        '{"balance_floor":null,"batch_size":100,"budget":"1000","concurrency":16,"daily_cap":null,'
        '"days":[0,1,2,3,4,5,6],"holidays":[],"min_delivery":null,"not_before":null,"rate":2.5,"track":true,"tz":"Africa/Abidjan",'
        '"unit_price":"12.50","window":"08:00-20:00"}'
    )


def test_unknown_keys_are_passed_over_and_missing_ones_have_defaults() -> None:
    assert load_policy('{"colour":"red","daily_cap":5}') == Policy(daily_cap=5)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "nothing",
            "[" * 100_000,
            '{"batch_size":1.5}',
            '{"unit_price":"a lot"}',
            '{"unit_price":[]}',
        ),
        *('{"rate":NaN}', '{"window":"8-20","tz":"UTC"}', '{"window":"08:00-20:00"}', '{"budget":"5"}'),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"nothing was sent\.$"):
        load_policy(text)


def test_the_slower_of_rate_and_concurrency_decides() -> None:
    policy = Policy(rate=10, concurrency=2)
    assert finishing_time(policy, messages=100, requests=1, starts=MONDAY) == MONDAY + 10
    assert finishing_time(policy, messages=100, requests=100, starts=MONDAY) == MONDAY + 25
    assert finishing_time(policy, messages=100, requests=100, starts=MONDAY, latency=2) == MONDAY + 100
    assert finishing_time(Policy(), messages=32, requests=32, starts=MONDAY + 0.5) == MONDAY + 1.5


def test_nothing_to_send_ends_at_once() -> None:
    policy = Policy(rate=1, window=DAYTIME)
    assert finishing_time(policy, messages=0, requests=0, starts=MONDAY - HOUR) == MONDAY - HOUR


def test_closed_hours_are_waited_through() -> None:
    policy = Policy(rate=1, window=DAYTIME)
    ends = {
        hours: finishing_time(policy, messages=hours * HOUR, requests=1, starts=MONDAY)
        for hours in (12, 13, 24)
    }
    assert ends == {12: MONDAY + 12 * HOUR, 13: MONDAY + DAY + HOUR, 24: MONDAY + DAY + 12 * HOUR}
    assert finishing_time(policy, messages=60, requests=1, starts=MONDAY - 5 * HOUR) == MONDAY + 60


def test_a_day_of_a_clock_change_has_another_length() -> None:
    policy = Policy(rate=1, window=parse_window("00:00-12:00", tz="Europe/Paris"))
    starts = datetime.fromisoformat("2026-03-29T00:00+01:00").timestamp()
    ends = finishing_time(policy, messages=12 * HOUR, requests=1, starts=starts)
    assert ends == datetime.fromisoformat("2026-03-30T01:00+02:00").timestamp()


def test_ten_million_messages_end_to_the_second() -> None:
    policy = Policy(rate=10, window=DAYTIME)
    # 432,000 a day: 23 full days, then 64,000 messages.
    assert finishing_time(policy, messages=10**7, requests=10**5, starts=MONDAY) == MONDAY + 23 * DAY + 6_400


@pytest.mark.parametrize("window", [None, DAYTIME])
def test_what_takes_centuries_never_ends(window: Window | None) -> None:
    slow = Policy(rate=SLOWEST_RATE, window=window)
    assert finishing_time(slow, messages=10**10, requests=10**5, starts=MONDAY) == math.inf


@given(
    messages=st.integers(1, 200_000),
    rate=st.floats(0.5, 1000),
    ends=st.lists(clocks, min_size=2, max_size=2, unique=True),
)
def test_an_end_is_as_many_open_seconds_away_as_the_work_takes(
    messages: int, rate: float, ends: list[time]
) -> None:
    window = Window(ends[0], ends[1], ZoneInfo("UTC"))
    finish = finishing_time(Policy(rate=rate, window=window), messages=messages, requests=0, starts=MONDAY)
    moment, spent = window.opens_at(MONDAY), 0.0
    while moment < finish:
        closes = min(window.closes_at(moment), finish)
        spent, moment = spent + closes - moment, window.opens_at(closes)
    assert spent == pytest.approx(messages / rate, abs=1e-4)


def test_a_campaign_that_begins_later_ends_later() -> None:
    begins = datetime.fromtimestamp(MONDAY + 2 * HOUR, UTC)
    policy = Policy(rate=1, not_before=begins)
    assert (policy.is_open(MONDAY), policy.is_open(MONDAY + 2 * HOUR)) == (False, True)
    assert policy.opens_at(MONDAY) == MONDAY + 2 * HOUR
    assert finishing_time(policy, messages=60, requests=1, starts=MONDAY) == MONDAY + 2 * HOUR + 60
    # In the evening: the hours begin the next morning.
    late = Policy(rate=1, not_before=datetime.fromtimestamp(MONDAY + 13 * HOUR, UTC), window=DAYTIME)
    assert late.opens_at(MONDAY) == MONDAY + DAY
    assert finishing_time(late, messages=60, requests=1, starts=MONDAY) == MONDAY + DAY + 60


def test_six_days_a_week_of_eleven_hours_hold_a_million_messages() -> None:
    policy = Policy(rate=4, window=parse_window("marketing-ci"))
    # 158,400 a day: six full days, a Sunday, and 49,600 on the Monday after.
    ends = finishing_time(policy, messages=10**6, requests=10**4, starts=MONDAY)
    assert ends == MONDAY + 7 * DAY + 49_600 / 4


@pytest.mark.parametrize(
    "moment", [datetime.fromisoformat("2026-12-01T09:00"), 1_800_000_000.0, "2026-12-01T09:00"]
)
def test_a_moment_without_a_zone_is_refused(moment: Any) -> None:
    with pytest.raises(InvalidInputError, match="with a time zone; nothing was sent"):
        Policy(not_before=moment)


@pytest.mark.parametrize("value", ["soon", 5, [], "2026-12-01T09:00"])
def test_a_stored_moment_that_cannot_be_read_is_one_sentence(value: object) -> None:
    with pytest.raises(InvalidInputError, match="nothing was sent"):
        load_policy(json.dumps({"not_before": value}))


def test_json_of_another_hand_may_hold_amounts_as_numbers() -> None:
    assert load_policy(json.dumps({"unit_price": 12.5, "budget": 100})).max_segments == 8


def test_what_a_century_of_its_hours_does_not_hold_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hundred days for a hundred years, and ten days without a break for ten years.
    monkeypatch.setattr("vavasms.campaigns.policy._CENTURY", 100 * DAY)
    messages = 10 * DAY
    assert finishing_time(Policy(rate=1), messages=messages, requests=1, starts=MONDAY) == MONDAY + messages
    hour = Policy(rate=1, window=Window(time(8), time(9), ZoneInfo("UTC")))
    assert finishing_time(hour, messages=messages, requests=1, starts=MONDAY) == math.inf
