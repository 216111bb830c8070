"""A worker that is asked to end settles what it has under way and hands the rest over at once."""

from __future__ import annotations

import pytest

from tests.campaigns.workers.crew import Crew, conclude
from tests.campaigns.workers.stage import WorkerStage

pytestmark = pytest.mark.slow

#: Seconds: others look for jobs twice a second, and the rate has some of them wait.
AT_ONCE = 5.0


def stop_workers(stage: WorkerStage, database: str, batches: int, stops: int) -> None:
    """Stop workers one after the other, in the midst of a campaign, and start new ones in their place."""
    crew = Crew(stage.share(batches, database, rate=200))
    for stop in range(stops):
        crew.campaign.wait_for_queued(int(batches * (1 - (stop + 1) / (stops + 2))))
        crew.retire(crew.workers[0])
    report = conclude(crew)
    report.check()
    assert (report.held, report.unknown) == (frozenset(), frozenset())
    # There were some, and nobody waited for a sign of death.
    assert report.takeovers
    assert max(report.takeovers) < AT_ONCE * report.slowness


def test_a_worker_that_is_asked_to_end_leaves_nothing_unknown(stage: WorkerStage, database: str) -> None:
    stop_workers(stage, database, 160, 1)


@pytest.mark.full
def test_twelve_workers_that_are_asked_to_end_leave_nothing_unknown(
    stage: WorkerStage, database: str
) -> None:
    stop_workers(stage, database, 2_000, 12)
