"""The hours in which messages may leave, over clock changes too."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.campaigns.window import Window, parse_window
from vavasms.errors import InvalidInputError

PARIS = ZoneInfo("Europe/Paris")
#: Skips and repeats hours around midnight, by half an hour, by a whole day; and one that does nothing.
ZONES = ["Europe/Paris", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia"]
ZONES += ["Africa/Abidjan", "Africa/Casablanca", "Asia/Kathmandu"]
#: The years 2010 to 2030.
moments = st.integers(1_262_304_000, 1_893_456_000)
minutes = st.integers(0, 24 * 60 - 1)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def day(minute: int) -> time:
    return time(minute // 60, minute % 60)


def test_a_window_is_open_from_its_first_moment_to_before_its_last() -> None:
    window = parse_window("08:00-20:00", tz="Africa/Abidjan")
    assert window == Window(time(8), time(20), ZoneInfo("Africa/Abidjan"))
    assert not window.is_open(at("2026-03-02T07:59:59.999+00:00"))
    assert window.is_open(at("2026-03-02T08:00:00+00:00"))
    assert window.is_open(at("2026-03-02T19:59:59.999+00:00"))
    assert not window.is_open(at("2026-03-02T20:00:00+00:00"))


def test_what_is_open_already_opens_now_and_what_is_closed_closes_now() -> None:
    window = parse_window("08:00-20:00")
    noon, night = at("2026-03-02T12:00:00.5+00:00"), at("2026-03-02T22:00:00.5+00:00")
    assert window.opens_at(noon) == noon
    assert window.closes_at(noon) == at("2026-03-02T20:00:00+00:00")
    assert window.opens_at(night) == at("2026-03-03T08:00:00+00:00")
    assert window.closes_at(night) == night


def test_a_window_may_go_over_midnight() -> None:
    window = parse_window("20:00-06:00")
    assert window.is_open(at("2026-03-02T23:00+00:00"))
    assert window.is_open(at("2026-03-02T05:59+00:00"))
    assert not window.is_open(at("2026-03-02T06:00+00:00"))
    assert window.closes_at(at("2026-03-02T23:00+00:00")) == at("2026-03-03T06:00+00:00")
    assert window.opens_at(at("2026-03-02T12:00+00:00")) == at("2026-03-02T20:00+00:00")


@pytest.mark.parametrize(
    ("hours", "now", "opens", "closes"),
    [
        # 29 March 2026: 02:00 becomes 03:00.
        ("08:00-20:00", "2026-03-28T21:00+01:00", "2026-03-29T08:00+02:00", "2026-03-29T20:00+02:00"),
        ("02:30-04:00", "2026-03-28T21:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
        ("01:00-02:30", "2026-03-28T21:00+01:00", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
        ("02:10-02:40", "2026-03-28T21:00+01:00", "2026-03-30T02:10+02:00", "2026-03-30T02:40+02:00"),
        ("20:00-06:00", "2026-03-28T12:00+01:00", "2026-03-28T20:00+01:00", "2026-03-29T06:00+02:00"),
        # 25 October 2026: 03:00 becomes 02:00.
        ("08:00-20:00", "2026-10-24T21:00+02:00", "2026-10-25T08:00+01:00", "2026-10-25T20:00+01:00"),
        ("02:30-04:00", "2026-10-24T21:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"),
        ("02:30-04:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00", "2026-10-25T04:00+01:00"),
        ("01:00-02:30", "2026-10-25T02:40+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"),
        ("20:00-06:00", "2026-10-24T12:00+02:00", "2026-10-24T20:00+02:00", "2026-10-25T06:00+01:00"),
    ],
)
def test_the_clock_on_the_wall_counts_when_it_changes(hours: str, now: str, opens: str, closes: str) -> None:
    window = parse_window(hours, tz="Europe/Paris")
    assert window.opens_at(at(now)) == at(opens)
    assert window.closes_at(at(opens)) == at(closes)


@given(moment=moments, opens=minutes, closes=minutes, zone=st.sampled_from(ZONES))
def test_it_is_open_when_the_clock_says_so_and_the_next_change_is_the_first(
    moment: int, opens: int, closes: int, zone: str
) -> None:
    if opens == closes:
        return
    window = Window(day(opens), day(closes), ZoneInfo(zone))
    clock = datetime.fromtimestamp(moment, window.zone).replace(tzinfo=None).time()
    inside = window.opens <= clock < window.closes
    around = clock >= window.opens or clock < window.closes
    assert window.is_open(moment) == (inside if opens < closes else around)
    change = window.closes_at(moment) if window.is_open(moment) else window.opens_at(moment)
    assert change > moment
    assert window.is_open(change) != window.is_open(moment)
    # Everything starts at a whole minute.
    between = range(moment - moment % 60 + 60, int(change), 60)
    steps = between[:: max(1, len(between) // 50)]
    assert all(window.is_open(each) == window.is_open(moment) for each in (*steps, change - 0.001))


@pytest.mark.parametrize("text", ["8:00-20:00", " 08:00 - 20:00 ", "08:00–20:00"])
def test_hours_are_read_with_blanks_one_digit_and_a_typographic_dash(text: str) -> None:
    assert parse_window(text).hours == "08:00-20:00"


def test_twenty_four_is_midnight_at_the_end_only() -> None:
    assert parse_window("08:00-24:00").closes == time(0)
    with pytest.raises(InvalidInputError, match="08:00-20:00"):
        parse_window("24:00-08:00")


@pytest.mark.parametrize(
    "text",
    ["", "08:00", "8-20", "08:00-20:60", "25:00-20:00", "08:00-24:01", "08:00-20:00 GMT", "٠٨:00-20:00"],
)
def test_another_form_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^A window has the form 08:00-20:00; nothing was sent\.$"):
        parse_window(text)


@pytest.mark.parametrize("text", ["08:00-08:00", "00:00-24:00"])
def test_equal_ends_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"opens and closes at the same time: .* nothing was sent\.$"):
        parse_window(text)


@pytest.mark.parametrize(
    "zone", ["Africa/Bouake", "", "../etc", "/etc/localtime", "Africa", "a\0b", "é\ud83d"]
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidInputError, match=r"knows no time zone .* nothing was sent\.$"):
        parse_window("08:00-20:00", tz=zone)


@pytest.mark.parametrize("end", [time(8, 0, 1), time(8, 0, 0, 1), time(8, tzinfo=UTC)])
def test_ends_are_whole_minutes_without_a_zone(end: time) -> None:
    with pytest.raises(InvalidInputError, match="whole minutes"):
        Window(end, time(20), PARIS)
    with pytest.raises(InvalidInputError, match="whole minutes"):
        Window(time(6), end, PARIS)
