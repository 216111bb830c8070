"""The one-time codes: made, tried, used up, expired."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum

from attrs import define


class OtpVerdict(Enum):
    """What became of an attempt."""

    SUCCESS = "success"
    INVALID = "invalid"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"


@define(kw_only=True)
class _Otp:
    """The last code of a recipient."""

    #: The digits, leading zeros kept.
    code: str
    message_id: str
    #: When it stops being valid, in the gateway's clock (seconds).
    expires: float
    #: Wrong attempts it still bears; 0 once it is used up.
    attempts: int


class OtpBook:
    """One code a recipient, the last one sent; not safe between threads by itself.

    `below(n)` draws a number from 0 to n - 1, as `secrets.randbelow` does. How many attempts the vendor
    allows is not documented: `attempts` is the sandbox's own choice.
    """

    def __init__(self, *, below: Callable[[int], int] = secrets.randbelow, attempts: int = 5) -> None:
        self._below = below
        self._attempts = attempts
        self._otps: dict[str, _Otp] = {}

    def draw(self, length: int) -> str:
        """Draw a code of `length` digits; it may begin with zeros."""
        return f"{self._below(10**length):0{length}d}"

    def keep(self, phone: str, code: str, *, message_id: str, expires: float) -> None:
        """Make `code` the one code that `phone` may answer with, until `expires`."""
        self._otps[phone] = _Otp(code=code, message_id=message_id, expires=expires, attempts=self._attempts)

    def latest(self, phone: str) -> str | None:
        """Return the last code sent to `phone`, used or not."""
        otp = self._otps.get(phone)
        return None if otp is None else otp.code

    def verify(self, phone: str, code: str, *, now: float) -> tuple[OtpVerdict, str]:
        """Judge an attempt, which a wrong code uses up; also tell the message id (empty: no such code)."""
        otp = self._otps.get(phone)
        if otp is None or otp.attempts == 0:
            return OtpVerdict.NOT_FOUND, ""
        if now >= otp.expires:
            return OtpVerdict.EXPIRED, otp.message_id
        if code != otp.code:
            otp.attempts -= 1
            return OtpVerdict.INVALID, otp.message_id
        otp.attempts = 0
        return OtpVerdict.SUCCESS, otp.message_id
