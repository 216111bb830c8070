"""A full disk and a read-only ledger: nothing is sent without an intent that the disk has."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.crashes.stage import PLACES, Runner, Stage, Staged

pytestmark = pytest.mark.slow

SIZE = 5
#: `nobody`: permissions do not bind root, who runs the tests in a container.
NOBODY = 65_534


def check_refusal(runner: Runner) -> None:
    """See that it ended in a `LedgerError` of one sentence."""
    assert runner.wait() == 0
    assert runner.heard("error") == "LedgerError", runner.said
    text = runner.heard("text")
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


def resume(campaign: Staged, *, most_unknown: int) -> None:
    """There is space again: see that it is sent to the end, nothing twice."""
    campaign.finish()
    audit = campaign.audit()
    assert audit.wrong == 0
    assert audit.status.unknown <= most_unknown
    assert audit.status.accepted + audit.status.unknown == len(campaign.phones)


@pytest.mark.parametrize("size", [0, 1_000, 20_000, 32_767])
def test_a_disk_that_is_full_from_the_start_sends_nothing(stage: Stage, size: int) -> None:
    campaign = stage.campaign(300)
    runner = campaign.start(file_size=size)
    check_refusal(runner)
    assert set(campaign.received(campaign.phones)) == {0}
    resume(campaign, most_unknown=0)


def fill_the_disk(stage: Stage, times: int) -> None:
    """Fill the disk under way, at a random outcome and with a random rest of space."""
    draw = random.Random(times)
    for _ in range(times):
        campaign = stage.campaign(600)
        words = {"outcomes": draw.randint(1, 60), "room": draw.choice((0, 1, 4_096, draw.randint(0, 90_000)))}
        runner = campaign.start(ledger_kind="filling", **words)
        check_refusal(runner)
        # Whatever the gateway has was written down as an intent before.
        audit = campaign.audit()
        assert audit.wrong == 0
        assert audit.status.queued > 0
        # Those whose outcome could not be written, and those that were claimed in the same moment.
        assert audit.status.sending <= 2 * SIZE * PLACES
        resume(campaign, most_unknown=2 * SIZE * PLACES)


def test_a_disk_that_fills_under_way_stops_the_campaign_before_the_next_send(stage: Stage) -> None:
    fill_the_disk(stage, 3)


@pytest.mark.full
def test_fifty_disks_that_fill_under_way_stop_the_campaign_before_the_next_send(stage: Stage) -> None:
    fill_the_disk(stage, 50)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user of the machine can enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize("folder_mode", [0o755, 0o777])
def test_a_read_only_ledger_sends_nothing(stage: Stage, open_folder: Path, folder_mode: int) -> None:
    campaign = stage.campaign(300, folder=open_folder / "ledger")
    folder = campaign.path.parent
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(folder_mode & (0o777 if os.geteuid() == 0 else 0o555))
    runner = campaign.start(uid=NOBODY if os.geteuid() == 0 else None)
    check_refusal(runner)
    assert set(campaign.received(campaign.phones)) == {0}
    folder.chmod(0o700)
    for each in folder.iterdir():
        each.chmod(0o600)
    resume(campaign, most_unknown=0)
