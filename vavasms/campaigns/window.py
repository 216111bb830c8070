"""The hours of the day in which messages may leave. Pure; time is passed in, as seconds since the epoch."""

from __future__ import annotations

import math
import re
from datetime import datetime, time
from zoneinfo import ZoneInfo

from attrs import frozen

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

_DAY = 86_400
_HOURS = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})\s*")
_NOT_A_WINDOW = N_("A window has the form 08:00-20:00; nothing was sent.")


@frozen
class Window:
    """Open whenever a clock in the zone shows `opens` or later and not yet `closes`.

    The clock alone counts: an hour that a clock change repeats is open twice, one that it skips is not open.
    Raises `InvalidInputError` where the hours make no sense.
    """

    #: Whole minutes, without a zone of its own.
    opens: time
    #: The first moment that is closed again; before `opens` where the window goes over midnight.
    closes: time
    zone: ZoneInfo

    def __attrs_post_init__(self) -> None:
        for end in (self.opens, self.closes):
            if end.tzinfo is not None or end.second or end.microsecond:
                raise InvalidInputError(
                    _("A window opens and closes at whole minutes without a zone; nothing was sent."),
                    error_code="campaign.window",
                )
        if self.opens == self.closes:
            raise InvalidInputError(
                _(
                    "The window opens and closes at the same time: leave it out to send at any hour; "
                    "nothing was sent."
                ),
                error_code="campaign.window",
            )

    @property
    def hours(self) -> str:
        """Return the hours in the form that `parse_window` reads."""
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"

    def is_open(self, at: float) -> bool:
        """Return whether messages may leave at this moment."""
        second = (math.floor(at) + _offset(at, self.zone)) % _DAY
        opens, closes = _seconds(self.opens), _seconds(self.closes)
        if opens < closes:
            return opens <= second < closes
        return second >= opens or second < closes

    def opens_at(self, at: float) -> float:
        """Return the next moment that is open: `at` itself where it is."""
        while not self.is_open(at):
            at = _next_showing(self.opens, at, self.zone)
        return at

    def closes_at(self, at: float) -> float:
        """Return the next moment that is closed: `at` itself where it is."""
        while self.is_open(at):
            at = _next_showing(self.closes, at, self.zone)
        return at


def parse_window(text: str, *, tz: str = "Africa/Abidjan") -> Window:
    """Read `08:00-20:00`, hours of the zone `tz`; `20:00-06:00` goes over midnight, 24:00 is midnight.

    Raises `InvalidInputError` for another form, an unknown zone and equal ends.
    """
    match = _HOURS.fullmatch(text)
    if match is None:
        raise InvalidInputError(_(_NOT_A_WINDOW), error_code="campaign.window")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    if (last_hour, last_minute) == (24, 0):
        last_hour = 0
    if max(hour, last_hour) > 23 or max(minute, last_minute) > 59:
        raise InvalidInputError(_(_NOT_A_WINDOW), error_code="campaign.window")
    return Window(time(hour, minute), time(last_hour, last_minute), _find_zone(tz))


def _find_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        pass
    raise InvalidInputError(
        _(
            "This machine knows no time zone {zone}: name one such as Africa/Abidjan; nothing was sent.",
            zone=repr(name[:40]),
        ),
        error_code="campaign.window",
    )


def _seconds(wall: time) -> int:
    return wall.hour * 3600 + wall.minute * 60


def _offset(at: float, zone: ZoneInfo) -> int:
    """Return the seconds by which the zone's clock is ahead of UTC."""
    offset = datetime.fromtimestamp(math.floor(at), zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def _next_showing(wall: time, at: float, zone: ZoneInfo) -> float:
    """Go to the next moment the clock shows `wall`, or to the clock's change where that comes first."""
    offset = _offset(at, zone)
    local = math.floor(at) + offset
    then = local - local % _DAY + _seconds(wall)
    then += _DAY if then <= local else 0
    return float(_first_change(math.floor(at), then - offset, zone))


def _first_change(start: int, end: int, zone: ZoneInfo) -> int:
    """Find the first second after `start` with another offset, by halves; `end` where there is none."""
    offset = _offset(start, zone)
    if _offset(end, zone) == offset:
        return end
    while end - start > 1:
        middle = (start + end) // 2
        if _offset(middle, zone) == offset:
            start = middle
        else:
            end = middle
    return end
