"""The limits that a campaign keeps: rate, hours, money. Pure; time is passed in."""

from __future__ import annotations

import json
import math
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from attrs import asdict, evolve, fields, frozen

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.bulk.models import DEFAULT_BATCH_SIZE
from vavasms.campaigns.window import Window, find_zone, parse_window
from vavasms.errors import InvalidInputError
from vavasms.i18n import Argument
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.profile.models import UNKNOWN, GatewayProfile

__all__ = ["Policy", "Window", "dump_policy", "finishing_time", "load_policy", "parse_window"]

_MONEY = ("unit_price", "budget", "balance_floor")
#: Kept as text.
_DECIMALS = (*_MONEY, "min_delivery")
#: Amounts with so few digits are computed with exactly.
_MOST_MONEY, _FINEST = Decimal(10**12), -6
_EXACT = Context(prec=50)
#: Seconds; what would take longer has no end worth telling.
_CENTURY = 100 * 365 * 86_400


#: A moment as it is written.
_MOMENT = "2026-12-01T09:00:00+00:00"
_UNIT_PRICE = Argument.make("unit_price=Decimal(12)", "--unit-price 12")
_NEEDS_A_PRICE = (
    N_(
        "A budget needs the unit price: add {argument}, the price of a segment in your contract; "
        "nothing was sent."
    ),
    N_(
        "A balance floor needs the unit price: add {argument}, the price of a segment in your contract; "
        "nothing was sent."
    ),
)

#: Messages a second: at a smaller one a single batch would hold up the account's other campaigns for days.
SLOWEST_RATE = 0.001


@frozen(kw_only=True)
class Policy:
    """The limits of one campaign. Raises `InvalidInputError` where one makes no sense."""

    #: Messages a second; None: as fast as answers come.
    rate: float | None = None
    #: None: at any hour.
    window: Window | None = None
    #: Nothing leaves before then; with a zone. None: at once.
    not_before: datetime | None = None
    #: XOF a segment; the gateway tells no prices.
    unit_price: Decimal | None = None
    #: XOF that the whole campaign may cost.
    budget: Decimal | None = None
    #: XOF that must stay on the account.
    balance_floor: Decimal | None = None
    #: Messages a recipient may have in any 24 hours, over all campaigns of the ledger.
    daily_cap: int | None = None
    #: Numbers a request; None: the profile's, else 100, which a size that was merely tried does not lower.
    batch_size: int | None = None
    concurrency: int = 16
    #: Whoever runs it asks for its delivery reports as well.
    track: bool = True
    #: The share of the messages that must be delivered, above 0 up to 1; it pauses below. None: any.
    min_delivery: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        _check_count("concurrency", self.concurrency)
        for name in ("batch_size", "daily_cap"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        _check_rate(self.rate)
        if self.window is not None and not isinstance(self.window, Window):
            raise InvalidInputError(
                _("window must be a Window: parse_window reads one; nothing was sent."),
                error_code="campaign.window",
                argument="window",
            )
        _check_moment(self.not_before)
        for name in _MONEY:
            _check_money(name, getattr(self, name), least=0 if name == "balance_floor" else None)
        check_flags(NOTHING_SENT, track=self.track)
        _check_share("min_delivery", self.min_delivery)
        if (self.budget is not None or self.balance_floor is not None) and self.unit_price is None:
            needs = _NEEDS_A_PRICE[0 if self.budget is not None else 1]
            raise InvalidInputError(_(needs, argument=_UNIT_PRICE), error_code="campaign.unit_price")

    def settle(self, profile: GatewayProfile = UNKNOWN) -> Policy:
        """Return it with what nobody said taken from the gateway's profile, or the defaults.

        Of two prices, of GSM-7 and of other texts, the higher one: a budget holds whatever is written.
        """
        return evolve(
            self,
            batch_size=self.batch_size or profile.choose_batch_size(DEFAULT_BATCH_SIZE),
            unit_price=profile.highest_price if self.unit_price is None else self.unit_price,
        )

    @property
    def request_size(self) -> int:
        """The numbers of one request, at most."""
        return self.batch_size or DEFAULT_BATCH_SIZE

    def is_open(self, at: float) -> bool:
        """Return whether messages may leave at this moment, seconds since the epoch."""
        return at >= self._begins and (self.window is None or self.window.is_open(at))

    def opens_at(self, at: float) -> float:
        """Return the next moment at which they may: `at` itself where they may then."""
        at = max(at, self._begins)
        return at if self.window is None else self.window.opens_at(at)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its hours; that of Abidjan where it has none."""
        return find_zone("Africa/Abidjan") if self.window is None else self.window.zone

    @property
    def _begins(self) -> float:
        return -math.inf if self.not_before is None else self.not_before.timestamp()

    @property
    def max_segments(self) -> int | None:
        """Return the segments that the budget pays; None without a budget."""
        if self.budget is None or self.unit_price is None:
            return None
        return int(_EXACT.divide_int(self.budget, self.unit_price))

    def cost(self, segments: int) -> Decimal | None:
        """Return the XOF that so many segments cost; None where the price is not known."""
        return None if self.unit_price is None else _EXACT.multiply(self.unit_price, Decimal(segments))


def dump_policy(policy: Policy) -> str:
    """Write a policy as compact JSON, its keys sorted, its amounts as text."""
    data = asdict(policy, recurse=False) | {"batch_size": policy.request_size}
    for name in _DECIMALS:
        data[name] = None if data[name] is None else str(data[name])
    window = policy.window
    data["window"] = None if window is None else window.hours
    data["tz"] = None if window is None else window.zone.key
    data["days"] = None if window is None else sorted(window.days)
    data["holidays"] = None if window is None else sorted(window.holidays)
    data["not_before"] = None if policy.not_before is None else policy.not_before.isoformat()
    return json.dumps(data, separators=(",", ":"), sort_keys=True)


def load_policy(text: str) -> Policy:
    """Read what `dump_policy` wrote; keys of a later version are passed over, missing ones have defaults.

    Raises `InvalidInputError`.
    """
    data = _read_object(text)
    for name in _DECIMALS:
        if data.get(name) is not None:
            data[name] = _read_decimal(name, data[name])
    if data.get("window") is not None:
        data["window"] = parse_window(
            str(data["window"]),
            tz=str(data.get("tz")),
            days=data.get("days"),
            holidays=data.get("holidays") or (),
        )
    if data.get("not_before") is not None:
        data["not_before"] = _read_moment(data["not_before"])
    return Policy(**{field.name: data[field.name] for field in fields(Policy) if field.name in data})


def finishing_time(
    policy: Policy, *, messages: int, requests: int, starts: float, latency: float = 0.5
) -> float:
    """Return the moment at which a campaign ends that starts at `starts`, seconds since the epoch.

    The rate or the concurrency (with requests of `latency` seconds) decides, whichever takes longer; closed
    hours are walked through, one step each. Exact; infinity where it would take more than a century.
    """
    if not messages:
        return starts
    work = Fraction(requests) * Fraction(latency) / policy.concurrency
    if policy.rate is not None:
        work = max(work, messages / Fraction(policy.rate))
    if work > _CENTURY:
        return math.inf
    window, moment, horizon = policy.window, policy.opens_at(starts), starts + _CENTURY
    if window is None:
        return float(Fraction(moment) + work)
    while moment < horizon:
        moment = window.opens_at(moment)
        # In fractions: a rounding error left over at closing time would cost one day more.
        closes = window.closes_at(moment)
        spent = Fraction(closes) - Fraction(moment)
        if work <= spent:
            return float(Fraction(moment) + work)
        work, moment = work - spent, closes
    return math.inf


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(
            _("{name} must be a whole number, 1 or more; nothing was sent.", name=name),
            error_code="campaign.limit",
            argument=name,
        )


def _check_moment(moment: object) -> None:
    if moment is not None and not (isinstance(moment, datetime) and moment.tzinfo is not None):
        raise InvalidInputError(
            _("not_before must be a datetime with a time zone; nothing was sent."),
            error_code="campaign.limit",
            argument="not_before",
        )


def _read_moment(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        pass
    raise InvalidInputError(
        _("{name} must be a moment such as {example}; nothing was sent.", name="not_before", example=_MOMENT),
        error_code="campaign.stored_policy",
    )


def _check_rate(rate: object) -> None:
    fit = isinstance(rate, int | float) and not isinstance(rate, bool) and SLOWEST_RATE <= rate < math.inf
    if rate is not None and not fit:
        raise InvalidInputError(
            _(
                "rate must be a number of messages a second, {least} at least; nothing was sent.",
                least=SLOWEST_RATE,
            ),
            error_code="campaign.limit",
            argument="rate",
        )


def _check_money(name: str, value: object, *, least: int | None) -> None:
    """Refuse what is no amount; `least` None means above zero."""
    if value is None:
        return
    if isinstance(value, Decimal) and value.is_finite() and value < _MOST_MONEY:
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        if exponent >= _FINEST and (value > 0 if least is None else value >= least):
            return
    sentence = _(
        "{name} must be a Decimal above 0, below 10^12 and with 6 decimals at most; nothing was sent.",
        name=name,
    )
    if least is not None:
        sentence = _(
            "{name} must be a Decimal of {least} or more, below 10^12 and with 6 decimals at most; "
            "nothing was sent.",
            name=name,
            least=least,
        )
    raise InvalidInputError(sentence, error_code="campaign.limit", argument=name)


def _check_share(name: str, value: object) -> None:
    fit = isinstance(value, Decimal) and value.is_finite() and 0 < value <= 1
    if value is not None and not fit:
        raise InvalidInputError(
            _(
                "{name} must be a Decimal above 0, and 1 at most: {example} is {percent}%; nothing was sent.",
                name=name,
                example=Decimal("0.8"),
                percent=80,
            ),
            error_code="campaign.limit",
            argument=name,
        )


def _read_object(text: str) -> dict[str, Any]:
    data: object = None
    try:
        data = json.loads(text)
    except (RecursionError, TypeError, ValueError):
        pass
    if not isinstance(data, dict):
        raise InvalidInputError(
            _("A stored policy is a JSON object, and this is none; nothing was sent."),
            error_code="campaign.stored_policy",
        )
    return data


def _read_decimal(name: str, value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        pass
    raise InvalidInputError(
        _(
            "{name} must be an amount such as {example}; nothing was sent.",
            name=name,
            example=Decimal("12.5"),
        ),
        error_code="campaign.stored_policy",
    )
