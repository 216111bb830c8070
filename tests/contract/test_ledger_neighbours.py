"""What is done to one campaign is done to no other, though their batches have the same numbers and states."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest
from attrs import frozen

from vavasms.ledger.base import Ledger
from vavasms.ledger.models import (
    BatchRecord,
    CampaignStatus,
    Claim,
    Delivery,
    QueuedBatch,
    StoredBatch,
)
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Phones = Callable[..., tuple[Msisdn, ...]]

DOUBTFUL, UNKNOWN, UNDER_WAY, QUEUED, ACCEPTED, REJECTED = range(6)
TAKEN = BatchRecord(lot_id="L1", message_ids=("m1",))


@frozen
class View:
    """All that a ledger says of a campaign."""

    status: CampaignStatus
    batches: Sequence[StoredBatch]
    queued: Sequence[QueuedBatch]
    deliveries: object


async def look(ledger: Ledger, campaign_id: str) -> View:
    return View(
        await ledger.status(campaign_id),
        tuple(await ledger.batches(campaign_id, after=-1, limit=99)),
        tuple(await ledger.queued(campaign_id, after=-1, limit=99)),
        await ledger.deliveries(campaign_id, ["m1"]),
    )


async def fill(ledger: Ledger, run: Run, take: Take, campaign_id: str, first: int) -> Claim:
    """Keep a campaign with a batch in each state; return the claim of the one that is under way."""
    await run(campaign_id, *[2] * 6, first=first, segments=2, max_segments=40)
    for number, event in (
        (DOUBTFUL, BatchEvent.MARK_UNKNOWN),
        (UNKNOWN, BatchEvent.MARK_UNKNOWN),
        (ACCEPTED, BatchEvent.ACCEPT),
        (REJECTED, BatchEvent.REJECT),
    ):
        await ledger.settle(await take(campaign_id, number), event, TAKEN)
    await ledger.settle(await take(campaign_id, QUEUED), BatchEvent.REQUEUE, BatchRecord(), not_before=1001.0)
    assert await ledger.resend(campaign_id, [DOUBTFUL], sent_before=2000.0) == 1
    word = Delivery(message_id="m1", status=DeliveryStatus.SENT, raw_status="sent", at=10.0)
    await ledger.record_deliveries(campaign_id, [word])
    return await take(campaign_id, UNDER_WAY)


async def cancel(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.cancel("c", "enough")


async def start_again(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.pause("c", "lunch")
    assert await ledger.start("c")


async def claim_each(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await claim("c", QUEUED, now=1002.0) is not None
    assert await claim("c", DOUBTFUL, now=1002.0) is not None


async def claim_of_who_opted_out(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    await ledger.add_opt_outs([Msisdn(2250700000100 + number) for number in range(99)], source="cli", now=1.0)
    for number in (QUEUED, DOUBTFUL):
        assert await claim("c", number, now=1002.0) is None


async def claim_beyond_the_budget(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.pause("c", "lunch")
    assert await ledger.set_policy("c", "{}", max_segments=1)
    assert await ledger.start("c")
    assert await claim("c", QUEUED, now=1002.0) is None


async def settle(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.settle(made, BatchEvent.ACCEPT, BatchRecord(lot_id="L2"))


async def turn_back(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.settle(made, BatchEvent.REQUEUE, BatchRecord(), not_before=1060.0)


async def abandon(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.abandon("c", UNDER_WAY, made.token)


async def split(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.split(made) == (6, 7)


async def resolve(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.mark_sent("c", [UNKNOWN], note="seen") == 1


async def resend(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    assert await ledger.resend("c", [UNKNOWN], sent_before=2000.0) == 1


async def note_balance(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    await ledger.note_balance("c", range(6), Decimal(7))


async def forget(ledger: Ledger, made: Claim, claim: TryClaim) -> None:
    await ledger.cancel("c", "enough")
    await ledger.purge("c")


@pytest.mark.parametrize(
    "act",
    [
        cancel,
        start_again,
        claim_each,
        claim_of_who_opted_out,
        claim_beyond_the_budget,
        settle,
        turn_back,
        abandon,
        split,
        resolve,
        resend,
        note_balance,
        forget,
    ],
)
async def test_what_is_done_to_one_campaign_leaves_its_neighbours_as_they_were(
    ledger: Ledger,
    run: Run,
    take: Take,
    claim: TryClaim,
    act: Callable[[Ledger, Claim, TryClaim], Awaitable[None]],
) -> None:
    # One before it and one behind it.
    await fill(ledger, run, take, "b", 20)
    made = await fill(ledger, run, take, "c", 0)
    held = await fill(ledger, run, take, "d", 40)
    before = [await look(ledger, key) for key in ("b", "c", "d")]
    await act(ledger, made, claim)
    after = [await look(ledger, key) for key in ("b", "c", "d")]
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1]
    # Nor is their budget spent by it, nor their attempts forgotten, nor their tokens.
    waiting = await claim("d", QUEUED, now=1002.0)
    stopped = act is claim_of_who_opted_out
    assert stopped if waiting is None else waiting.attempt == 2
    assert await ledger.settle(held, BatchEvent.ACCEPT, TAKEN)


async def test_a_budget_is_spent_and_given_back_by_its_own_campaign(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    for key in ("b", "c", "d"):
        await run(key, 2, 2, max_segments=2)
    made = [await take(key) for key in ("c", "b", "d")]
    await ledger.settle(made[0], BatchEvent.REJECT, BatchRecord())
    assert await claim("b", 1) is None
    assert await claim("d", 1) is None
    assert await claim("c", 1) is not None
