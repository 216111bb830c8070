"""What became of a campaign's messages, by prefix. Pure.

Numbers are ported in Côte d'Ivoire since 2018: a prefix tells who a range was first given to, no operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from vavasms.campaigns.delivery_floor import DeliveryCounts
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: Digits of an Ivorian number.
_LENGTH = 13


@frozen(kw_only=True)
class PrefixDelivery:
    """How far the messages to the numbers of one prefix came."""

    #: Empty for messages whose ids and numbers cannot be paired: they are accepted under their prefixes.
    prefix: str
    accepted: int
    delivered: int
    undelivered: int

    @property
    def pending(self) -> int:
        """Return how many are on their way, or without a report."""
        return max(self.accepted - self.delivered - self.undelivered, 0)

    @property
    def owner(self) -> str | None:
        """Return who the range was first given to; None where it is not Ivorian."""
        return Msisdn(self.prefix.ljust(_LENGTH, "0")).operator_range


def count_by_prefix(accepted: Mapping[str, int], counts: DeliveryCounts) -> Sequence[PrefixDelivery]:
    """Bring what was accepted and what is reported together, in order of the prefixes."""
    return [
        PrefixDelivery(
            prefix=prefix,
            accepted=accepted.get(prefix, 0),
            delivered=counts.get((prefix, DeliveryStatus.DELIVERED), 0),
            undelivered=counts.get((prefix, DeliveryStatus.FAILED), 0),
        )
        for prefix in sorted({*accepted, *(prefix for prefix, _status in counts)})
    ]
