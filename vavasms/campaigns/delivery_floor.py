"""The share of its messages that a campaign must see delivered, or it pauses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from attrs import frozen

from vavasms.campaigns.prefixes import DeliveryCounts, widen_counts
from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.models import DeliveryStatus

#: Messages that must be delivered or have failed before their share means anything.
JUDGED_FROM = 1_000
UNDER_THE_FLOOR = N_(
    "{share} percent of {final} messages were delivered, fewer than the {floor} percent of --min-delivery: "
    "`vavasms campaign resume` goes on, with a lower one if need be"
)
PREFIX_UNDER_THE_FLOOR = N_(
    "{share} percent of {final} messages to the prefix {prefix} were delivered, fewer than the {floor} "
    "percent of --min-delivery: `vavasms campaign resume` goes on, with a lower one if need be"
)


@frozen(kw_only=True)
class Shortfall:
    """A share of delivered messages that is under the floor."""

    #: None where it is that of all messages.
    prefix: str | None
    delivered: int
    #: Delivered or failed.
    final: int
    floor: Decimal

    @property
    def sentence(self) -> Sentence:
        """Why the campaign is paused."""
        # Cut off, not rounded: 79.96% must not read as the 80% that it misses.
        tenths = self.delivered * 1000 // self.final
        values = {
            "share": _write_plainly(Decimal(tenths) / 10),
            "final": self.final,
            "floor": _write_plainly(self.floor * 100),
        }
        if self.prefix is None:
            return _(UNDER_THE_FLOOR, **values)
        return _(PREFIX_UNDER_THE_FLOOR, prefix=self.prefix, **values)


def _write_plainly(percent: Decimal) -> Decimal | int:
    """Return a number without the zeros behind its point."""
    return int(percent) if percent == int(percent) else percent.normalize()


def find_shortfall(
    counts: DeliveryCounts, floor: Decimal, *, before: DeliveryCounts | None = None
) -> Shortfall | None:
    """Return what is under the floor: all messages together, else the first prefix; None where nothing is.

    What was final `before` does not count. Messages without a prefix count among all of them only.
    """
    for prefix, delivered, failed in _count_final(widen_counts(counts), widen_counts(before or {})):
        final = delivered + failed
        if final >= JUDGED_FROM and delivered < floor * final:
            return Shortfall(prefix=prefix, delivered=delivered, final=final, floor=floor)
    return None


def _count_final(counts: DeliveryCounts, before: DeliveryCounts) -> Iterator[tuple[str | None, int, int]]:
    """Yield how many were delivered and how many failed: of all, then of each prefix."""
    delivered, failed = Counter[str](), Counter[str]()
    for each, status in ((delivered, DeliveryStatus.DELIVERED), (failed, DeliveryStatus.FAILED)):
        for prefix in {prefix for prefix, _status in counts}:
            each[prefix] = max(counts.get((prefix, status), 0) - before.get((prefix, status), 0), 0)
    yield None, delivered.total(), failed.total()
    for prefix in sorted(filter(None, delivered)):
        yield prefix, delivered[prefix], failed[prefix]
