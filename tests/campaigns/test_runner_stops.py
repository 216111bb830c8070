"""Stopping a campaign: what is in flight is settled, the rest waits, and nobody has it twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from tests.campaigns.staging import TEXT, Clock, HastyLedger, Stage, accepted, connect, phones, stall
from vavasms.campaigns.runner import CampaignRun, CampaignRunner
from vavasms.errors import InvalidInputError, LedgerError
from vavasms.ledger.models import Claim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio


async def begin(stage: Stage, tasks: anyio.abc.TaskGroup, campaign_id: str) -> list[CampaignRun]:
    """Run a campaign beside the test, until the gateway has accepted something of it."""
    runs: list[CampaignRun] = []

    async def run() -> None:
        runs.append(await stage.runner.run(campaign_id))

    tasks.start_soon(run)
    await accepted(stage.sandbox, 1)
    return runs


async def test_a_stop_settles_what_is_in_flight_and_the_rest_goes_out_later(stage: Stage) -> None:
    campaign_id = await stage.submit(200, batch_size=2, concurrency=8)
    stall(stage.sandbox)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            runs = await begin(stage, tasks, campaign_id)
            stage.runner.stop()
    status = runs[0].status
    assert (status.state, status.reason, runs[0].error) == (CampaignState.PAUSED, "interrupted", None)
    assert status.sending == status.unknown == 0
    assert status.accepted == len(stage.received()) > 0
    assert status.queued == 200 - status.accepted > 0
    stage.sandbox.faults.clear()
    run = await stage.runner.run(campaign_id)
    assert (run.status.state, run.status.reason, run.status.accepted) == (CampaignState.DONE, None, 200)
    assert stage.received() == dict.fromkeys(phones(200), 1)


async def test_a_stop_with_nothing_running_is_nothing(stage: Stage) -> None:
    stage.runner.stop()
    assert (await stage.run(2)).status.state is CampaignState.DONE


async def test_a_pause_through_the_ledger_ends_the_run(stage: Stage) -> None:
    campaign_id = await stage.submit(200, batch_size=2, concurrency=4)
    stall(stage.sandbox)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            runs = await begin(stage, tasks, campaign_id)
            assert await stage.ledger.pause(campaign_id, "lunch")
    status = runs[0].status
    assert (status.state, status.reason) == (CampaignState.PAUSED, "lunch")
    assert (status.sending, status.unknown) == (0, 0)
    assert status.accepted == len(stage.received()) < 200
    stage.sandbox.faults.clear()
    assert (await stage.runner.run(campaign_id)).status.accepted == 200
    assert stage.received() == dict.fromkeys(phones(200), 1)


async def test_a_cancel_through_the_ledger_ends_it_for_good(stage: Stage) -> None:
    campaign_id = await stage.submit(200, batch_size=2, concurrency=4)
    stall(stage.sandbox)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            runs = await begin(stage, tasks, campaign_id)
            assert await stage.ledger.cancel(campaign_id, "wrong list")
    status = runs[0].status
    assert (status.state, status.reason) == (CampaignState.CANCELLED, "wrong list")
    assert status.accepted == len(stage.received())
    assert status.not_sent == 200 - status.accepted > 0


async def test_a_cancelled_run_writes_unknown_what_had_left(stage: Stage) -> None:
    campaign_id = await stage.submit(200, batch_size=2, concurrency=4)
    stall(stage.sandbox, 0.3)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await begin(stage, tasks, campaign_id)
            tasks.cancel_scope.cancel()
    status = await stage.ledger.status(campaign_id)
    assert status.sending == 0
    assert 0 < status.unknown <= 8
    stage.sandbox.faults.clear()
    status = (await stage.runner.run(campaign_id)).status
    assert (status.state, status.accepted + status.unknown) == (CampaignState.DONE, 200)
    assert max(stage.received().values()) == 1
    unknown = {
        str(phone) for batch in await stage.ledger.unknown(campaign_id) for phone, _ in batch.recipients
    }
    assert stage.received().keys() >= set(phones(200)) - unknown


async def test_a_stop_ends_the_wait_for_what_is_put_off(stage: Stage) -> None:
    campaign_id = await stage.submit(2)
    away = Fault(kind=FaultKind.RATE_LIMIT, retry_after="60")
    stage.sandbox.faults.script(away, path=TEXT)
    runs: list[CampaignRun] = []

    async def run() -> None:
        runs.append(await stage.runner.run(campaign_id))

    taken = stage.sandbox.faults.taken
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            assert await run_sync(partial(stage.sandbox.faults.wait_taken, taken + 1))
            stage.runner.stop()
    assert (runs[0].status.state, runs[0].status.reason) == (CampaignState.PAUSED, "interrupted")
    assert (runs[0].status.queued, stage.received()) == (2, {})


class FullLedger(MemoryLedger):
    """Takes no further intent once something was settled; what is claimed it settles."""

    settled = 0

    async def settle(self, claim: Claim, *args: Any, **options: Any) -> bool:
        self.settled += 1
        return await super().settle(claim, *args, **options)

    async def claim(self, campaign_id: str, number: int, **intent: Any) -> Claim | None:
        claim = await super().claim(campaign_id, number, **intent)
        if self.settled:
            raise LedgerError("The ledger did not take it (disk full): nothing more is sent.")
        return claim


async def test_a_ledger_that_takes_no_more_ends_the_run_and_sends_nothing_on_a_lost_answer(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    ledger = FullLedger()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(40, batch_size=2, concurrency=2)
        with pytest.raises(LedgerError, match="disk full"):
            await runner.run(campaign_id)
        status = await ledger.status(campaign_id)
    assert status.accepted == len(stage.received())
    assert (status.sending, status.unknown) == (0, 0)
    assert status.queued == 40 - status.accepted > 0


async def test_a_runner_that_was_not_entered_neither_keeps_nor_sends(stage: Stage) -> None:
    campaign_id = await stage.submit(3)
    async with connect(stage.sandbox) as sms:
        idle = CampaignRunner(sms, stage.ledger)
        with pytest.raises(InvalidInputError, match="async with"):
            await idle.run(campaign_id)
        with pytest.raises(InvalidInputError, match="async with"):
            await idle.submit(stage.write(phones(1)), "Salut")
    assert not stage.sandbox.gateway.journal.entries


async def test_leaving_a_runner_settles_what_is_under_way_before_another_may_take_over(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    stall(sandbox, 0.3)
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger, connect(sandbox) as sms:
        runner = await CampaignRunner(sms, ledger).__aenter__()
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(2, batch_size=1, concurrency=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign_id)
            await accepted(sandbox, 1)
            await runner.__aexit__(None, None, None)
            async with CampaignRunner(sms, ledger):
                status = await ledger.status(campaign_id)
        assert (status.unknown, status.sending, status.accepted, status.queued) == (0, 0, 1, 1)


async def test_a_machine_that_slept_before_the_body_left_sends_it_anew_and_once(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    clock = Clock()
    calls: list[str] = []

    def sleep(info: CallInfo) -> None:
        """Pass an hour between the intent and the first byte."""
        if info.call == "send_text":
            calls.append(info.call)
            clock.now += 3600 if len(calls) == 1 else 0

    contacts = tmp_path / "contacts.csv"
    contacts.write_text("phone\n" + "\n".join(phones(3)), encoding="utf-8")
    async with (
        connect(sandbox, on_request=sleep) as sms,
        CampaignRunner(sms, HastyLedger(clock), clock=clock) as runner,
    ):
        campaign, _ = await runner.submit(contacts, TEXT)
        run = await runner.run(campaign.id)
    assert (run.status.accepted, run.status.unknown) == (3, 0)
    assert len(calls) > 1
    assert sandbox.gateway.journal.counts() == dict.fromkeys(phones(3), 1)
    assert len(sandbox.gateway.journal) == 1
