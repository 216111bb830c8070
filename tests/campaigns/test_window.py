"""The hours in which messages may leave, over clock changes too."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.campaigns import window
from vavasms.campaigns.window import EVERY_DAY, PRESETS, Window, parse_days, parse_holidays, parse_window
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


# --- days ----------------------------------------------------------------------------------------------

# 2 March 2026 is a Monday.
WORKDAYS = parse_window("08:00-19:00", tz="UTC", days=parse_days("mon-sat"))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-sat", {0, 1, 2, 3, 4, 5}),
        ("LUN-SAM", {0, 1, 2, 3, 4, 5}),
        ("mon, wed ,fri", {0, 2, 4}),
        ("sat-mon", {5, 6, 0}),
        ("dim", {6}),
        ("mon-fri,sun", {0, 1, 2, 3, 4, 6}),
        ("mon-sun", EVERY_DAY),
        ("wed-wed", {2}),
    ],
)
def test_days_are_read_in_two_languages(text: str, days: set[int]) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize(
    "text", ["", "mon-", "-sat", "monday", "1-5", "mon;tue", "mon--sat", "mon,", "lunes"]
)
def test_what_are_no_days_is_one_sentence(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"mon-sat.*nothing was sent"):
        parse_days(text)


def test_a_sunday_is_waited_through() -> None:
    saturday = at("2026-03-07T18:59:59+00:00")
    assert WORKDAYS.is_open(saturday)
    assert WORKDAYS.closes_at(saturday) == at("2026-03-07T19:00+00:00")
    assert WORKDAYS.opens_at(at("2026-03-07T19:00+00:00")) == at("2026-03-09T08:00+00:00")
    assert not WORKDAYS.is_open(at("2026-03-08T12:00+00:00"))


def test_a_holiday_is_waited_through_of_one_year_or_of_each() -> None:
    window = parse_window("08:00-19:00", tz="UTC", holidays=["2026-12-25", "01-01"])
    assert window.opens_at(at("2026-12-24T20:00+00:00")) == at("2026-12-26T08:00+00:00")
    assert window.is_open(at("2027-12-25T12:00+00:00"))
    for year in (2026, 2027, 2030):
        assert window.opens_at(at(f"{year}-01-01T00:00+00:00")) == at(f"{year}-01-02T08:00+00:00")


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    window = parse_window("20:00-06:00", tz="UTC", days=parse_days("mon-sat"), holidays=["2026-03-04"])
    # Saturday's goes on into Sunday; Sunday's does not begin, nor that of Wednesday the 4th.
    assert window.is_open(at("2026-03-08T05:59+00:00"))
    assert window.closes_at(at("2026-03-07T23:00+00:00")) == at("2026-03-08T06:00+00:00")
    assert window.opens_at(at("2026-03-08T06:00+00:00")) == at("2026-03-09T20:00+00:00")
    assert window.is_open(at("2026-03-04T05:59+00:00"))
    assert window.opens_at(at("2026-03-04T06:00+00:00")) == at("2026-03-05T20:00+00:00")


def test_days_alone_are_open_all_day() -> None:
    window = parse_window("00:00-24:00", tz="UTC", days=parse_days("mon-sat"))
    assert window.closes_at(at("2026-03-02T00:00+00:00")) == at("2026-03-08T00:00+00:00")
    assert window.opens_at(at("2026-03-08T00:00+00:00")) == at("2026-03-09T00:00+00:00")
    with pytest.raises(InvalidInputError, match="same time"):
        parse_window("00:00-24:00", tz="UTC", days=EVERY_DAY)


def test_a_window_that_closes_no_more_says_so_after_ten_years() -> None:
    window = parse_window("00:00-24:00", tz="UTC", holidays=["2020-01-01"])
    now = at("2026-03-02T00:00+00:00")
    assert window.opens_at(now) == now
    assert now + 3_650 * 86_400 <= window.closes_at(now) <= now + 3_662 * 86_400


def test_the_days_are_those_of_the_zone_when_its_clock_changes() -> None:
    # 29 March 2026, a Sunday in Paris, begins at 23:00 in UTC and has 23 hours.
    window = parse_window("00:00-24:00", tz="Europe/Paris", days=parse_days("sun"))
    sunday = at("2026-03-29T00:00+01:00")
    assert not window.is_open(sunday - 1)
    assert window.is_open(sunday)
    assert window.closes_at(sunday) == sunday + 23 * 3600 == at("2026-03-30T00:00+02:00")


def test_marketing_in_cote_d_ivoire_has_hours_days_and_a_zone_of_its_own() -> None:
    window = parse_window(" Marketing-CI ", tz="Europe/Paris")
    assert window == Window(time(8), time(19), ZoneInfo("Africa/Abidjan"), days=range(6))
    assert parse_window("marketing-ci", days=parse_days("mon-fri"), holidays=["12-25"]).days == {*range(5)}
    assert {*PRESETS} == {"marketing-ci"}


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-29", "25/12/2026", "12-32", "2-30", "02-30", "noël"])
def test_what_is_no_holiday_is_shown(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"2026-12-25.*nothing was sent") as raised:
        parse_holidays(f"2026-12-25\n{text}\n")
    assert repr(text) in str(raised.value)


def test_holidays_stand_one_a_line_with_comments() -> None:
    text = "\ufeff# Côte d'Ivoire\n2026-08-07  # Indépendance\r\n\n 12-25\n02-29\n"
    assert parse_holidays(text) == {"2026-08-07", "12-25", "02-29"}


def test_holidays_that_leave_no_day_are_refused() -> None:
    every = [f"{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    with pytest.raises(InvalidInputError, match="More than 300"):
        parse_window("08:00-20:00", holidays=every)


@pytest.mark.parametrize("days", [[], [7], [-1], ["mon"], [True], "mon"])
def test_days_of_a_window_are_numbers_of_weekdays(days: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="mon-sat"):
        parse_window("08:00-20:00", days=days)


@given(
    now=moments,
    opens=minutes,
    closes=minutes,
    days=st.sets(st.integers(0, 6), min_size=1),
    holidays=st.sets(st.dates(min_value=date(2010, 1, 1), max_value=date(2031, 1, 1)).map(str), max_size=5),
    zone=st.sampled_from(ZONES),
)
def test_what_opens_was_closed_before_and_what_closes_was_open(
    now: int, opens: int, closes: int, days: set[int], holidays: set[str], zone: str
) -> None:
    if opens == closes and len(days) == 7:
        return
    window = Window(day(opens), day(closes), ZoneInfo(zone), days=days, holidays=holidays)
    begin = window.opens_at(now)
    assert window.is_open(begin)
    assert begin == now or not window.is_open(begin - 1)
    end = window.closes_at(begin)
    assert end > begin
    assert not window.is_open(end) or end >= begin + 3_660 * 86_400
    assert window.is_open(end - 1)


def test_a_machine_without_time_zones_is_told_how_to_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "ZoneInfo", _know_nothing)
    monkeypatch.setattr(window, "available_timezones", set)
    with pytest.raises(InvalidInputError, match="pip install tzdata; nothing was sent"):
        window.find_zone("Africa/Abidjan")


def _know_nothing(name: str) -> None:
    raise KeyError(name)
