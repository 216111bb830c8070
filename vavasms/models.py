"""What the gateway's answers become: frozen values, no behaviour.

Their `repr` shows no full number, so they may be logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from attrs import field, frozen

from vavasms.numbers import Msisdn


@frozen(kw_only=True)
class Balance:
    """The account's credit (documentation: check/balance)."""

    #: How much is left, in `currency`.
    amount: Decimal
    #: ISO 4217; the gateway knows XOF only.
    currency: str


@frozen(kw_only=True)
class Lot:
    """What the gateway made of one accepted request (documentation: text/single)."""

    #: The gateway's id of the lot; empty where it named none.
    lot_id: str
    #: The gateway's ids, in its order. Opaque.
    message_ids: tuple[str, ...]
    #: The gateway's own words.
    description: str = field(repr=False)
    #: The numbers of the request, in the order they were sent.
    recipients: tuple[Msisdn, ...]
    #: True where an earlier call with the same idempotency key sent it, and this one sent nothing.
    replayed: bool = False

    @property
    def by_recipient(self) -> Mapping[Msisdn, str] | None:
        """Pair each recipient with its message id; None when the two counts differ.

        Pairing by position is the convention of the vendor's PHP client; the documentation
        does not promise it.
        """
        if len(self.message_ids) != len(self.recipients):
            return None
        return MappingProxyType(dict(zip(self.recipients, self.message_ids, strict=True)))


class DeliveryStatus(Enum):
    """How far a message came. Only `sent` is documented, and `sent` is not `delivered`.

    The gateway's vocabulary is open: words not known here are `OTHER`, with the word itself
    in `DeliveryReport.raw_status`.
    """

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    OTHER = "other"


@frozen(kw_only=True)
class DeliveryReport:
    """One line of the delivery status call."""

    message_id: str
    #: Empty where the gateway named none.
    lot_id: str
    status: DeliveryStatus
    #: The gateway's own word, as it came.
    raw_status: str
    #: The gateway's own sentence, such as `Envoyé`.
    description: str = field(repr=False)


@frozen(kw_only=True)
class OtpReceipt:
    """The gateway's word that it sent a one-time code (documentation: otp/send)."""

    #: Opaque; empty where the gateway named none.
    message_id: str
    description: str = field(repr=False)
    #: True where an earlier call with the same idempotency key sent it, and this one sent nothing.
    replayed: bool = False


class OtpReason(Enum):
    """Why a one-time code did not pass."""

    INVALID = "INVALID_OTP"
    EXPIRED = "EXPIRED_OTP"
    NOT_FOUND = "OTP_NOT_FOUND"
    #: What was typed could be no code: the gateway was not asked.
    MALFORMED = "MALFORMED"


@frozen(kw_only=True)
class OtpVerification:
    """The verdict on a one-time code (documentation: otp/verify): the gateway's, but for `MALFORMED`."""

    valid: bool
    #: None where the code is valid, or where the gateway gave no reason.
    reason: OtpReason | None = None
    message_id: str | None = None

    def __bool__(self) -> bool:
        """True only for a valid code, so that `if await sms.verify_otp(…)` cannot let a wrong one in."""
        return self.valid


@frozen(kw_only=True)
class InboundMessage:
    """An SMS that a handset sent to the account (documentation: notification link)."""

    message_id: str
    #: As the platform wrote it: a number, a short code or a name.
    sender: str = field(repr=False)
    text: str = field(repr=False)
    #: Naive: neither the format nor the zone is documented. None where it is not plainly a date.
    received_at: datetime | None = None
    raw_date: str = ""
