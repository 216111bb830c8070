"""A campaign that waits can have other limits, and goes on with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from tests.campaigns.staging import Stage, accepted, connect, phones, stall
from vavasms.campaigns.limits import change_limits
from vavasms.campaigns.policy import Policy, dump_policy, load_policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError
from vavasms.ledger.models import Campaign, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import SandboxServer

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


async def test_a_campaign_under_its_floor_of_delivery_can_go_on_with_a_lower_one(stage: Stage) -> None:
    campaign_id = await stage.submit(2)
    await change_limits(stage.ledger, campaign_id, min_delivery=Decimal("0.5"))
    assert load_policy((await stage.campaign(campaign_id)).policy).min_delivery == Decimal("0.5")
    with pytest.raises(InvalidInputError, match="min_delivery"):
        await change_limits(stage.ledger, campaign_id, min_delivery=Decimal(2))


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


class Watched(MemoryLedger):
    """Something happens just when a campaign was looked at."""

    then: Callable[[], Awaitable[None]] | None = None
    #: What is to happen at the look after a runner saw whether the campaign is at its end.
    after_end: Callable[[], Awaitable[None]] | None = None

    async def campaign(self, campaign_id: str) -> Campaign:
        campaign, (then, self.then) = await super().campaign(campaign_id), (self.then, None)
        if then is not None:
            await then()
        return campaign

    async def finish(self, campaign_id: str) -> bool:
        finished = await super().finish(campaign_id)
        self.then, self.after_end = self.after_end, None
        return finished


async def test_a_stop_is_heard_while_a_runner_looks_whether_it_was_started_anew(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    stall(sandbox, 0.05)
    ledger = Watched()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(60, batch_size=1, concurrency=1)

        async def stop() -> None:
            runner.stop()

        async def resume() -> None:
            await accepted(sandbox, 3)
            ledger.after_end = stop
            await ledger.pause(campaign_id, "lunch")
            assert await ledger.start(campaign_id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resume)
            run = await runner.run(campaign_id)
    assert ledger.after_end is ledger.then is None
    assert run.status.queued > 0


async def test_two_who_change_different_limits_at_once_both_have_their_way() -> None:
    ledger = Watched()
    policy = dump_policy(Policy(unit_price=PRICE, budget=Decimal(100), balance_floor=Decimal(1)))
    await ledger.create(
        NewCampaign(
            id="c",
            account="ops",
            sender_id="ACME",
            message="Hi",
            policy=policy,
            created_at=1.0,
            max_segments=10,
        )
    )
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")

    async def change_as_well() -> None:
        await change_limits(ledger, "c", balance_floor=Decimal(500))

    ledger.then = change_as_well
    await change_limits(ledger, "c", budget=Decimal(900))
    changed = load_policy((await ledger.campaign("c")).policy)
    assert (changed.budget, changed.balance_floor) == (Decimal(900), Decimal(500))
