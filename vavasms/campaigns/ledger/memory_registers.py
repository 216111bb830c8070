"""What the ledger in memory keeps across campaigns: rates, the opt-out list, who was sent to of late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vavasms.campaigns.ledger.memory_rows import BatchRow
from vavasms.campaigns.ledger.port import OptOut
from vavasms.campaigns.ledger.rows import sane_arrival
from vavasms.numbers import Msisdn


class SentIndex:
    """Which batches were ever claimed with a recipient in them."""

    def __init__(self) -> None:
        self._batches: dict[Msisdn, list[BatchRow]] = {}

    def add(self, batch: BatchRow) -> None:
        """Note everyone whom a claim of the batch sends to."""
        for phone in batch.included:
            batches = self._batches.setdefault(phone, [])
            if batch not in batches:
                batches.append(batch)

    def remove(self, batch: BatchRow) -> None:
        """Forget a batch."""
        for phone in batch.recipients:
            kept = [each for each in self._batches.pop(phone, []) if each is not batch]
            if kept:
                self._batches[phone] = kept

    def count(self, phone: Msisdn, since: float) -> int:
        """Count the messages that a recipient has, or may have, had after `since`."""
        return sum(
            batch.attempts
            for batch in self._batches.get(phone, ())
            if batch.sending_at is not None and batch.sending_at > since and phone not in batch.excluded
        )


class Registers:
    """What belongs to no campaign: the rates of the accounts and the opt-out list."""

    def __init__(self) -> None:
        self._arrival: dict[str, float] = {}
        self._opt_outs: dict[Msisdn, OptOut] = {}

    async def reserve(self, account: str, messages: int, *, rate: float, now: float) -> float:
        start = sane_arrival(self._arrival.get(account, now), now)
        self._arrival[account] = start + messages / rate
        return start - now

    async def release(self, account: str, messages: int, *, rate: float) -> None:
        if account in self._arrival:
            self._arrival[account] = max(self._arrival[account] - messages / rate, 0.0)

    async def hold(self, account: str, until: float) -> None:
        self._arrival[account] = max(self._arrival.get(account, until), until)

    async def opt_outs(self, *, after: Msisdn | None = None, limit: int) -> Sequence[OptOut]:
        least = -1 if after is None else int(after)
        found = [each for each in self._opt_outs.values() if int(each.recipient) > least]
        return sorted(found, key=lambda each: int(each.recipient))[:limit]

    async def opted_out(self) -> frozenset[int]:
        return frozenset(map(int, self._opt_outs))

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        before = len(self._opt_outs)
        for phone in tuple(recipients):
            self._opt_outs.setdefault(phone, OptOut(recipient=phone, source=source, at=now))
        return len(self._opt_outs) - before

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        return sum(self._opt_outs.pop(phone, None) is not None for phone in tuple(recipients))
