"""The gateway's five calls as typed functions: build the request, carry it, read the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from attrs import field, frozen

from vavasms.config import Timeouts
from vavasms.errors import ConfigurationError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.models import Balance, DeliveryReport, Lot, OtpReason, OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn
from vavasms.profile.models import UNKNOWN, GatewayProfile
from vavasms.transport.http import Attempt
from vavasms.transport.outcome import misshapen
from vavasms.wire import requests, responses
from vavasms.wire.converter import MisshapenError
from vavasms.wire.requests import CallKind, Request
from vavasms.wire.responses import Envelope

NO_STATUS_CALL = N_(
    "The gateway has no delivery status call, says its profile: nothing is asked, and delivery stays unknown."
)

S = TypeVar("S")
T = TypeVar("T")


class Transport(Protocol):
    """What carries a request; `vavasms.transport.http.HttpTransport` is the real one."""

    @property
    def max_connections(self) -> int:
        """How many requests can be under way at once."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether every further call is refused."""
        ...

    async def exchange(self, request: Request, attempt: Attempt | None = None) -> Envelope:
        """Return the envelope of a success, or raise the one error that fits."""
        ...


@frozen(kw_only=True)
class Account:
    """A client's own settings with the way to its gateway: what a campaign sends with."""

    #: Tells accounts apart: they have a rate each. Holds no password.
    name: str = field(repr=False)
    transport: Transport = field(repr=False)
    sender_id: str | None
    #: The country of national numbers.
    region: str
    #: Of the delivery status call; None: the gateway is known to have none.
    status_path: str | None
    #: Of the transport.
    timeouts: Timeouts
    #: What is known of the gateway.
    profile: GatewayProfile = UNKNOWN


class HasAccount(Protocol):
    """An `AsyncVavaSMS` or a `VavaSMS`."""

    @property
    def account(self) -> Account:
        """Its settings and its transport."""
        ...


async def fetch_balance(transport: Transport, attempt: Attempt | None = None) -> Balance:
    """Return the credit (documentation: check/balance). Costs nothing; repeated on failure."""
    envelope = await transport.exchange(requests.build_balance(), attempt)
    return _parse(responses.parse_balance, envelope.data, CallKind.READ)


async def send_text(
    transport: Transport, draft: requests.TextDraft, to: tuple[Msisdn, ...], attempt: Attempt | None = None
) -> Lot:
    """Send one text to several numbers in one request (documentation: text/single).

    Costs segments x numbers. Never repeated once its body was asked for.
    """
    envelope = await transport.exchange(draft.address(to), attempt)
    return responses.parse_lot(envelope.data, to)


async def fetch_delivery_reports(
    transport: Transport, message_id: str, *, lot_id: str | None, path: str | None
) -> tuple[DeliveryReport, ...]:
    """Return how far a message came. Costs nothing; repeated on failure. The path is not documented.

    Raises `ConfigurationError`, with nothing asked, where the gateway is known to have no such call.
    """
    if path is None:
        raise ConfigurationError(_(NO_STATUS_CALL), error_code="config.no_status_call")
    envelope = await transport.exchange(requests.build_delivery_status(message_id, lot_id=lot_id, path=path))
    return _parse(responses.parse_reports, envelope.data, CallKind.READ)


async def send_otp(transport: Transport, request: Request, attempt: Attempt | None = None) -> OtpReceipt:
    """Send a one-time code that the gateway makes (documentation: otp/send): see `build_send_otp`.

    Costs the segments of the text. Never repeated once its body was asked for.
    """
    envelope = await transport.exchange(request, attempt)
    return responses.parse_receipt(envelope.data)


async def verify_otp(
    transport: Transport, to: Msisdn, code: str, *, sender_id: str | None, username: str | None = None
) -> OtpVerification:
    """Verify a one-time code by the gateway (documentation: otp/verify). Uses up an attempt.

    What can be no code is not asked about, and costs no attempt.
    """
    digits = requests.parse_code(code)
    if digits is None:
        return OtpVerification(valid=False, reason=OtpReason.MALFORMED)
    request = requests.build_verify_otp(to, digits, sender_id=sender_id, username=username)
    return _parse(responses.parse_verification, await transport.exchange(request), CallKind.VERIFY)


def _parse(parse: Callable[[S], T], answer: S, kind: CallKind) -> T:
    try:
        return parse(answer)
    except MisshapenError:
        pass
    # Outside the except block: nothing of the answer is to stand behind the error.
    raise misshapen(kind)
