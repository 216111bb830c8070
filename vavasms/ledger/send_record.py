"""What a ledger has of a single send: the value that callers see. Loaded with the client, so it is small."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from vavasms.errors import Outcome
from vavasms.ledger.states import OUTCOMES, BatchState
from vavasms.models import Lot, OtpReceipt
from vavasms.numbers import Msisdn


class SendKind(Enum):
    """What is sent."""

    TEXT = "text"
    #: A one-time code that the gateway makes.
    OTP = "otp"


@frozen(kw_only=True)
class SendRecord:
    """What a ledger has of a single send."""

    #: Whose account pays, as a ledger tells them apart. Never a password.
    account: str = field(repr=False)
    #: The caller's, or one of the ledger's own.
    key: str
    kind: SendKind
    state: BatchState
    recipients: tuple[Msisdn, ...]
    #: None where it is that of whoever sends it.
    sender_id: str | None
    #: SMS to pay per recipient.
    segments: int
    #: None where it is not kept.
    text: str | None = field(repr=False)
    #: The gateway's ids and words; empty where it named none.
    lot_id: str
    message_ids: tuple[str, ...]
    description: str = field(repr=False)
    #: What went wrong, or what a person decided; None for a plain success.
    error: str | None
    attempts: int
    #: Whether a worker sends it.
    is_enqueued: bool
    #: Seconds since the epoch: when its key was first used, when its last attempt began and ended, and when
    #: an enqueued one is due.
    created_at: float
    sent_at: float | None
    settled_at: float | None
    not_before: float

    @property
    def outcome(self) -> Outcome | None:
        """Its fate; None while it waits or is under way."""
        return OUTCOMES[self.state]

    @property
    def lot(self) -> Lot | None:
        """What the gateway made of a text; None where it did not accept it."""
        if self.state is not BatchState.ACCEPTED or self.kind is not SendKind.TEXT:
            return None
        return Lot(
            lot_id=self.lot_id,
            message_ids=self.message_ids,
            description=self.description,
            recipients=self.recipients,
            replayed=True,
        )

    @property
    def receipt(self) -> OtpReceipt | None:
        """The gateway's word on a one-time code; None where it did not accept it."""
        if self.state is not BatchState.ACCEPTED or self.kind is not SendKind.OTP:
            return None
        message_id = self.message_ids[0] if self.message_ids else ""
        return OtpReceipt(message_id=message_id, description=self.description, replayed=True)
