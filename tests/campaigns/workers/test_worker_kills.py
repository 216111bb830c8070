"""Kill -9 of workers with batches in flight: never twice, never lost, what waited in them is taken over."""

from __future__ import annotations

import random

import pytest

from tests.campaigns.workers.crew import Crew, Report, conclude
from tests.campaigns.workers.stage import TAKEOVER, WorkerStage

pytestmark = pytest.mark.slow


def kill_workers(
    stage: WorkerStage, database: str, batches: int, kills: int, *, rate: float | None = 200, **words: object
) -> Report:
    """Run a campaign with four workers, of which one after the other dies."""
    crew = Crew(stage.share(batches, database, rate=rate), words)
    crew.kill_many(kills, random.Random(batches), until=0.35)
    return conclude(crew)


def check(report: Report, kills: int) -> None:
    report.check()
    assert report.ends >= kills
    # There were some, and nobody waited for long, as long as the machine takes for anything.
    assert report.takeovers
    assert max(report.takeovers) < TAKEOVER * report.slowness


def test_four_kills_in_flight_send_nothing_twice_and_lose_nobody(stage: WorkerStage, database: str) -> None:
    check(kill_workers(stage, database, 500, 4), 4)


@pytest.mark.full
def test_twenty_four_kills_in_flight_send_nothing_twice_and_lose_nobody(
    stage: WorkerStage, database: str
) -> None:
    check(kill_workers(stage, database, 6_000, 24, rate=400), 24)


@pytest.mark.full
def test_twenty_four_kills_at_full_speed_send_nothing_twice_and_lose_nobody(
    stage: WorkerStage, database: str
) -> None:
    """Many more in flight, fewer that wait."""
    report = kill_workers(stage, database, 6_000, 24, rate=None)
    report.check()
    assert len(report.held) > 24


def test_the_same_kills_find_duplicates_without_the_fence(stage: WorkerStage, database: str) -> None:
    """The test of the test: a claim that takes what a dead worker had under way is caught."""
    # Nothing is unknown in time: what was under way is there for whoever is woken for it.
    report = kill_workers(stage, database, 200, 2, ledger_kind="careless", reap_after=60.0)
    assert report.audit.duplicates > 0
    assert report.audit.lost == 0
