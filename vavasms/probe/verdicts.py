"""What an answer, and the balance before and after it, say; None is what they leave open. Pure."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from vavasms.errors import ConfigurationError, GatewayError, Outcome, VavaSMSError
from vavasms.models import Lot
from vavasms.probe.plan import BAD_NUMBER_CODE
from vavasms.profile.models import GatewayProfile, Oversize
from vavasms.transport.outcome import REFUSED_FOR_ALL

ACCEPTED, NOT_SENT, UNKNOWN = "accepted", "not sent", "unknown"


@frozen(kw_only=True)
class ProbeReply:
    """What a request came to."""

    #: `accepted`, `not sent`, `unknown`, a code of the gateway's, or `http 413`.
    label: str
    #: What was accepted.
    lot: Lot | None = None
    #: Why not.
    error: VavaSMSError | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the gateway, or what stands before it, said no."""
        return self.label not in (ACCEPTED, NOT_SENT, UNKNOWN)

    @property
    def is_own_refusal(self) -> bool:
        """Whether it was the gateway itself, by a code."""
        return self.label.isdecimal()


def read_error(error: VavaSMSError) -> ProbeReply:
    """Return what an error of a send says of its request."""
    if error.outcome is Outcome.NOT_SENT:
        return ProbeReply(label=NOT_SENT, error=error)
    if isinstance(error, GatewayError):
        # A code below 900 is no refusal of a send that anybody documented.
        if error.code is not None and (
            error.outcome is Outcome.REJECTED or str(error.code) == BAD_NUMBER_CODE
        ):
            return ProbeReply(label=str(error.code), error=error)
        if error.code is None and error.http_status is not None:
            return ProbeReply(label=f"http {error.http_status}", error=error)
    return ProbeReply(label=UNKNOWN, error=error)


def judge_price(fell: Decimal | None) -> Decimal | None:
    """Return the price of an accepted SMS by how far the balance fell; None where that is no price."""
    if fell is None:
        return None
    try:
        return GatewayProfile(unit_price=_plain(fell)).unit_price
    except ConfigurationError:
        return None


def _plain(amount: Decimal) -> Decimal:
    """Return an amount without the zeros behind its comma."""
    whole = amount.to_integral_value()
    return whole if whole == amount else amount.normalize()


def judge_segments(fell: Decimal | None, price: Decimal) -> bool | None:
    """Return whether a text of two segments costs twice the price; None where it costs anything else."""
    if fell == price * 2:
        return True
    return False if fell == price else None


def judge_lot(reply: ProbeReply, fell: Decimal | None) -> bool | None:
    """Return whether a lot with one bad number went to nobody.

    True needs both: the refusal, and a balance that stands where it stood.
    """
    if reply.label == ACCEPTED:
        return False
    if reply.label != BAD_NUMBER_CODE or fell is None or fell < 0:
        return None
    return fell == 0


def count_lot(
    reply: ProbeReply, fell: Decimal | None, atomic: bool | None, price: Decimal | None
) -> int | None:
    """Return the SMS that such a lot of two numbers cost; None: nobody knows."""
    if reply.label == NOT_SENT:
        return 0
    if atomic is None:
        # Refused for something else, such as the sender: as a whole.
        return 0 if reply.is_own_refusal and reply.label != BAD_NUMBER_CODE and fell == 0 else None
    if atomic:
        return 0
    return 1 if price is not None and fell == price else 2


@frozen(kw_only=True)
class SizeVerdict:
    """What a request that named the owner's number several times says of how many numbers one takes."""

    #: Whether it took them all; None: that cannot be told.
    is_taken: bool | None = None
    #: The most that it takes, where it dropped the others.
    limit: int | None = None
    #: SMS that it cost; None: nobody knows.
    spent: int | None = None


def bounds_size(size: int, reply: ProbeReply, price: Decimal | None, balance: Decimal) -> bool:
    """Return whether a refusal may be for the count of the numbers, and not for the account or its money."""
    error = reply.error
    if isinstance(error, GatewayError) and error.http_status in REFUSED_FOR_ALL:
        return False
    return not reply.is_own_refusal or (price is not None and balance >= price * size)


def judge_size(
    size: int, reply: ProbeReply, fell: Decimal | None, price: Decimal | None, *, balance: Decimal
) -> SizeVerdict:
    """Return what such a request of `size` numbers says; `balance` is that before it."""
    if reply.label == NOT_SENT:
        return SizeVerdict(spent=0)
    if reply.is_own_refusal:
        if fell != 0:
            return SizeVerdict()
        return SizeVerdict(is_taken=False if bounds_size(size, reply, price, balance) else None, spent=0)
    if reply.lot is None:
        return SizeVerdict()
    paid = len(reply.lot.message_ids)
    is_paid = price is None or fell == price * paid
    if not (0 < paid <= size and is_paid):
        return SizeVerdict(spent=size)
    if paid == size:
        return SizeVerdict(is_taken=True, spent=size)
    # One alone may be all that is left of a number that is named several times.
    return SizeVerdict(limit=paid if paid > 1 else None, spent=paid)


def describe_limit(verdict: SizeVerdict) -> GatewayProfile:
    """Return what is known of a gateway that dropped numbers."""
    return GatewayProfile(batch_size=verdict.limit, batch_size_is_limit=True, oversize=Oversize.DROPPED)
