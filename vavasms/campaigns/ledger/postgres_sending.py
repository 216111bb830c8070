"""TX1 and TX2 of the PostgreSQL ledger: those of a campaign that come together are made together."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from weakref import WeakValueDictionary

from attrs import define

from vavasms.campaigns.ledger import postgres_transactions as tx
from vavasms.campaigns.ledger.port import BatchRecord, Claim
from vavasms.campaigns.ledger.postgres_splitting import split
from vavasms.campaigns.ledger.postgres_sweeping import PostgresSweeping
from vavasms.campaigns.ledger.postgres_transactions import Answer, Intent
from vavasms.campaigns.states import BatchEvent
from vavasms.storage.postgres import PostgresDatabase
from vavasms.storage.together import Together


@define
class _Gathered:
    """What waits to be written of one campaign."""

    claims: Together[Intent, Claim | None]
    accepts: Together[Answer, bool]


class PostgresSending(PostgresSweeping):
    """The part of the ledger that sends."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        #: By campaign, as long as something is written of it.
        self._gathered: WeakValueDictionary[str, _Gathered] = WeakValueDictionary()

    async def claim(
        self,
        campaign_id: str,
        no: int,
        *,
        token: str,
        worker: str,
        now: float,
        balance: Decimal | None = None,
        revision: int | None = None,
    ) -> Claim | None:
        """TX1: see `Ledger.claim`."""
        intent = Intent(
            campaign_id=campaign_id,
            no=no,
            token=token,
            worker=worker,
            now=now,
            balance=balance,
            revision=revision,
        )
        gathered = self._gather(campaign_id)
        claim = await gathered.claims.write(intent)
        if claim is not None:
            return claim
        return await self._database.write(lambda c: tx.claim(c, intent))

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        """TX2: see `Ledger.settle`."""
        answer = Answer(
            campaign_id=claim.campaign_id,
            no=claim.no,
            token=claim.token,
            event=event,
            record=record,
            not_before=not_before,
        )
        if event is BatchEvent.ACCEPT:
            gathered = self._gather(claim.campaign_id)
            return await gathered.accepts.write(answer)
        return await self._database.write(lambda c: tx.settle(c, answer))

    async def abandon(self, campaign_id: str, no: int, token: str) -> bool:
        """Turn back a claim whose answer was lost: see `Ledger.abandon`."""
        # It may be under way for somebody else's sake.
        gathered = self._gather(campaign_id)
        await gathered.claims.flush()
        answer = Answer(campaign_id=campaign_id, no=no, token=token, event=BatchEvent.TURN_BACK)
        # Alone: where its connection was lost, the server may still be at the claim, which shares the lock.
        return await self._database.write(lambda c: tx.settle(c, answer, alone=True))

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        """TX2 of a lot refused as a whole: see `Ledger.split`."""
        return await self._database.write(lambda c: split(c, claim))

    def _gather(self, campaign_id: str) -> _Gathered:
        found = self._gathered.get(campaign_id)
        if found is None:
            found = self._gathered[campaign_id] = _Gathered(
                claims=Together(partial(_claim, self._database)),
                accepts=Together(partial(_accept, self._database)),
            )
        return found


async def _claim(database: PostgresDatabase, intents: Sequence[Intent]) -> Sequence[Claim | None]:
    rows = await database.call(*tx.plain_claims(intents))
    found = {token: rest for token, *rest in rows}
    return [each.granted(*found[each.token]) if each.token in found else None for each in intents]


async def _accept(database: PostgresDatabase, answers: Sequence[Answer]) -> Sequence[bool]:
    kept = {token for (token,) in await database.call(*tx.plain_accepts(answers))}
    return [each.token in kept for each in answers]
