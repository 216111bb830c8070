"""The database goes away while workers send: the run goes on by itself, and nothing is twice, lost or guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.campaigns.workers.crew import WORKERS, Crew, conclude
from tests.campaigns.workers.server import OwnServer, own_server
from tests.campaigns.workers.stage import WorkerStage

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """Yield a server to kill; never the one of `VAVASMS_TEST_POSTGRES`."""
    with own_server() as server:
        yield server


def restart_twice(stage: WorkerStage, server: OwnServer, batches: int, *, outage: float = 0.0) -> None:
    """Stop the server in the midst of a campaign, then kill it, each time for `outage` seconds or more."""
    campaign = stage.share(batches, server.url, rate=400)
    crew = Crew(campaign)
    for share, take_away in ((0.7, server.stop), (0.4, server.kill)):
        campaign.wait_for_queued(int(batches * share))
        take_away()
        # How long it lasts, and no wait for anything.
        time.sleep(outage)
        server.start()
    report = conclude(crew)
    report.check()
    # Nobody died: whatever is known to the workers is known to the ledger.
    assert report.unknown == frozenset()
    assert len(crew.workers) == WORKERS


def test_a_restart_and_a_kill_of_the_database_change_no_outcome(
    stage: WorkerStage, server: OwnServer
) -> None:
    restart_twice(stage, server, 320)


@pytest.mark.full
# The longer one is longer than a worker waits for a connection, and than what it has under way is believed in.
@pytest.mark.parametrize("outage", [0.0, 15.0])
def test_restarts_of_the_database_change_no_outcome(
    stage: WorkerStage, server: OwnServer, outage: float
) -> None:
    restart_twice(stage, server, 6_000, outage=outage)
