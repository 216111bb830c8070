"""Two runners on one ledger, and everything that works beside one."""

from __future__ import annotations

import time
from functools import partial

import anyio
import pytest

from tests.campaigns.crashes.stage import Stage, Staged, wait_until
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.slow


def accepted(campaign: Staged) -> int:
    return sum(campaign.received(campaign.phones))


def test_a_second_runner_is_refused_at_once_and_sends_nothing(stage: Stage) -> None:
    # By its rate the first is at it for half a minute, however long the others take to start.
    campaign = stage.campaign(600, rate=20.0)
    first = campaign.start()
    assert first.listen("running")
    for _ in range(5):
        second = campaign.start()
        assert second.wait() == 0
        assert second.heard("error") == "LedgerBusyError", second.said
        assert second.heard("calls") == 0
        assert second.heard("orphans") is None
    assert first.heard("exit") is None
    first.kill()
    campaign.finish()
    assert campaign.audit().wrong == 0


def test_status_waits_for_no_runner_and_sees_the_truth(stage: Stage) -> None:
    campaign = stage.campaign(1_500)
    runner = campaign.start()
    assert runner.listen("running")
    began, slowest, looks = time.monotonic(), 0.0, 0
    while runner.listen("exit", timeout=0.02) is None:
        started = time.monotonic()
        status = campaign.status()
        slowest, looks = max(slowest, time.monotonic() - started), looks + 1
        counts = (status.queued, status.sending, status.accepted, status.unknown)
        assert sum(counts) == status.recipients == 1_500
        # What the ledger calls accepted is at the gateway already.
        assert status.accepted <= accepted(campaign)
        assert [each.id for each in campaign.ask(lambda ledger: ledger.statuses())] == [campaign.id]
    print(f"{looks} looks, the slowest {slowest * 1000:.0f} ms, with opening the file")
    assert looks > 5
    assert slowest < (time.monotonic() - began) / 2
    assert campaign.audit().wrong == 0


def test_a_pause_from_elsewhere_stops_a_runner_with_its_calls_settled(stage: Stage) -> None:
    campaign = stage.campaign(1_500)
    runner = campaign.start()
    wait_until(lambda: accepted(campaign) > 100)
    assert campaign.ask(lambda ledger: ledger.pause(campaign.id, "by hand"))
    assert runner.wait() == 0
    audit = campaign.audit()
    assert audit.wrong == 0
    assert (audit.status.state.value, audit.status.reason) == ("paused", "by hand")
    assert (audit.status.sending, audit.status.unknown) == (0, 0)
    assert 0 < audit.status.accepted < 1_500
    campaign.finish()
    assert campaign.audit().wrong == 0


def test_a_pause_from_elsewhere_ends_a_run_that_waits_for_its_rate(stage: Stage) -> None:
    # The whole of it takes five minutes.
    campaign = stage.campaign(1_500, rate=5.0)
    runner = campaign.start()
    wait_until(lambda: accepted(campaign) > 0)
    assert campaign.ask(lambda ledger: ledger.pause(campaign.id, "by hand"))
    assert runner.listen("state", timeout=15) == "paused", "it still waits for turns that it cannot use"
    assert runner.wait() == 0


def test_a_cancel_from_elsewhere_leaves_the_rest_unsent(stage: Stage) -> None:
    campaign = stage.campaign(1_500)
    runner = campaign.start()
    wait_until(lambda: accepted(campaign) > 100)
    assert campaign.ask(lambda ledger: ledger.cancel(campaign.id, "by hand"))
    assert runner.wait() == 0
    audit = campaign.audit()
    assert audit.wrong == 0
    assert audit.status.state.value == "cancelled"
    assert (audit.status.queued, audit.status.sending, audit.status.unknown) == (0, 0, 0)
    assert audit.status.accepted + audit.status.not_sent == 1_500


def test_who_opts_out_beside_a_runner_gets_nothing_from_then_on(stage: Stage) -> None:
    campaign = stage.campaign(1_500)
    runner = campaign.start()
    wait_until(lambda: accepted(campaign) > 100)
    last = [Msisdn(phone) for phone in campaign.phones[-7:]]
    assert campaign.ask(lambda ledger: ledger.add_opt_outs(last, source="cli", now=1.0)) == 7
    assert runner.wait() == 0
    assert campaign.received(campaign.phones[-7:]) == [0] * 7
    audit = campaign.audit()
    assert audit.wrong == 0
    assert (audit.status.not_sent, audit.status.accepted) == (7, 1_493)


def test_the_same_plan_again_is_refused_with_the_first_ones_id(stage: Stage) -> None:
    campaign = stage.campaign(50)
    campaign.finish()

    async def submit(ledger: Ledger, *, again: bool = False) -> str:
        async with stage.client() as sms, CampaignRunner(sms, ledger) as runner:
            policy = Policy(batch_size=5)
            made, _ = await runner.submit(campaign.contacts, "Bonjour", policy=policy, again=again)
        return made.id

    with pytest.raises(InvalidInputError, match=campaign.id):
        campaign.ask(submit)
    assert len(campaign.ask(lambda ledger: ledger.statuses())) == 1
    again = campaign.ask(partial(submit, again=True))
    assert again != campaign.id
    assert set(campaign.received(campaign.phones)) == {1}


def test_the_same_plan_twice_at_once_is_kept_once(stage: Stage) -> None:
    """A double click in somebody's service: both are under way before either is kept."""
    campaign = stage.campaign(50)
    contacts, _ = stage.contacts(500)

    kept, refusals = [], []

    async def submit(runner: CampaignRunner) -> None:
        try:
            kept.append((await runner.submit(contacts, "Bonjour"))[0].id)
        except InvalidInputError as error:
            refusals.append(str(error))

    async def twice(ledger: Ledger) -> None:
        async with (
            stage.client() as sms,
            CampaignRunner(sms, ledger) as runner,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(submit, runner)
            tasks.start_soon(submit, runner)

    campaign.ask(twice)
    assert len(kept) == 1
    assert len(refusals) == 1
    assert kept[0] in refusals[0]
