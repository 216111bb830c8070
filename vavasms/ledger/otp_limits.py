"""The limits of one-time codes, as a client is given them. Loaded with the client, so it is small."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from attrs import field, frozen

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.numbers import check_region

#: Seconds in which codes are counted.
HOUR, DAY = 3600.0, 86_400.0

_COUNTED = ("number_hourly", "number_daily", "client_hourly", "range_hourly", "segments_daily", "wrong_codes")
_TIMES = ("cool_down", "longest_cool_down")


def _read_countries(countries: Collection[str] | None) -> tuple[str, ...] | None:
    if countries is None:
        return None
    if isinstance(countries, str | bytes) or not isinstance(countries, Collection):
        raise misconfigured(
            _("countries is a list of country codes, such as ('ML', 'BF'), or None for all."),
            "config.argument",
        )
    return tuple(check_region(country) for country in countries)


@frozen(kw_only=True)
class OtpLimits:
    """How many one-time codes may be sent, and tried, before a call is refused with `OtpLimitedError`.

    Against artificial traffic: codes that nobody wants, to numbers that somebody is paid for. Hours and days
    are those before the call. Each limit is switched off by None. Raises `ConfigurationError` for what can be
    none.
    """

    #: Between two codes for one number; it doubles with each code of 24 hours.
    cool_down: timedelta | None = timedelta(seconds=30)
    #: What it doubles to.
    longest_cool_down: timedelta = timedelta(minutes=15)
    #: Codes for one number.
    number_hourly: int | None = 5
    number_daily: int | None = 10
    #: Codes for one caller, where `send_otp` is given one; an IPv6 address counts by its /64.
    client_hourly: int | None = 10
    #: Codes for 100 consecutive numbers: those that differ in their last two digits only.
    range_hourly: int | None = 10
    #: Countries beside the client's `region` that codes are sent to; None: all.
    countries: Collection[str] | None = field(default=(), converter=_read_countries)
    #: Segments of all codes together.
    segments_daily: int | None = None
    #: Wrong codes for one number; then none is checked until a new one is sent.
    wrong_codes: int | None = 5

    def __attrs_post_init__(self) -> None:
        for name in _COUNTED:
            value = getattr(self, name)
            if value is not None and not (type(value) is int and value >= 1):
                raise misconfigured(
                    _("OtpLimits: {name} is a whole number, 1 or more, or None for no limit.", name=name),
                    "config.argument",
                )
        for name in _TIMES:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, timedelta) and 0 < value.total_seconds() <= DAY):
                raise misconfigured(
                    _("OtpLimits: {name} is a timedelta of more than zero and a day at most.", name=name),
                    "config.argument",
                )
        if self.longest_cool_down is None or (self.cool_down or timedelta()) > self.longest_cool_down:
            raise misconfigured(
                _("OtpLimits: longest_cool_down is a timedelta, not below cool_down."), "config.argument"
            )

    def cool_down_after(self, codes: int) -> float:
        """Return the seconds between a number's last code and its next, after so many of 24 hours."""
        if self.cool_down is None or codes < 1:
            return 0.0
        doubled = self.cool_down.total_seconds() * 2.0 ** (codes - 1)
        return min(doubled, self.longest_cool_down.total_seconds())
