"""How many wrong codes an address may try. In memory, of one process.

What keeps a code from being found is its length: see `ledger.optout_codes`. The limit keeps a guesser from
keeping the ledger busy. Only what could be a code and is nobody's counts, so that people who follow their own
link count for nothing, however many of them a carrier has behind one address.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from attrs import define, field

#: Wrong codes that an address may try at once, and the seconds after which it may try one more.
BURST, REFILL = 60, 6.0
#: The same for all of them together. Beyond it nobody is refused who has tried no wrong code: an address may
#: only try fewer of them.
TOTAL_BURST, TOTAL_REFILL = 3_000, 0.02
BURST_UNDER_ATTACK = 5
#: Addresses that are kept in mind; of more, those that tried one longest ago are forgotten.
MOST_ADDRESSES = 10_000
#: A provider gives each of its customers as many addresses as this leaves open.
_IPV6_BITS = 64


@define
class Bucket:
    """What was tried, less what is forgotten since."""

    refill: float
    _level: float = 0.0
    _at: float = 0.0

    def level(self, now: float) -> float:
        """Return how full it is."""
        return max(0.0, self._level - (now - self._at) / self.refill)

    def add(self, now: float) -> None:
        """Add one."""
        self._level, self._at = self.level(now) + 1, now


@define
class GuessLimiter:
    """The limits of all addresses. Times are seconds of any clock that does not go back, and passed in."""

    _buckets: dict[str, Bucket] = field(factory=dict, repr=False)
    _total: Bucket = field(factory=lambda: Bucket(TOTAL_REFILL))

    def wait(self, origin: str, now: float) -> float:
        """Return the seconds for which an address is answered nothing; 0 where it is answered."""
        bucket = self._buckets.get(origin)
        if bucket is None:
            return 0.0
        burst = BURST_UNDER_ATTACK if self._total.level(now) >= TOTAL_BURST else BURST
        return max(0.0, (bucket.level(now) - burst + 1) * REFILL)

    def add_miss(self, origin: str, now: float) -> bool:
        """Count a wrong code; return whether the address is answered nothing from now on."""
        # The latest comes last.
        bucket = self._buckets.pop(origin, None) or Bucket(REFILL)
        self._buckets[origin] = bucket
        bucket.add(now)
        self._total.add(now)
        if len(self._buckets) > MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return self.wait(origin, now) > 0


def name_origin(address: IPv4Address | IPv6Address) -> str:
    """Return what is counted as one: an IPv4 address, or the network of an IPv6 one."""
    return str(ip_network((int(address), _IPV6_BITS), strict=False)) if address.version == 6 else str(address)
