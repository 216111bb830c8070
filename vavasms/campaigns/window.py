"""The hours and days on which messages may leave. Pure; time is passed in, as seconds since the epoch."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from attrs import field, frozen

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

_DAY = 86_400
_EPOCH = date(1970, 1, 1)
_HOURS = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})\s*")
_NOT_A_WINDOW = N_("A window has the form 08:00-20:00; nothing was sent.")
#: Monday is 0, as for `date.weekday`.
EVERY_DAY = frozenset(range(7))
_DAY_NAMES = {
    name: number
    for names in ("mon tue wed thu fri sat sun", "lun mar mer jeu ven sam dim")
    for number, name in enumerate(names.split())
}
_NOT_DAYS = N_("Days have the form mon-sat or mon,wed,fri; nothing was sent.")
#: A day of one year, or the same one of each year.
_HOLIDAY = re.compile(r"(?:[0-9]{4}-)?[0-9]{2}-[0-9]{2}")
#: Whoever names more has written something else; with every day of the year it would never open.
_MOST_HOLIDAYS = 300
#: Seconds after which a window that is open all day need not close.
_FAR = 10 * 366 * _DAY


def _days(days: Iterable[int]) -> frozenset[int]:
    return frozenset(days)


def _holidays(holidays: Iterable[str]) -> frozenset[str]:
    return frozenset(holidays)


@frozen
class Window:
    """Open whenever a clock in the zone shows `opens` or later and not yet `closes`, on certain days.

    The clock alone counts: an hour that a clock change repeats is open twice, one that it skips is not open.
    A window over midnight belongs to the day on which it opens. One that opens and closes at the same time is
    open all day: it needs days or holidays that it leaves out.

    Raises `InvalidInputError` where the hours, the days or the holidays make no sense.
    """

    #: Whole minutes, without a zone of its own.
    opens: time
    #: The first moment that is closed again; before `opens` where the window goes over midnight.
    closes: time
    zone: ZoneInfo
    #: The days of the week; Monday is 0.
    days: frozenset[int] = field(default=EVERY_DAY, converter=_days)
    #: Days on which it stays closed: `2026-12-25`, or `12-25` of every year.
    holidays: frozenset[str] = field(default=(), converter=_holidays)

    def __attrs_post_init__(self) -> None:
        _check_days(self.days)
        _check_holidays(self.holidays)
        for end in (self.opens, self.closes):
            if end.tzinfo is not None or end.second or end.microsecond:
                raise InvalidInputError(
                    _("A window opens and closes at whole minutes without a zone; nothing was sent."),
                    error_code="campaign.window",
                )
        if self.opens == self.closes and self.days == EVERY_DAY and not self.holidays:
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
        local = math.floor(at) + _offset(at, self.zone)
        day, second = _EPOCH + timedelta(days=local // _DAY), local % _DAY
        opens, closes = _seconds(self.opens), _seconds(self.closes)
        if opens < closes:
            return opens <= second < closes and self._has(day)
        return self._has(day) if second >= opens else second < closes and self._has(day - timedelta(days=1))

    def _has(self, day: date) -> bool:
        """Return whether it opens on this day."""
        return day.weekday() in self.days and self.holidays.isdisjoint((day.isoformat(), f"{day:%m-%d}"))

    def opens_at(self, at: float) -> float:
        """Return the next moment that is open: `at` itself where it is."""
        while not self.is_open(at):
            at = _next_showing(self.opens, at, self.zone)
        return at

    def closes_at(self, at: float) -> float:
        """Return the next moment that is closed, `at` itself where it is; without one, in ten years."""
        latest = at + _FAR
        while self.is_open(at) and at < latest:
            at = _next_showing(self.closes, at, self.zone)
        return at


#: Hours by a name: `HOURS, days, zone`. `marketing-ci`: carriers' guidelines for Côte d'Ivoire, as far as one
#: public source tells them, name 08:00 to 19:00 for marketing, Monday to Saturday.
PRESETS = {"marketing-ci": ("08:00-19:00", "mon-sat", "Africa/Abidjan")}


def parse_window(
    text: str, *, tz: str = "Africa/Abidjan", days: Iterable[int] | None = None, holidays: Iterable[str] = ()
) -> Window:
    """Read `08:00-20:00`, hours of the zone `tz`; `20:00-06:00` goes over midnight, 24:00 is midnight.

    Or the name of hours that are known here, `marketing-ci`, with a zone and days of their own. `days`, as
    `parse_days` returns them, go before those; None: every day.

    Raises `InvalidInputError` for another form, an unknown zone, and equal ends with no day left out.
    """
    usual = EVERY_DAY
    if text.strip().lower() in PRESETS:
        text, names, tz = PRESETS[text.strip().lower()]
        usual = parse_days(names)
    match = _HOURS.fullmatch(text)
    if match is None:
        raise InvalidInputError(_(_NOT_A_WINDOW), error_code="campaign.window")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    if (last_hour, last_minute) == (24, 0):
        last_hour = 0
    if max(hour, last_hour) > 23 or max(minute, last_minute) > 59:
        raise InvalidInputError(_(_NOT_A_WINDOW), error_code="campaign.window")
    return Window(
        time(hour, minute),
        time(last_hour, last_minute),
        find_zone(tz),
        days=usual if days is None else days,
        holidays=holidays,
    )


def parse_days(text: str) -> frozenset[int]:
    """Read `mon-sat` or `mon,wed,fri`, also in French (`lun-sam`); Monday is 0. `sat-mon` goes over Sunday.

    Raises `InvalidInputError` for another form.
    """
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.strip().partition("-")
        begin, end = (_DAY_NAMES.get(name.strip()) for name in (first, last if dash else first))
        if begin is None or end is None:
            raise InvalidInputError(_(_NOT_DAYS), error_code="campaign.window")
        days.update((begin + more) % 7 for more in range((end - begin) % 7 + 1))
    return frozenset(days)


def parse_holidays(text: str) -> frozenset[str]:
    """Read holidays, one a line: `2026-12-25`, or `12-25` for every year. What follows a `#` is a comment.

    Raises `InvalidInputError` for a line that is none.
    """
    lines = (line.partition("#")[0].strip() for line in text.lstrip("\ufeff").splitlines())
    holidays = frozenset(filter(None, lines))
    _check_holidays(holidays)
    return holidays


def _check_days(days: Collection[object]) -> None:
    if not days or not EVERY_DAY.issuperset(days) or any(isinstance(day, bool) for day in days):
        raise InvalidInputError(_(_NOT_DAYS), error_code="campaign.window")


def _check_holidays(holidays: Collection[object]) -> None:
    if len(holidays) > _MOST_HOLIDAYS:
        raise InvalidInputError(
            _("More than {most} holidays are no holidays; nothing was sent.", most=str(_MOST_HOLIDAYS)),
            error_code="campaign.window",
        )
    for holiday in holidays:
        if not (isinstance(holiday, str) and _HOLIDAY.fullmatch(holiday) and _is_date(holiday)):
            raise InvalidInputError(
                _(
                    "A holiday is a day such as 2026-12-25, or 12-25 for every year, and {text} is none; "
                    "nothing was sent.",
                    text=repr(holiday)[:40],
                ),
                error_code="campaign.window",
            )


def _is_date(holiday: str) -> bool:
    try:
        # The 29th of February is a day of some years.
        date.fromisoformat(holiday if len(holiday) > 5 else f"2024-{holiday}")
    except ValueError:
        return False
    return True


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone. Raises `InvalidInputError` where this machine knows none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        pass
    if not available_timezones():
        raise InvalidInputError(
            _("This machine knows no time zones: pip install tzdata; nothing was sent."),
            error_code="campaign.window",
        )
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
