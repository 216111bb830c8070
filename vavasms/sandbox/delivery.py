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
    #: Other words with their ages; the first one is said from the beginning on.
    words: tuple[tuple[str, float], ...] = ()

    def status(self, phone: str, age: float) -> str | None:
        """Return the status of a message to `phone` at `age`; None: the gateway never heard of it."""
        magic = MAGIC_NUMBERS.get(phone)
        if magic is not None and magic.status is not None:
            return None if magic.status == "709" else magic.status
        if age >= self.delivered_after and self._fails(phone):
            return "failed"
        if self.words:
            reached = [word for word, after in self.words if age >= after]
            return reached[-1] if reached else self.words[0][0]
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
        limits = [after for _word, after in self.words] or [self.sent_after, self.delivered_after]
        later = [limit - age for limit in limits if limit > age]
        return min(later, default=None)
