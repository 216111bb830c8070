"""Messages over time: few spans, of a round length, that hold every message."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavasms.campaigns.timeline import MOST_SPANS, Timeline

ABIDJAN, PARIS = ZoneInfo("Africa/Abidjan"), ZoneInfo("Europe/Paris")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=ABIDJAN).timestamp()
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def count(*moments: float, zone: ZoneInfo = ABIDJAN) -> Timeline:
    timeline = Timeline(zone)
    for moment in moments:
        timeline.add(moment, 1)
    return timeline


@settings(max_examples=60)
@given(
    moments=st.lists(st.floats(0, 4e9), min_size=1, max_size=30),
    scale=st.sampled_from([1.0, 1e-3, 1e-6]),
)
def test_there_are_few_spans_without_a_gap_and_they_hold_every_message(
    moments: list[float], scale: float
) -> None:
    timeline = count(*(1.7e9 + moment * scale for moment in moments))
    spans = timeline.spans
    assert 1 <= len(spans) <= MOST_SPANS
    assert sum(span.messages for span in spans) == len(moments)
    assert spans[0].messages
    assert spans[-1].messages
    begins = [span.begins.timestamp() for span in spans]
    assert {later - earlier for earlier, later in pairwise(begins)} <= {timeline.width}


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0, 1), (23, 1), (24, 2), (600, 30), (HOUR, 300), (5 * HOUR, 900), (DAY, 2 * HOUR), (40 * DAY, 2 * DAY)],
)
def test_a_span_is_as_long_as_a_person_calls_round(seconds: int, width: int) -> None:
    assert count(NOON, NOON + seconds).width == width


def test_nothing_has_no_span() -> None:
    assert (count().width, count().spans) == (0, [])


def test_a_span_begins_when_the_clock_of_the_zone_is_round() -> None:
    timeline = count(NOON, NOON + 5 * DAY, zone=PARIS)
    assert timeline.width == 6 * HOUR
    assert [span.begins.isoformat() for span in timeline.spans][:2] == [
        "2026-07-01T12:00:00+02:00",
        "2026-07-01T18:00:00+02:00",
    ]


def test_a_week_begins_on_monday() -> None:
    timeline = count(NOON, NOON + 100 * DAY)
    assert timeline.width == 7 * DAY
    assert {span.begins.weekday() for span in timeline.spans} == {0}


def test_memory_is_that_of_some_thousand_moments_however_many_there_are() -> None:
    timeline = Timeline(ABIDJAN)
    for index in range(30_000):
        timeline.add(NOON + 7 * index, 2)
    assert timeline.fineness == MINUTE
    assert sum(span.messages for span in timeline.spans) == 60_000
    assert timeline.width == 3 * HOUR
    assert timeline.spans[0].begins == datetime(2026, 7, 1, 12, 0, tzinfo=ABIDJAN)


def test_moments_of_decades_are_still_few_spans() -> None:
    timeline = Timeline(ABIDJAN)
    for index in range(9_000):
        timeline.add(NOON + DAY * index, 1)
    assert timeline.fineness == DAY
    assert len(timeline.spans) <= MOST_SPANS
    assert sum(span.messages for span in timeline.spans) == 9_000
