"""A campaign from its list to its last outcome, and what each misfortune makes of a batch."""

from __future__ import annotations

import json
from asyncio import CancelledError
from decimal import Decimal
from functools import partial

import anyio
import pytest

from tests.campaigns.staging import TEXT, Stage, accepted, connect, phones, stall
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError, LedgerBusyError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = pytest.mark.anyio


async def test_a_campaign_ends_with_everybody_accepted_once(stage: Stage) -> None:
    campaign_id = await stage.submit(95, batch_size=10, unit_price=Decimal(10))
    queued = await stage.ledger.status(campaign_id)
    assert (queued.state, queued.queued, queued.batches) == (CampaignState.QUEUED, 95, 10)
    assert not stage.received()
    run = await stage.runner.run(campaign_id)
    assert (run.error, run.status.state, run.status.reason) == (None, CampaignState.DONE, None)
    assert (run.status.accepted, run.status.segments) == (95, 95)
    assert stage.received() == dict.fromkeys(phones(95), 1)
    known = {entry.lot_id: entry for entry in stage.sandbox.gateway.journal.entries}
    for batch in await stage.batches(campaign_id):
        entry = known[batch.record.lot_id]
        assert batch.record.message_ids == entry.message_ids
        assert tuple(str(phone) for phone, _ in batch.recipients) == entry.phones


async def test_each_gets_the_text_of_the_own_row(stage: Stage) -> None:
    lines = [
        f"{phone};{name}"
        for phone, name in zip(phones(6), ["Awa", "Ama", "Awa", "", "Ama", "Awa"], strict=True)
    ]
    path = stage.write(lines, "names.csv")
    path.write_text(path.read_text().replace("phone\n", "phone;nom\n"), encoding="utf-8")
    campaign, plan = await stage.runner.submit(path, "Bonjour {nom|client}")
    assert (plan.requests, plan.is_personal) == (3, False)
    await stage.runner.run(campaign.id)
    texts = {
        phone: entry.message for entry in stage.sandbox.gateway.journal.entries for phone in entry.phones
    }
    expected = ["Awa", "Ama", "Awa", "client", "Ama", "Awa"]
    assert texts == {phone: f"Bonjour {name}" for phone, name in zip(phones(6), expected, strict=True)}


async def test_the_plan_is_what_is_then_kept(stage: Stage) -> None:
    numbers = [*phones(3), phones(1)[0], "12", ""]
    policy = Policy(unit_price=Decimal("12.5"), rate=1.0)
    planned = await stage.runner.plan(stage.write(numbers), "Bonjour", policy=policy)
    assert not await stage.ledger.statuses()
    assert (planned.cost, planned.balance) == (Decimal("37.5"), stage.sandbox.gateway.balance)
    assert planned.balance_after == stage.sandbox.gateway.balance - Decimal("37.5")
    campaign, plan = await stage.runner.submit(
        stage.write(numbers), "Bonjour", policy=policy, expect=planned.hash
    )
    assert campaign.plan_hash == plan.hash == planned.hash
    kept = json.loads(campaign.plan)
    assert [kept[key] for key in ("kept", "duplicates", "refused", "cost")] == [3, 1, 1, "37.5"]
    assert plan.ends_at is not None


RAW = partial(Fault, kind=FaultKind.RAW)
UNKNOWN, REJECTED, ACCEPTED, QUEUED = "unknown", "rejected", "accepted", "queued"
FATES: dict[str, tuple[Fault, str, CampaignState]] = {
    "503": (Fault(kind=FaultKind.STATUS), UNKNOWN, CampaignState.DONE),
    "503 after accepting": (
        Fault(kind=FaultKind.STATUS, moment=Moment.AFTER_ACCEPTING),
        UNKNOWN,
        CampaignState.DONE,
    ),
    "closed after accepting": (Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), UNKNOWN, CampaignState.DONE),
    "closed after reading": (Fault(kind=FaultKind.CLOSE_AFTER_READING), UNKNOWN, CampaignState.DONE),
    "reset": (Fault(kind=FaultKind.RESET, moment=Moment.AFTER_ACCEPTING), UNKNOWN, CampaignState.DONE),
    "cut": (Fault(kind=FaultKind.CUT, at=5), UNKNOWN, CampaignState.DONE),
    "html": (Fault(kind=FaultKind.HTML), UNKNOWN, CampaignState.DONE),
    "empty": (Fault(kind=FaultKind.EMPTY), UNKNOWN, CampaignState.DONE),
    "too few ids": (Fault(kind=FaultKind.TOO_FEW_IDS), ACCEPTED, CampaignState.DONE),
    "400": (Fault(kind=FaultKind.STATUS, status=400), UNKNOWN, CampaignState.PAUSED),
    "9xx": (RAW(body=b'{"code": 920, "message": "INSUFFICIENT_CREDIT"}'), REJECTED, CampaignState.DONE),
    "another code": (RAW(body=b'{"code": 17, "message": "ODD"}'), UNKNOWN, CampaignState.DONE),
    "redirect": (Fault(kind=FaultKind.REDIRECT), UNKNOWN, CampaignState.PAUSED),
    "403": (Fault(kind=FaultKind.STATUS, status=403), UNKNOWN, CampaignState.PAUSED),
}


@pytest.mark.parametrize("name", FATES)
async def test_a_misfortune_means_what_the_table_of_outcomes_says(stage: Stage, name: str) -> None:
    fault, fate, state = FATES[name]
    campaign_id = await stage.submit(4, batch_size=2, concurrency=1)
    stage.sandbox.faults.script(fault, path=TEXT)
    run = await stage.runner.run(campaign_id)
    (first, second) = await stage.batches(campaign_id)
    assert first.state.value == fate
    assert run.status.state is state
    if state is CampaignState.DONE:
        assert (second.state, run.error) == (BatchState.ACCEPTED, None)
    else:
        assert second.state is BatchState.QUEUED
        assert run.error is not None
        assert type(run.error).__name__ in (run.status.reason or "")
    if fate == UNKNOWN:
        assert first.record.error
        assert [batch.number for batch in await stage.ledger.unknown(campaign_id)] == [first.number]
    assert max(stage.received().values(), default=0) <= 1


async def test_running_it_again_touches_nothing_that_is_unknown(stage: Stage) -> None:
    campaign_id = await stage.submit(4, batch_size=2, concurrency=1)
    stage.sandbox.faults.script(Fault(kind=FaultKind.REDIRECT, moment=Moment.AFTER_ACCEPTING), path=TEXT)
    run = await stage.runner.run(campaign_id)
    assert (run.status.unknown, run.status.queued) == (2, 2)
    run = await stage.runner.run(campaign_id)
    assert (run.status.state, run.status.unknown, run.status.accepted) == (CampaignState.DONE, 2, 2)
    assert stage.received() == dict.fromkeys(phones(4), 1)


async def test_an_unknown_batch_that_a_person_sends_again_goes_out(stage: Stage) -> None:
    campaign_id = await stage.submit(2)
    stage.sandbox.faults.script(Fault(kind=FaultKind.STATUS), path=TEXT)
    assert (await stage.runner.run(campaign_id)).status.unknown == 2
    assert await stage.ledger.resend(campaign_id, [0], sent_before=float("inf")) == 1
    run = await stage.runner.run(campaign_id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 2)
    assert stage.received() == dict.fromkeys(phones(2), 1)


async def test_a_campaign_that_ended_is_not_run_again(stage: Stage) -> None:
    run = await stage.run(2)
    with pytest.raises(InvalidInputError, match="is done"):
        await stage.runner.run(run.status.id)
    with pytest.raises(InvalidInputError, match="no campaign"):
        await stage.runner.run("nobody")
    assert stage.received() == dict.fromkeys(phones(2), 1)


async def test_one_runner_runs_a_campaign_once_at_a_time(stage: Stage) -> None:
    campaign_id = await stage.submit(20, batch_size=2, concurrency=4)
    stall(stage.sandbox)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.runner.run, campaign_id)
        await accepted(stage.sandbox, 1)
        with pytest.raises(InvalidInputError, match="being run"):
            await stage.runner.run(campaign_id)
    assert (await stage.ledger.status(campaign_id)).state is CampaignState.DONE
    assert stage.received() == dict.fromkeys(phones(20), 1)


async def test_two_campaigns_run_side_by_side(stage: Stage) -> None:
    first = await stage.submit(30, batch_size=3)
    second = await stage.submit(phones(30, 30), batch_size=3)
    async with anyio.create_task_group() as tasks:
        for each in (first, second):
            tasks.start_soon(stage.runner.run, each)
    assert [status.accepted for status in await stage.ledger.statuses()] == [30, 30]
    assert stage.received() == dict.fromkeys(phones(60), 1)


async def test_progress_is_told_until_the_end(stage: Stage) -> None:
    seen: list[CampaignStatus] = []
    campaign_id = await stage.submit(20, batch_size=5)
    await stage.runner.run(campaign_id, on_progress=seen.append)
    assert (seen[-1].state, seen[-1].accepted) == (CampaignState.DONE, 20)


@pytest.mark.parametrize("fault", [ZeroDivisionError, CancelledError])
async def test_progress_that_raises_does_not_disturb(
    stage: Stage, caplog: pytest.LogCaptureFixture, fault: type[BaseException]
) -> None:
    def fail(_: CampaignStatus) -> None:
        raise fault

    campaign_id = await stage.submit(20, batch_size=5)
    run = await stage.runner.run(campaign_id, on_progress=fail)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 20)
    assert fault.__name__ in caplog.text


@pytest.mark.usefixtures("no_backoff")
async def test_a_balance_that_cannot_be_read_does_not_disturb(stage: Stage) -> None:
    broken = [Fault(kind=FaultKind.STATUS, status=500)] * 40
    stage.sandbox.faults.script(*broken, path="/v1/check/balance")
    path = stage.write(phones(4))
    campaign, plan = await stage.runner.submit(path, "Bonjour", policy=Policy(unit_price=Decimal(10)))
    assert (plan.balance, plan.balance_after, plan.cost) == (None, None, Decimal(40))
    run = await stage.runner.run(campaign.id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 4)


async def test_the_balance_is_noted_on_what_is_unknown(stage: Stage) -> None:
    before = stage.sandbox.gateway.balance
    campaign_id = await stage.submit(5)
    stage.sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=TEXT)
    await stage.runner.run(campaign_id)
    (batch,) = await stage.ledger.unknown(campaign_id)
    assert batch.balance_before in (None, before)
    assert batch.balance_after == before - 50 == stage.sandbox.gateway.balance


async def test_a_second_runner_of_one_ledger_is_refused(stage: Stage, ledger: Ledger) -> None:
    async with connect(stage.sandbox) as sms:
        with pytest.raises(LedgerBusyError):
            async with CampaignRunner(sms, ledger):
                pass  # pragma: no cover
    run = await stage.run(2)
    assert run.status.accepted == 2


async def test_what_a_dead_runner_had_under_way_is_unknown_and_stays_so(
    sandbox: SandboxServer, ledger: Ledger, stage: Stage
) -> None:
    campaign_id = await stage.submit(6, batch_size=2)
    await stage.ledger.start(campaign_id)
    assert await stage.ledger.claim(campaign_id, 1, token="dead", worker="gone:1", now=1.0)
    await stage.runner.__aexit__(None, None, None)
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        assert [batch.number for batch in await ledger.unknown(campaign_id)] == [1]
        run = await runner.run(campaign_id)
        (batch,) = await ledger.unknown(campaign_id)
    assert (run.status.state, run.status.accepted, run.status.unknown) == (CampaignState.DONE, 4, 2)
    assert "ended" in str(batch.record.error)
    assert batch.balance_after is not None
    assert sandbox.gateway.journal.accepted_count(phones(3)[2]) == 0
