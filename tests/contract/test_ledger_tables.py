"""What can happen to a batch and to a campaign: the tables of `states`, pair by pair, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import product

import pytest

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, Exclusion, NewCampaign
from vavasms.ledger.states import (
    BATCH_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    BatchEvent,
    BatchState,
    CampaignEvent,
    CampaignState,
)
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Orphan = Callable[[], AbstractAsyncContextManager[Mapping[str, Sequence[int]]]]

_SETTLED = {
    BatchState.ACCEPTED: BatchEvent.ACCEPT,
    BatchState.REJECTED: BatchEvent.REJECT,
    BatchState.UNKNOWN: BatchEvent.MARK_UNKNOWN,
}


async def bring_batch(
    ledger: Ledger, state: BatchState, run: Run, take: Take, claim: TryClaim, *, again: bool
) -> Claim:
    """Bring batch 0 of `c` into a state, `again`: by a person's word; give the last claim that it had."""
    await run("c", 2, 1)
    made = await take("c")
    if state in _SETTLED:
        assert await ledger.settle(made, _SETTLED[state], BatchRecord())
    elif again and state is BatchState.QUEUED:
        assert await ledger.settle(made, BatchEvent.MARK_UNKNOWN, BatchRecord())
        assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    elif state is not BatchState.SENDING:
        assert await ledger.settle(made, BatchEvent.REQUEUE, BatchRecord())
    if state is BatchState.CANCELLED:
        # Nobody is left of it, and its campaign still runs: only the batch's own state is in the way.
        await ledger.add_opt_outs(made.recipients, source="cli", now=1.0)
        assert await claim("c") is None
    return made


async def try_batch(ledger: Ledger, event: BatchEvent, made: Claim, claim: TryClaim, orphan: Orphan) -> bool:
    """Apply an event to batch 0 of `c`, if it can be; return what the method returned."""
    match event:
        case BatchEvent.CLAIM:
            return await claim("c") is not None
        case BatchEvent.ORPHAN:
            async with orphan() as orphans:
                return 0 in orphans.get("c", ())
        case BatchEvent.MARK_SENT:
            return await ledger.mark_sent("c", [0], note="seen") == 1
        case BatchEvent.RESEND:
            return await ledger.resend("c", [0], sent_before=2000.0) == 1
        case BatchEvent.DROP_RESEND:
            before = (await ledger.status("c")).unknown
            await ledger.cancel("c", "enough")
            return (await ledger.status("c")).unknown == before + 2
        case BatchEvent.CANCEL:
            before = (await ledger.status("c")).not_sent
            await ledger.cancel("c", "enough")
            # The other batch of one is cancelled with it.
            return (await ledger.status("c")).not_sent == before + 3
    return await ledger.settle(made, event, BatchRecord())


@pytest.mark.parametrize(("state", "event"), [*product(BatchState, BatchEvent)])
async def test_a_batch_moves_by_its_table_and_in_no_other_way(
    ledger: Ledger,
    run: Run,
    take: Take,
    claim: TryClaim,
    orphan: Orphan,
    state: BatchState,
    event: BatchEvent,
) -> None:
    again = event is BatchEvent.DROP_RESEND
    made = await bring_batch(ledger, state, run, take, claim, again=again)
    assert await _batch_state(ledger) is state
    happened = await try_batch(ledger, event, made, claim, orphan)
    assert happened is ((state, event) in BATCH_TRANSITIONS)
    assert await _batch_state(ledger) is BATCH_TRANSITIONS.get((state, event), state)


async def _batch_state(ledger: Ledger) -> BatchState:
    return (await ledger.batches("c", after=-1, limit=1))[0].state


async def bring_campaign(ledger: Ledger, state: CampaignState, run: Run, take: Take) -> None:
    """Bring `c` into a state; once it ran, a batch of it is unknown and none is queued."""
    if state in (CampaignState.LOADING, CampaignState.QUEUED):
        # Without batches: nothing but its state can keep it from being finished.
        new = NewCampaign(id="c", account="ops", sender_id="ACME", message="Bonjour", created_at=10.0)
        await ledger.create(new)
        if state is CampaignState.QUEUED:
            await ledger.finish_loading("c", plan="{}", plan_hash="hash")
        return
    await run("c", 2)
    assert await ledger.settle(await take("c"), BatchEvent.MARK_UNKNOWN, BatchRecord())
    if state is CampaignState.PAUSED:
        assert await ledger.pause("c", "lunch")
    if state is CampaignState.CANCELLED:
        assert await ledger.cancel("c", "enough")
    if state is CampaignState.DONE:
        assert await ledger.finish("c")


async def try_campaign(ledger: Ledger, event: CampaignEvent) -> bool:
    """Apply an event to `c`, if it can be; return what the method returned."""
    match event:
        case CampaignEvent.LOADED:
            with suppress(InvalidInputError):
                await ledger.finish_loading("c", plan='{"new": 1}', plan_hash="new")
                return True
        case CampaignEvent.REOPEN:
            with suppress(InvalidInputError):
                return await ledger.resend("c", [0], sent_before=2000.0) == 1
        case CampaignEvent.START:
            return await ledger.start("c")
        case CampaignEvent.PAUSE:
            return await ledger.pause("c", "a reason")
        case CampaignEvent.CANCEL:
            return await ledger.cancel("c", "a reason")
        case CampaignEvent.FINISH:
            return await ledger.finish("c")
    return False


@pytest.mark.parametrize(("state", "event"), [*product(CampaignState, CampaignEvent)])
async def test_a_campaign_moves_by_its_table_and_in_no_other_way(
    ledger: Ledger, run: Run, take: Take, state: CampaignState, event: CampaignEvent
) -> None:
    await bring_campaign(ledger, state, run, take)
    before = await ledger.campaign("c")
    assert before.state is state
    happened = await try_campaign(ledger, event)
    after = await ledger.campaign("c")
    assert happened is ((state, event) in CAMPAIGN_TRANSITIONS)
    assert after.state is CAMPAIGN_TRANSITIONS.get((state, event), state)
    assert after == before or happened


@pytest.mark.parametrize("state", [each for each in CampaignState if each is not CampaignState.RUNNING])
async def test_nothing_is_claimed_unless_the_campaign_runs(
    ledger: Ledger, create: Run, claim: TryClaim, state: CampaignState
) -> None:
    await create("c", 2)
    if state is not CampaignState.LOADING:
        await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    if state is CampaignState.PAUSED:
        await ledger.pause("c", "lunch")
    if state is CampaignState.CANCELLED:
        await ledger.cancel("c", "enough")
    if state is CampaignState.DONE:
        await ledger.start("c")
        assert not await ledger.finish("c")
        await ledger.add_opt_outs([each for each, _ in await _all_of(ledger)], source="cli", now=1.0)
        assert await claim("c") is None
        assert await ledger.finish("c")
    assert (await ledger.campaign("c")).state is state
    assert await claim("c") is None
    status = await ledger.status("c")
    assert (status.sending, status.segments) == (0, 0)


async def _all_of(ledger: Ledger) -> list[tuple[Msisdn, Exclusion | None]]:
    return [
        recipient
        for batch in await ledger.batches("c", after=-1, limit=100)
        for recipient in batch.recipients
    ]
