"""Kill -9 at random moments: never twice, never lost, and no more unknown than was in flight."""

from __future__ import annotations

import random

import pytest
from attrs import define, field

from tests.campaigns.crashes.stage import PLACES, Audit, Runner, Stage, Staged, is_over

pytestmark = pytest.mark.slow

RECIPIENTS, SIZE = 3_000, 5


@define
class Toll:
    """What the kills cost."""

    kills: int = 0
    campaigns: int = 0
    #: Batches that were under way, as each runner found them at its start.
    orphans: list[int] = field(factory=list)
    unknown: int = 0
    duplicates: int = 0
    lost: int = 0
    hidden: int = 0

    def add(self, audit: Audit) -> None:
        """Count a campaign that ended."""
        self.campaigns += 1
        self.unknown += audit.status.unknown // SIZE
        self.duplicates += audit.duplicates
        self.lost += audit.lost
        self.hidden += audit.hidden

    def heard(self, runner: Runner) -> None:
        """Note what a runner found, if it came that far."""
        found = runner.heard("orphans")
        if found is not None:
            self.orphans.append(found)


def kill_at_random(
    stage: Stage, kills: int, seed: int, *, ledger_kind: str = "", recipients: int = RECIPIENTS
) -> Toll:
    """Kill runners of one campaign after the other, each some moments after its start."""
    draw, toll = random.Random(seed), Toll()
    while toll.kills < kills:
        campaign = stage.campaign(recipients, batch_size=SIZE)
        while toll.kills < kills and not is_over(campaign.status()):
            kill_one(campaign, draw, toll, ledger_kind)
        if not is_over(campaign.status()):
            toll.heard(campaign.finish(ledger_kind=ledger_kind))
        toll.add(campaign.audit())
    return toll


def kill_one(campaign: Staged, draw: random.Random, toll: Toll, ledger_kind: str) -> None:
    """Start a runner and kill it: at any moment of its life, its start and the first calls included."""
    journal = campaign.stage.gateway.gateway.journal
    before = len(journal)
    runner = campaign.start(ledger_kind=ledger_kind)
    # Most of them while it sends, however long this machine takes to get there.
    if draw.random() < 0.8:
        journal.wait_for(before + 1, timeout=5)
    runner.listen("exit", timeout=draw.uniform(0.0, 0.5))
    toll.kills += runner.kill()
    toll.heard(runner)


def is_bounded(toll: Toll, kills: int) -> bool:
    """Return whether no more is unknown than was under way at the kills, and something was."""
    print(toll)
    return toll.kills >= kills and max(toll.orphans) <= PLACES and 0 < toll.unknown <= PLACES * toll.kills


def test_twelve_kills_send_nothing_twice_and_lose_nobody(stage: Stage) -> None:
    toll = kill_at_random(stage, 12, seed=20, recipients=1_500)
    assert (toll.duplicates, toll.lost, toll.hidden) == (0, 0, 0)
    assert is_bounded(toll, 12)


@pytest.mark.full
def test_two_hundred_kills_send_nothing_twice_and_lose_nobody(stage: Stage) -> None:
    toll = kill_at_random(stage, 200, seed=200)
    assert (toll.duplicates, toll.lost, toll.hidden) == (0, 0, 0)
    assert is_bounded(toll, 200)


def test_the_same_kills_find_duplicates_where_orphans_are_queued_again(stage: Stage) -> None:
    """The test of the test: a runner that guesses is caught."""
    toll = kill_at_random(stage, 6, seed=20, ledger_kind="requeue", recipients=1_000)
    print(toll)
    assert toll.duplicates > 0
    assert toll.lost == 0
