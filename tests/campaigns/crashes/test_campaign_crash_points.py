"""Kill -9 at named points of a batch's way: the ledger and the gateway are as predicted, each time."""

from __future__ import annotations

import random

import pytest
from attrs import frozen

from tests.campaigns.crashes.stage import KILLED, PLACES, Stage, Staged, is_over, wait_until
from vavasms.ledger.states import BatchState

pytestmark = pytest.mark.slow

SIZE = 5


@frozen
class Fate:
    """How the batches stand after their runner died at the n-th passing of a point, none beside them."""

    #: Batches of this run that the ledger calls accepted.
    accepted: int
    #: Batches that it calls sending: none or one.
    sending: int
    #: Whether the gateway has that one.
    arrived: bool


#: Points between a committed intent and the commit of its outcome, and whether the gateway has it then.
UNDER_WAY = {
    "after_tx1": False,
    "connect_started": False,
    "connect_complete": False,
    "body_start": False,
    "body_end": True,
    "reply": True,
    "before_tx2": True,
}
POINTS = ("before_tx1", *UNDER_WAY, "after_tx2")


def predict(point: str, nth: int, *, shared: bool) -> Fate:
    """Return what must be; `shared` where one commit wrote an outcome and the next intent."""
    if point == "before_tx1":
        # The outcome of the batch before is lost with the commit that it shares.
        return Fate(accepted=nth - 1 - shared, sending=int(shared), arrived=True)
    if point == "after_tx2":
        # The next intent is written, and nothing of it left.
        return Fate(accepted=nth, sending=int(shared), arrived=False)
    return Fate(accepted=nth - 1, sending=1, arrived=UNDER_WAY[point])


def crash_one_by_one(stage: Stage, point: str, times: int) -> None:
    """Kill one batch's runner at the point, again and again, with nothing else in flight."""
    draw = random.Random(point)
    campaign = stage.campaign(SIZE * (4 * times + 4), batch_size=SIZE, concurrency=1)
    unknown = 0
    for _ in range(times):
        nth = draw.randint(1, 3)
        before = campaign.status()
        runner = campaign.start(point=point, nth=nth)
        assert runner.wait() == KILLED, runner.said
        assert runner.heard("orphans") == before.sending // SIZE
        fate = predict(point, nth, shared=point.endswith(("tx1", "tx2")) and len(runner.heard("carried")) > 1)
        unknown += fate.sending
        check_fate(campaign, fate, before.accepted)
    campaign.finish()
    audit = campaign.audit()
    assert audit.wrong == 0
    assert audit.status.unknown == SIZE * unknown
    assert audit.status.accepted + audit.status.unknown == len(campaign.phones)


def check_fate(campaign: Staged, fate: Fate, accepted_before: int) -> None:
    """Hold the state right after a kill against the prediction."""
    batches = campaign.batches()
    sending = [batch for batch in batches if batch.state is BatchState.SENDING]
    accepted = [batch for batch in batches if batch.state is BatchState.ACCEPTED]
    assert len(sending) == fate.sending
    assert SIZE * len(accepted) == accepted_before + SIZE * fate.accepted
    phones = [str(phone) for batch in sending for phone, _ in batch.recipients]
    if fate.arrived:
        wait_until(lambda: campaign.received(phones) == [1] * len(phones))
    audit = campaign.audit()
    assert campaign.received(phones) == [int(fate.arrived)] * len(phones)
    # Neither twice, nor there and called queued, nor called accepted and not there.
    assert audit.wrong == 0


def crash_among_others(stage: Stage, point: str, times: int) -> None:
    """The same with eight batches in flight: commits are shared, and the others are anywhere."""
    draw, kills = random.Random(point), 0
    while kills < times:
        # Each kill passes 20 batches at most.
        campaign = stage.campaign(min(200 * times, 1_500), batch_size=SIZE)
        unknown = 0
        while kills < times and not is_over(campaign.status()):
            runner = campaign.start(point=point, nth=draw.randint(1, 20))
            kills += runner.wait() == KILLED
            status = campaign.status()
            assert status.sending <= SIZE * PLACES
            assert status.unknown == unknown
            unknown += status.sending
        if not is_over(campaign.status()):
            campaign.finish()
        audit = campaign.audit()
        assert audit.wrong == 0
        assert audit.status.unknown == unknown


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_leaves_the_state_predicted(stage: Stage, point: str) -> None:
    crash_one_by_one(stage, point, 2)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_among_eight_in_flight_hides_and_repeats_nothing(
    stage: Stage, point: str
) -> None:
    crash_among_others(stage, point, 2)


@pytest.mark.full
@pytest.mark.parametrize("point", POINTS)
def test_fifty_kills_at_a_named_point_leave_the_state_predicted(stage: Stage, point: str) -> None:
    crash_one_by_one(stage, point, 50)


@pytest.mark.full
@pytest.mark.parametrize("point", POINTS)
def test_fifty_kills_at_a_named_point_among_eight_in_flight_hide_and_repeat_nothing(
    stage: Stage, point: str
) -> None:
    crash_among_others(stage, point, 50)
