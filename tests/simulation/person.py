"""The program of a person beside the senders: pauses, cancels, opts out, and decides on what is unknown."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

import anyio
from attrs import frozen

from tests.simulation.campaigns import find_campaigns
from tests.simulation.intents import Intent, IntentKind
from tests.simulation.scenario import Act, Action
from tests.simulation.site import Site
from vavasms.campaigns.limits import change_limits
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import RESEND_GRACE
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import BatchState
from vavasms.numbers import parse_msisdn

_LOOKED_UP = "looked up"
#: Seconds for which bytes can be on their way to the gateway, or wait in it.
_ON_ITS_WAY = 30.0


async def decide(site: Site) -> None:
    """Do what the scenario has a person do, each on a ledger that is opened for it."""
    for action in site.scenario.actions:
        await anyio.sleep(action.wait)
        # What a person tries may be too late, or meet a full disk.
        with suppress(VavaSMSError):
            async with await site.open_ledger() as ledger:
                await Person(site, ledger, action).act()


@frozen
class Person:
    """Somebody who does one thing."""

    site: Site
    ledger: Ledger
    action: Action

    async def act(self) -> None:
        """Do it."""
        acts: Mapping[Act, Callable[[], Awaitable[None]]] = {
            Act.PAUSE: self._pause,
            Act.CANCEL: self._cancel,
            Act.RESUME: self._resume,
            Act.OPT_OUT: self._opt_out,
            Act.DECIDE: self._decide,
            Act.RAISE_BUDGET: self._raise_budget,
        }
        await acts[self.action.act]()

    async def _campaigns(self) -> list[tuple[Intent, CampaignStatus]]:
        found = [
            (intent, status)
            for intent in self.site.scenario.of(IntentKind.CAMPAIGN)
            for status in await find_campaigns(self.ledger, intent)
        ]
        start = self.action.choice % len(found) if found else 0
        return found[start:] + found[:start]

    async def _pause(self) -> None:
        for _intent, status in (await self._campaigns())[:1]:
            await self.ledger.pause(status.id, "by a person")

    async def _cancel(self) -> None:
        for _intent, status in (await self._campaigns())[:1]:
            await self.ledger.cancel(status.id, "by a person")

    async def _resume(self) -> None:
        for _intent, status in (await self._campaigns())[:1]:
            await self.ledger.start(status.id)

    async def _raise_budget(self) -> None:
        for _intent, status in (await self._campaigns())[:1]:
            await change_limits(self.ledger, status.id, budget=Decimal(10_000))

    async def _opt_out(self) -> None:
        intents = self.site.scenario.intents
        intent = intents[self.action.choice % len(intents)]
        number = intent.recipients[self.action.choice % len(intent.recipients)]
        # Its commit may be lost on the way back.
        self.site.book.maybe_opted_out.add(number)
        await self.ledger.add_opt_outs([parse_msisdn(number)], source="cli", now=time.time())
        self.site.book.opt_outs[number] = None

    async def _decide(self) -> None:
        """Decide on everything that is unknown."""
        with suppress(LedgerError):
            async with self.ledger.take_over(time.time()):
                pass
        await self._decide_on_campaigns()
        await self._decide_on_sends()

    async def _decide_on_campaigns(self) -> None:
        for intent, status in await self._campaigns():
            for batch in await self.ledger.unknown(status.id):
                to = [str(phone) for phone, exclusion in batch.recipients if exclusion is None]
                if self._takes_for_sent(intent, to):
                    await self._mark(intent, to)
                    await self.ledger.mark_sent(status.id, [batch.number], note=_LOOKED_UP)
                else:
                    self._allow(intent, to)
                    await self.ledger.resend(
                        status.id, [batch.number], sent_before=time.time() - RESEND_GRACE
                    )

    async def _decide_on_sends(self) -> None:
        store = self.ledger.sends
        await store.reap(now=time.time())
        for record in await store.records(None, states=(BatchState.UNKNOWN,), since=0.0, limit=100):
            intent, to = self.site.book.intents[record.key], [*map(str, record.recipients)]
            is_sent = self._takes_for_sent(intent, to)
            if is_sent:
                await self._mark(intent, to)
            else:
                self._allow(intent, to)
            await store.resolve(
                record.account, record.key, sent=is_sent, again=False, note=_LOOKED_UP, now=time.time()
            )

    def _takes_for_sent(self, intent: Intent, to: Sequence[str]) -> bool:
        if not self.action.is_informed:
            return self.action.choice % 2 == 0
        counts = self.site.book.accepted(intent.name)
        return all(counts[recipient] for recipient in to)

    async def _mark(self, intent: Intent, to: Sequence[str]) -> None:
        self.site.book.marked.update((intent.name, recipient) for recipient in to)

    def _allow(self, intent: Intent, to: Sequence[str]) -> None:
        """Note whom a second one is allowed for: all, but where nothing can be on its way any more."""
        for recipient in to:
            left_at = self.site.book.left_at.get((intent.name, recipient), -_ON_ITS_WAY)
            if not self.action.is_informed or self.site.timeline.now - left_at < _ON_ITS_WAY:
                self.site.book.resends[intent.name, recipient] += 1
