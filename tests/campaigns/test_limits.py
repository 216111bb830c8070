"""A campaign that waits can have other limits, and goes on with them."""

from __future__ import annotations

from decimal import Decimal

import anyio
import pytest

from tests.campaigns.staging import Stage, accepted, phones, stall
from vavasms.campaigns.limits import change_limits
from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.states import CampaignState
from vavasms.errors import InvalidInputError

pytestmark = pytest.mark.anyio

PRICE = Decimal(10)


async def test_a_campaign_whose_budget_was_spent_goes_on_with_a_larger_one(stage: Stage) -> None:
    run = await stage.run(20, batch_size=2, unit_price=PRICE, budget=Decimal(100))
    campaign_id = run.status.id
    assert (run.status.state, run.status.accepted) == (CampaignState.PAUSED, 10)
    await change_limits(stage.ledger, campaign_id, budget=Decimal(140))
    run = await stage.runner.run(campaign_id)
    # In all, not once more.
    assert (run.status.state, run.status.accepted) == (CampaignState.PAUSED, 14)
    await change_limits(stage.ledger, campaign_id, budget=Decimal(1000), balance_floor=Decimal(1))
    policy = load_policy((await stage.ledger.campaign(campaign_id)).policy)
    assert (policy.budget, policy.balance_floor, policy.unit_price) == (Decimal(1000), Decimal(1), PRICE)
    assert (await stage.runner.run(campaign_id)).status.accepted == 20
    assert stage.sandbox.gateway.journal.counts() == dict.fromkeys(phones(20), 1)


async def test_limits_that_make_no_sense_or_come_too_late_are_refused(stage: Stage) -> None:
    free = await stage.submit(2)
    with pytest.raises(InvalidInputError, match="begun without a budget"):
        await change_limits(stage.ledger, free, budget=Decimal(10))
    with pytest.raises(InvalidInputError, match="unit price"):
        await change_limits(stage.ledger, free, balance_floor=Decimal(10))
    await change_limits(stage.ledger, free)
    assert (await stage.runner.run(free)).status.accepted == 2
    paid = await stage.submit(phones(4, first=50), unit_price=PRICE, budget=Decimal(100))
    with pytest.raises(InvalidInputError, match="above 0"):
        await change_limits(stage.ledger, paid, budget=Decimal(0))
    await stage.ledger.start(paid)
    with pytest.raises(InvalidInputError, match="is running: pause it first"):
        await change_limits(stage.ledger, paid, budget=Decimal(200))
    await stage.ledger.cancel(paid, "enough")
    with pytest.raises(InvalidInputError, match="is cancelled, and has its limits for good"):
        await change_limits(stage.ledger, paid, budget=Decimal(200))


async def test_a_campaign_that_a_person_paused_changed_and_resumed_goes_on_by_its_new_limits(
    stage: Stage,
) -> None:
    stall(stage.sandbox, 0.05)
    campaign_id = await stage.submit(40, batch_size=1, concurrency=2, unit_price=PRICE, budget=Decimal(1000))

    async def resume() -> None:
        await accepted(stage.sandbox, 6)
        await stage.ledger.pause(campaign_id, "lunch")
        await change_limits(stage.ledger, campaign_id, budget=Decimal(200))
        assert await stage.ledger.start(campaign_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resume)
        run = await stage.runner.run(campaign_id)
    # Not by what the runner had seen, and not paused by it.
    assert (run.status.state, run.status.accepted) == (CampaignState.PAUSED, 20)
    assert "budget" in (run.status.reason or "")
    assert max(stage.received().values()) == 1


async def test_a_runner_that_is_stopped_leaves_a_start_that_is_not_its_own(stage: Stage) -> None:
    stall(stage.sandbox, 0.1)
    campaign_id = await stage.submit(20, batch_size=1, concurrency=2)

    async def stop() -> None:
        await accepted(stage.sandbox, 3)
        await stage.ledger.pause(campaign_id, "lunch")
        assert await stage.ledger.start(campaign_id)
        stage.runner.stop()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop)
        run = await stage.runner.run(campaign_id)
    assert (run.status.state, run.status.reason) == (CampaignState.RUNNING, None)
    assert run.status.queued
    again = await stage.runner.run(campaign_id)
    assert (again.status.state, again.status.accepted) == (CampaignState.DONE, 20)
