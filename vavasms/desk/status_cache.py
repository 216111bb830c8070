"""The counts of campaigns, as old as it takes to make them: those of a million batches take a second."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from attrs import define, evolve, field

from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus

T = TypeVar("T")

#: Batches; of fewer the counts are made each time.
_MANY = 100_000
#: How many times as old as it took to be made a count may be.
_AGES = 5
#: Campaigns whose counts are remembered.
_REMEMBERED = 50


@define(eq=False)
class _Count(Generic[T]):
    """A count, when it was begun, how long it took, and whether a newer one is being made."""

    value: T
    begun_at: float
    took: float
    is_renewed: bool = False


@define(eq=False)
class StatusCache:
    """The counts of a ledger's campaigns. A page waits for those of few batches, and for the first of any."""

    ledger: Ledger
    #: Does something beside the pages.
    work_on: Callable[[Callable[[], Awaitable[object]]], None]
    _known: dict[str, _Count[object]] = field(factory=dict, init=False)
    #: Counts the times that something was done: what was counted before says nothing of it.
    _generation: int = field(default=0, init=False)

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Return how far a campaign is. Its state is that of this moment, whatever its counts are."""
        status = await self._ask(campaign_id, partial(self.ledger.status, campaign_id), _count_batches)
        campaign = await self.ledger.campaign(campaign_id)
        return evolve(status, state=campaign.state, reason=campaign.reason)

    async def statuses(self) -> Sequence[CampaignStatus]:
        """Return how far all campaigns are, the latest first."""
        return await self._ask("", self.ledger.statuses, _count_all_batches)

    def forget(self) -> None:
        """Count anew: a person did something, and looks for what became of it."""
        self._known.clear()
        self._generation += 1

    async def _ask(self, name: str, count: Callable[[], Awaitable[T]], measure: Callable[[T], int]) -> T:
        known: _Count[T] | None = self._known.get(name)  # type: ignore[assignment]
        if known is None:
            return await self._count(name, count, measure)
        if time.monotonic() - known.begun_at > _AGES * known.took and not known.is_renewed:
            known.is_renewed = True
            self.work_on(partial(self._renew, known, partial(self._count, name, count, measure)))
        return known.value

    async def _renew(self, known: _Count[T], count: Callable[[], Awaitable[T]]) -> None:
        try:
            await count()
        finally:
            # One that failed is tried again.
            known.is_renewed = False

    async def _count(self, name: str, count: Callable[[], Awaitable[T]], measure: Callable[[T], int]) -> T:
        begun_at, generation = time.monotonic(), self._generation
        value = await count()
        if generation == self._generation and measure(value) >= _MANY:
            self._known.pop(name, None)
            self._known[name] = _Count(value, begun_at, took=time.monotonic() - begun_at)
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return value


def _count_all_batches(statuses: Sequence[CampaignStatus]) -> int:
    return sum(map(_count_batches, statuses))


def _count_batches(status: CampaignStatus) -> int:
    return status.batches
