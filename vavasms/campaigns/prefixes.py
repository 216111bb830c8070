"""What became of a campaign's messages, by prefix. Pure.

The prefix of a number is its calling code, with the two digits behind it of an Ivorian one. The ledger counts
by the first `PREFIX_DIGITS` of each number, which are as many or more: what people read is grouped here.

Numbers are ported in Côte d'Ivoire since 2018: a prefix tells who a range was first given to, no operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import frozen

from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.numbers.plans import REGION_BY_CODE

#: By prefix and status, as `Ledger.delivery_counts` returns them.
DeliveryCounts = Mapping[tuple[str, DeliveryStatus], int]

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
        return find_owner(self.prefix)


def find_prefix(recipient: Msisdn) -> str:
    """Return the calling code of a number, with the two digits behind it of an Ivorian one."""
    return recipient[:5] if recipient.operator_range else recipient.calling_code


def name_country(prefix: str) -> str:
    """Return a calling code with its region where it is known, such as `+228 (TG)`."""
    region = REGION_BY_CODE.get(prefix)
    return f"+{prefix}" + (f" ({region})" if region else "")


def find_owner(prefix: str) -> str | None:
    """Return who a prefix was first given to; None where it is not Ivorian."""
    return Msisdn(prefix.ljust(_LENGTH, "0")).operator_range


def count_by_prefix(accepted: Mapping[str, int], counts: DeliveryCounts) -> Sequence[PrefixDelivery]:
    """Bring what was accepted and what is reported together, in order of the prefixes."""
    total = Counter[str]()
    for digits, count in accepted.items():
        total[_widen(digits)] += count
    reported = widen_counts(counts)
    return [
        PrefixDelivery(
            prefix=prefix,
            accepted=total[prefix],
            delivered=reported.get((prefix, DeliveryStatus.DELIVERED), 0),
            undelivered=reported.get((prefix, DeliveryStatus.FAILED), 0),
        )
        for prefix in sorted({*total, *(prefix for prefix, _status in reported)})
    ]


def widen_counts(counts: DeliveryCounts) -> DeliveryCounts:
    """Return counts by the first digits as counts by prefix."""
    widened = Counter[tuple[str, DeliveryStatus]]()
    for (digits, status), count in counts.items():
        widened[_widen(digits), status] += count
    return widened


def _widen(digits: str) -> str:
    """Return the prefix of the numbers that begin so; empty digits stay so: no number is known."""
    return digits and find_prefix(Msisdn(digits.ljust(_LENGTH, "0")))
