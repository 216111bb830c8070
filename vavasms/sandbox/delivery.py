"""The delivery status, which moves with time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from attrs import field, frozen

from vavasms.sandbox.magic import MAGIC_NUMBERS

_WORDS = ("pending", "sent", "delivered")
#: The finest share of numbers that can be told apart.
_PARTS = 10_000


@frozen
class DeliveryPlan:
    """The ages, in seconds, from which a message is `sent` and `delivered`; only `sent` is documented."""

    sent_after: float
    delivered_after: float
    #: By how numbers begin, the share of them to which nothing is delivered: always the same ones.
    failing: Mapping[str, float] = field(factory=dict)

    def status(self, phone: str, age: float) -> str | None:
        """Return the status of a message to `phone` at `age`; None: the gateway never heard of it."""
        magic = MAGIC_NUMBERS.get(phone)
        if magic is not None and magic.status is not None:
            return None if magic.status == "709" else magic.status
        if age >= self.delivered_after and self._fails(phone):
            return "failed"
        return _WORDS[(age >= self.sent_after) + (age >= self.delivered_after)]

    def _fails(self, phone: str) -> bool:
        return any(
            phone.startswith(prefix) and crc32(phone.encode()) % _PARTS < share * _PARTS
            for prefix, share in self.failing.items()
        )

    def changes_in(self, phone: str, age: float) -> float | None:
        """Return in how many seconds the status changes next; None: it stays as it is."""
        magic = MAGIC_NUMBERS.get(phone)
        if magic is not None and magic.status is not None:
            return None
        later = [limit - age for limit in (self.sent_after, self.delivered_after) if limit > age]
        return min(later, default=None)
