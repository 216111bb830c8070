"""SIGTERM and Ctrl-C: the calls in flight are settled, nothing is unknown, and the campaign goes on later."""

from __future__ import annotations

import random
import signal

import pytest

from tests.campaigns.crashes.stage import Runner, Stage, Staged, is_over

pytestmark = pytest.mark.slow


def stop_again_and_again(stage: Stage, times: int) -> None:
    """Stop runners of a campaign at random moments, the first of their lives included."""
    draw, stops = random.Random(times), 0
    while stops < times:
        campaign = stage.campaign(1_500)
        while stops < times and not is_over(campaign.status()):
            runner = campaign.start()
            assert runner.listen("armed")
            runner.listen("state", timeout=draw.choice((0.0, 0.01, draw.uniform(0, 0.5))))
            runner.signal((signal.SIGTERM, signal.SIGINT)[stops % 2])
            stops += was_stopped(campaign, runner)
        if not is_over(campaign.status()):
            campaign.finish()
        audit = campaign.audit()
        assert audit.wrong == 0
        assert audit.status.accepted == len(campaign.phones)


def was_stopped(campaign: Staged, runner: Runner) -> bool:
    """Check what a signal left behind; False where the campaign was over first."""
    assert runner.wait() == 0
    audit = campaign.audit()
    assert audit.wrong == 0
    assert (audit.status.sending, audit.status.unknown) == (0, 0)
    if is_over(audit.status):
        return False
    assert (audit.status.state.value, audit.status.reason) == ("paused", "interrupted")
    return True


def test_five_signals_leave_nothing_unknown_and_nothing_in_flight(stage: Stage) -> None:
    stop_again_and_again(stage, 5)


@pytest.mark.full
def test_fifty_signals_leave_nothing_unknown_and_nothing_in_flight(stage: Stage) -> None:
    stop_again_and_again(stage, 50)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_first_batch_is_not_forgotten(stage: Stage, number: signal.Signals) -> None:
    campaign = stage.campaign(1_500)
    runner = campaign.start()
    assert runner.listen("armed")
    runner.signal(number)
    assert runner.wait() == 0
    status = campaign.status()
    assert (status.state.value, status.reason) == ("paused", "interrupted"), runner.said
