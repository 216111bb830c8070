"""`GatewayProfile`: what is known of a gateway that its documentation does not say. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

from attrs import field, fields, fields_dict, frozen

from vavasms.config import DEFAULT_STATUS_PATH, LOOPBACK, gateway_of, is_status_path, misconfigured
from vavasms.errors import ConfigurationError
from vavasms.i18n import gettext as _

#: The most that a count may be.
MOST = 1_000_000
#: Amounts with so few digits are computed with exactly; those of a campaign's limits are as well.
_MOST_MONEY, _FINEST = Decimal(10**12), -6
#: The longest that a word of the status may take, in seconds: a month.
LONGEST_AGE = 31 * 86_400
#: The most characters of a host's name.
_LONGEST_HOST = 253
#: The most statuses, and characters in the word of one.
MOST_STATUSES, _MOST_CHARACTERS = 50, 100


class Oversize(StrEnum):
    """What becomes of a request for more numbers than the gateway takes."""

    #: It is refused, and nothing of it is accepted.
    REFUSED = "refused"
    #: The first ones are accepted, the others are dropped without a word.
    DROPPED = "dropped"


def _freeze(given: Mapping[str, float]) -> Mapping[str, float]:
    # What is no table is left to the check of the field.
    return MappingProxyType(dict(given)) if isinstance(given, Mapping) else given


@frozen(kw_only=True)
class GatewayProfile:
    """What is known of one gateway; None is "not known". `vavasms probe` finds it out.

    Raises `ConfigurationError` where a value makes no sense.
    """

    #: Where it was found out: a host, or `loopback` for what stands in for one on this machine. None: of any.
    gateway: str | None = None
    #: Where the delivery status is asked for, such as `/v1/text/single`.
    status_path: str | None = None
    #: False: none of the paths that were tried answers, and delivery is not asked after.
    has_status_call: bool | None = None
    #: A lot that is refused for one bad number (903) went to nobody.
    lots_are_atomic: bool | None = None
    #: The most numbers that one request is known to take.
    batch_size: int | None = None
    #: True: it takes no more than that. False: it may, and the size is no reason for smaller requests.
    batch_size_is_limit: bool | None = None
    #: What becomes of a request for more.
    oversize: Oversize | None = None
    #: XOF of a segment.
    unit_price: Decimal | None = None
    #: XOF of a segment of a text that is not in GSM-7.
    unit_price_ucs2: Decimal | None = None
    #: False: a text of several segments does not cost as many times the price.
    price_is_per_segment: bool | None = None
    #: The most requests that were answered within a second.
    requests_per_second: int | None = None
    #: True: it turns away more than that (429). False or None: it may take more.
    requests_per_second_is_limit: bool | None = None
    #: The words of the delivery status, and the seconds after which each was first read.
    statuses: Mapping[str, float] = field(factory=dict, converter=_freeze, hash=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping that cannot be changed cannot be pickled.
        values = {name: getattr(self, name) for name in fields_dict(GatewayProfile)}
        return partial(GatewayProfile, **{**values, "statuses": dict(self.statuses)}), ()

    def __attrs_post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            fault = None if value is None else check(value)
            if fault is not None:
                raise profile_error(_("{name} {fault}", name=name, fault=fault))
        if self.has_status_call is False and self.status_path is not None:
            raise profile_error(_("has_status_call is false, and status_path names a call"))
        for name in ("batch_size", "requests_per_second"):
            flag = f"{name}_is_limit"
            if getattr(self, flag) is not None and getattr(self, name) is None:
                raise profile_error(_("{flag} needs {name}", flag=flag, name=name))

    @property
    def default_status_path(self) -> str | None:
        """Where the status is asked for unless a setting names another path; None: it is not."""
        return None if self.has_status_call is False else self.status_path or DEFAULT_STATUS_PATH

    @property
    def most_recipients(self) -> int | None:
        """The most numbers that a request may have; None where no limit is known."""
        return self.batch_size if self.batch_size_is_limit else None

    def choose_batch_size(self, default: int) -> int:
        """Return how many numbers a request has unless a setting says so; `default` where nothing is known.

        A size that was merely tried (`batch_size_is_limit` is False) may raise the default, and never lowers
        it: a probe of a few SMS has tried two.
        """
        if self.batch_size is None:
            return default
        return max(self.batch_size, default) if self.batch_size_is_limit is False else self.batch_size

    @property
    def highest_price(self) -> Decimal | None:
        """XOF that a segment costs at most, so that a budget holds whatever the text's alphabet.

        None where a price is not known.
        """
        if self.unit_price is None:
            return None
        return max(self.unit_price, self.unit_price_ucs2 or self.unit_price)


def check_gateway(profile: GatewayProfile, base_url: str) -> None:
    """Raise `ConfigurationError` where a profile was found out elsewhere than at the gateway of a base URL.

    On this machine any profile may be tried. Elsewhere one is dangerous: where a 903 is taken for "sent to
    nobody" and is not, whoever was sent to is sent to again.
    """
    gateway = gateway_of(base_url)
    if gateway != LOOPBACK and profile.gateway not in (None, gateway):
        raise profile_error(
            _("The gateway profile is of {found}, not of {gateway}", found=profile.gateway, gateway=gateway)
        )


def profile_error(fault: str) -> ConfigurationError:
    """Build the error of a profile with a fault: a clause without a full stop."""
    return misconfigured(_("{fault}.", fault=fault), "config.profile")


def _check_path(value: object) -> str | None:
    if isinstance(value, str) and is_status_path(value):
        return None
    return _("must be a path in plain characters that begins with /")


def _check_gateway(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_HOST and value.isascii() and value.isprintable():
        return None
    return _("must be the name of a host, or loopback")


def _check_bool(value: object) -> str | None:
    return None if isinstance(value, bool) else _("must be true or false")


def _check_count(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST:
        return None
    return _("must be a whole number from 1 to {most}", most=MOST)


def _check_oversize(value: object) -> str | None:
    if isinstance(value, Oversize):
        return None
    return _("must be one of {words}", words=", ".join(Oversize))


def _check_price(value: object) -> str | None:
    if isinstance(value, Decimal) and value.is_finite() and 0 < value < _MOST_MONEY:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent >= _FINEST:
            return None
    return _("must be an amount above 0, below 10^12 and with 6 decimals at most")


def _check_statuses(value: object) -> str | None:
    if (
        isinstance(value, Mapping)
        and len(value) <= MOST_STATUSES
        and all(_is_word(word) and _is_age(age) for word, age in value.items())
    ):
        return None
    return _("must be words of the gateway, each with seconds from 0 to {most}", most=LONGEST_AGE)


def _is_word(word: object) -> bool:
    return isinstance(word, str) and 0 < len(word) <= _MOST_CHARACTERS and word.isprintable()


def _is_age(age: object) -> bool:
    is_number = isinstance(age, int | float | Decimal) and not isinstance(age, bool)
    return is_number and math.isfinite(age) and 0 <= age <= LONGEST_AGE  # type: ignore[arg-type,operator]


_CHECKS = {
    "gateway": _check_gateway,
    "status_path": _check_path,
    "has_status_call": _check_bool,
    "lots_are_atomic": _check_bool,
    "batch_size": _check_count,
    "batch_size_is_limit": _check_bool,
    "oversize": _check_oversize,
    "unit_price": _check_price,
    "unit_price_ucs2": _check_price,
    "price_is_per_segment": _check_bool,
    "requests_per_second": _check_count,
    "requests_per_second_is_limit": _check_bool,
    "statuses": _check_statuses,
}
#: The keys of a profile, in their order.
NAMES = tuple(each.name for each in fields(GatewayProfile))
#: Knows nothing.
UNKNOWN = GatewayProfile()
