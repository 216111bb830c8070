"""A moment as a person writes it, read beside a clock that is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from vavasms.campaigns.moment import parse_moment
from vavasms.errors import InvalidInputError

#: 28 November 2026, a Saturday.
NOW = datetime.fromisoformat("2026-11-28T10:30+00:00")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01T09:00", "2026-12-01T09:00+00:00"),
        ("2026-12-01 09:00:30", "2026-12-01T09:00:30+00:00"),
        ("2026-12-01", "2026-12-01T00:00+00:00"),
        ("2026-12-01T09:00+02:00", "2026-12-01T07:00+00:00"),
        (" 11:00 ", "2026-11-28T11:00+00:00"),
        ("09:00", "2026-11-29T09:00+00:00"),
        ("9:05", "2026-11-29T09:05+00:00"),
        ("10:30", "2026-11-29T10:30+00:00"),
        ("+2h", "2026-11-28T12:30+00:00"),
        ("+90m", "2026-11-28T12:00+00:00"),
        ("+ 5 min", None),
        ("+5min", "2026-11-28T10:35+00:00"),
        ("+3d", "2026-12-01T10:30+00:00"),
        ("+3J", "2026-12-01T10:30+00:00"),
        ("+0h", "2026-11-28T10:30+00:00"),
    ],
)
def test_a_date_an_hour_and_a_while_are_read(text: str, moment: str | None) -> None:
    if moment is None:
        with pytest.raises(InvalidInputError, match="no moment"):
            parse_moment(text, now=NOW.timestamp())
        return
    found = parse_moment(text, now=NOW.timestamp())
    assert found == datetime.fromisoformat(moment)
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    "text", ["", "demain", "9h", "25:00", "10:60", "+2", "+2w", "-2h", "2026-13-01", "tomorrow"]
)
def test_what_is_no_moment_is_shown(text: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"2026-12-01T09:00, 09:00 or \+2h; nothing was sent"
    ) as raised:
        parse_moment(text, now=NOW.timestamp())
    assert raised.value.error_code == "campaign.moment"


@pytest.mark.parametrize("text", ["2026-11-28T10:29", "2025-12-01", "2026-11-28T11:00+02:00"])
def test_a_moment_that_is_over_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is over already; nothing was sent"):
        parse_moment(text, now=NOW.timestamp())


def test_an_hour_and_a_while_go_over_a_change_of_clocks() -> None:
    # 29 March 2026 in Paris: 02:00 becomes 03:00.
    now = datetime.fromisoformat("2026-03-28T22:00+01:00").timestamp()
    nine = parse_moment("09:00", now=now, tz="Europe/Paris")
    assert nine == datetime.fromisoformat("2026-03-29T09:00+02:00")
    later = parse_moment("+12h", now=now, tz="Europe/Paris")
    assert later.timestamp() - now == timedelta(hours=12).total_seconds()
    assert (later.hour, nine.hour) == (11, 9)
    # 25 October: 03:00 becomes 02:00. The first of both is meant.
    now = datetime.fromisoformat("2026-10-24T22:00+02:00").timestamp()
    assert (
        parse_moment("02:30", now=now, tz="Europe/Paris").timestamp()
        == datetime.fromisoformat("2026-10-25T02:30+02:00").timestamp()
    )


def test_an_unknown_zone_is_one_sentence() -> None:
    with pytest.raises(InvalidInputError, match="no time zone"):
        parse_moment("09:00", now=NOW.timestamp(), tz="Nowhere/At-All")
