"""A moment as a person writes it: a date, an hour, or a while from now. Pure; time is passed in."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from vavasms.campaigns.window import find_zone
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_HOUR = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_WHILE = re.compile(r"\+([0-9]{1,5})\s*(m|min|h|d|j)", re.IGNORECASE)
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "j": "days"}


def parse_moment(text: str, *, now: float, tz: str = "Africa/Abidjan") -> datetime:
    """Read `2026-12-01T09:00`, `09:00` (the next one) or `+2h` (also `+90m`, `+3d`), with a time zone.

    A date without a zone of its own is of `tz`, and so is an hour. `now` is in seconds since the epoch.

    Raises `InvalidInputError` for another form, an unknown zone and a moment that is over.
    """
    zone = find_zone(tz)
    current, text = datetime.fromtimestamp(now, zone), text.strip()
    moment = _read_while(text, current) or _read_hour(text, current) or _read_date(text)
    if moment is None:
        raise InvalidInputError(
            _(
                "{text} is no moment: write it like 2026-12-01T09:00, 09:00 or +2h; nothing was sent.",
                text=repr(text[:40]),
            ),
            error_code="campaign.moment",
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if moment.timestamp() < now:
        raise InvalidInputError(
            _("{text} is over already; nothing was sent.", text=repr(text[:40])), error_code="campaign.moment"
        )
    return moment


def _read_while(text: str, current: datetime) -> datetime | None:
    match = _WHILE.fullmatch(text)
    if match is None:
        return None
    # In UTC: two hours are two hours, whatever a clock on the wall does meanwhile.
    later = current.timestamp() + timedelta(**{_UNITS[match[2].lower()]: int(match[1])}).total_seconds()
    return datetime.fromtimestamp(later, current.tzinfo)


def _read_hour(text: str, current: datetime) -> datetime | None:
    match = _HOUR.fullmatch(text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        return None
    hour = time(int(match[1]), int(match[2]), tzinfo=current.tzinfo)
    moment = datetime.combine(current.date(), hour)
    return moment if moment > current else datetime.combine(current.date() + timedelta(days=1), hour)


def _read_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
