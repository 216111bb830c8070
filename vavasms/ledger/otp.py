"""One-time codes in a ledger: what is counted of them, and what is refused. Pure.

Codes that are sent and codes that are tried are rows of one table. Before a request leaves, one transaction
runs the checks of `plan_checks`, has `find_refusal` judge what they found, and keeps the new row where
nothing refuses it: no two calls can both be the last one that a limit lets through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from math import ceil
from typing import Any, Protocol

from attrs import field, frozen

from vavasms.errors import OtpLimit, OtpLimitedError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.otp_limits import DAY, HOUR, OtpLimits
from vavasms.numbers import Msisdn

#: Rows older than this are forgotten, so many with each that is kept.
KEEP, FORGET_AT_ONCE = DAY + HOUR, 20
#: A clock that was ahead leaves rows of later: up to this they count as of now, beyond it not at all.
AHEAD = DAY
#: Numbers of a range.
_RANGE = 100
#: Codes that are counted for a cool-down: by then it has doubled to any time there is.
_DOUBLED = 32

#: What a query found: the first row, None where there is none.
Found = Sequence[Any] | None


class OtpKind(Enum):
    """What is counted."""

    #: A code is sent.
    CODE = "code"
    #: A code that a person typed is checked.
    GUESS = "guess"


@frozen(kw_only=True)
class OtpRequest:
    """A call to be counted."""

    #: Whose account pays. Never a password.
    account: str = field(repr=False)
    kind: OtpKind
    #: New for each call: by it its row is found again.
    token: str
    recipient: Msisdn
    #: Who asks for it, as one address or network; None: not counted.
    client: str | None = field(default=None, repr=False)
    segments: int = 0

    @property
    def values(self) -> dict[str, Any]:
        """What is kept of it, its time excepted."""
        phone = int(self.recipient)
        return {
            "account": self.account,
            "kind": self.kind.value,
            "token": self.token,
            "phone": phone,
            "number_range": phone // _RANGE,
            "client": self.client,
            "segments": self.segments,
        }


@frozen(kw_only=True)
class Check:
    """One limit, and the query that finds the row because of which it refuses: `at`, or `at` and a count."""

    limit: OtpLimit
    query: str
    values: Mapping[str, Any] = field(repr=False)
    #: Seconds after which that row is counted no more; None: for a cool-down, by the count.
    window: float | None


@frozen(kw_only=True)
class Refusal:
    """Why a call is not let through."""

    limit: OtpLimit
    #: None where no waiting helps.
    retry_after: float | None

    @property
    def error(self) -> OtpLimitedError:
        """What its caller gets."""
        why = _(_SENTENCES[self.limit])
        if self.retry_after is None:
            text = _("{why}. Nothing was sent.", why=why)
        else:
            seconds = ceil(self.retry_after)
            text = _("{why}. Nothing was sent. Try again in {seconds} s.", why=why, seconds=seconds)
        return OtpLimitedError(text, reason=self.limit, retry_after=self.retry_after)


class OtpStore(Protocol):
    """Where codes are counted: `Ledger.otp`. Each method is one committed transaction.

    Times are seconds since the epoch and passed in. Raises `LedgerError` where it cannot be written or read:
    then nothing may be sent on the strength of it.
    """

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        """Return what `take` would refuse, and keep nothing."""
        ...

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        """Count a call where no limit refuses it; else return why, and count nothing."""
        ...

    async def give_back(self, account: str, token: str) -> None:
        """Take back what was counted: nothing left this machine. May be repeated."""
        ...

    async def note_rejected(self, account: str, token: str) -> None:
        """Note that the gateway refused a code. It counts; wrong codes are counted on as before it."""
        ...


def plan_checks(request: OtpRequest, limits: OtpLimits, *, now: float) -> list[Check]:
    """Return what must be looked up for a call, in any order, within one transaction."""
    if request.kind is OtpKind.GUESS:
        return _guess_checks(request, limits)
    since: Mapping[str, Any] = {**request.values, "beyond": now + AHEAD}
    checks = [
        Check(
            limit=limit,
            query=query,
            values={**since, "since": now - window, "others": most - 1},
            window=window,
        )
        for limit, query, most, window in _counted(request, limits)
        if most is not None
    ]
    if limits.cool_down is not None:
        values = {**since, "since": now - DAY, "most": _DOUBLED}
        checks.append(Check(limit=OtpLimit.COOL_DOWN, query="select_cool_down", values=values, window=None))
    if limits.segments_daily is not None:
        values = {**since, "since": now - DAY, "room": limits.segments_daily - request.segments}
        checks.append(
            Check(limit=OtpLimit.SEGMENTS_DAILY, query="select_segments", values=values, window=DAY)
        )
    return checks


def find_refusal(
    request: OtpRequest, limits: OtpLimits, checks: Sequence[Check], found: Sequence[Found], *, now: float
) -> Refusal | None:
    """Return the refusal that lasts longest of what the checks found; None where nothing refuses."""
    refusals = [
        Refusal(limit=check.limit, retry_after=_wait(check, limits, row, now))
        for check, row in zip(checks, found, strict=True)
        if row is not None
    ]
    if request.segments > (limits.segments_daily or request.segments):
        refusals.append(Refusal(limit=OtpLimit.SEGMENTS_DAILY, retry_after=None))
    return max((refusal for refusal in refusals if refusal.retry_after != 0), key=_length, default=None)


def forget_values(now: float) -> Mapping[str, Any]:
    """Return the values of `forget_events`: what no limit counts any more."""
    return {"before": now - KEEP, "beyond": now + AHEAD, "limit": FORGET_AT_ONCE}


def _counted(request: OtpRequest, limits: OtpLimits) -> list[tuple[OtpLimit, str, int | None, float]]:
    client_hourly = None if request.client is None else limits.client_hourly
    return [
        (OtpLimit.NUMBER_HOURLY, "select_of_number", limits.number_hourly, HOUR),
        (OtpLimit.NUMBER_DAILY, "select_of_number", limits.number_daily, DAY),
        (OtpLimit.CLIENT_HOURLY, "select_of_client", client_hourly, HOUR),
        (OtpLimit.RANGE_HOURLY, "select_of_range", limits.range_hourly, HOUR),
    ]


def _guess_checks(request: OtpRequest, limits: OtpLimits) -> list[Check]:
    if limits.wrong_codes is None:
        return []
    values = {**request.values, "others": limits.wrong_codes - 1}
    return [Check(limit=OtpLimit.WRONG_CODES, query="select_guesses", values=values, window=None)]


def _wait(check: Check, limits: OtpLimits, row: Sequence[Any], now: float) -> float | None:
    """Return for how long a row refuses; 0 where it does not, None for ever."""
    if check.limit is OtpLimit.WRONG_CODES:
        return None
    at, window = row[0], check.window
    if window is None:
        at, codes = row
        window = limits.cool_down_after(codes)
    # A row of later, by a clock that was ahead: it is of now, at the latest.
    return 0.0 if at is None else max(min(at, now) + window - now, 0.0)


def _length(refusal: Refusal) -> float:
    return float("inf") if refusal.retry_after is None else refusal.retry_after


_SENTENCES: Mapping[OtpLimit, str] = {
    OtpLimit.COOL_DOWN: N_("This number was sent a code just now"),
    OtpLimit.NUMBER_HOURLY: N_("This number was sent as many codes as one gets in an hour"),
    OtpLimit.NUMBER_DAILY: N_("This number was sent as many codes as one gets in a day"),
    OtpLimit.CLIENT_HOURLY: N_("This caller had as many codes sent as one may in an hour"),
    OtpLimit.RANGE_HOURLY: N_(
        "Numbers beside this one were sent as many codes as they get together in an hour"
    ),
    OtpLimit.SEGMENTS_DAILY: N_("The segments that codes may cost in a day are used up"),
    OtpLimit.COUNTRY: N_("This number is of a country that gets no codes: name it in OtpLimits(countries=…)"),
    OtpLimit.WRONG_CODES: N_("Too many wrong codes were tried for this number: it needs a new one"),
}
