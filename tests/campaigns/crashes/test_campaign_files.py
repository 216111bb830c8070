"""A ledger is a file that has others beside it: other names of it, copies, and what is left without its log."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from tests.campaigns.crashes.stage import Runner, RunnerServer, Stage, Staged, wait_until
from vavasms.ledger.sqlite.ledger import SqliteLedger

ROUNDS = [
    pytest.param(1),
    pytest.param(20, marks=pytest.mark.full),
]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("rounds", ROUNDS)]


def at(campaign: Staged, path: Path) -> Staged:
    """Name another path for a campaign's ledger."""
    return evolve(campaign, path=path)


def sent(campaign: Staged) -> int:
    return sum(campaign.received(campaign.phones))


def begin(stage: Stage) -> tuple[Staged, Runner]:
    """Start a campaign, and wait until something of it was sent."""
    campaign = stage.campaign(300)
    runner = campaign.start()
    wait_until(lambda: sent(campaign) > 20)
    return campaign, runner


def crash(stage: Stage) -> Staged:
    """Kill a campaign's runner in the middle, and wait until the gateway has done with what it got."""
    campaign, runner = begin(stage)
    assert runner.kill()
    stage.wait_for_quiet()
    return campaign


def refuse(campaign: Staged, error: str, words: str) -> None:
    """Run a runner that is refused before it sends anything."""
    runner = campaign.start()
    assert runner.wait() == 0
    assert runner.heard("error") == error, runner.said
    assert words in runner.heard("text")
    assert runner.heard("calls") == 0


def assert_once(campaign: Staged) -> None:
    """Check that nobody has the message twice."""
    campaign.stage.wait_for_quiet()
    assert max(campaign.received(campaign.phones)) == 1


def recover(campaign: Staged) -> None:
    """Recover a ledger; then run it, which sends nothing."""
    before = sent(campaign)
    assert anyio.run(SqliteLedger.recover, campaign.path) > 0
    assert anyio.run(SqliteLedger.examine, campaign.path) is None
    runner = campaign.start()
    assert runner.wait() == 0
    assert runner.heard("error") is None, runner.said
    assert sent(campaign) == before
    status = campaign.status()
    assert (status.queued, status.sending) == (0, 0)
    assert status.accepted + status.unknown == 300


def test_a_second_name_of_a_file_is_refused_beside_a_runner_and_alone(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign, runner = begin(stage)
        other = campaign.path.parent / "other" / "name.db"
        other.parent.mkdir()
        os.link(campaign.path, other)
        refuse(at(campaign, other), "LedgerError", "more than one name")
        assert runner.kill()
        for path in (other, campaign.path):
            refuse(at(campaign, path), "LedgerError", "more than one name")
        assert not other.with_name("name.db-wal").exists()
        other.unlink()
        campaign.finish()
        assert_once(campaign)


def _symbolic(path: Path) -> Path:
    link = path.parent / "link.db"
    link.symlink_to(path)
    return link


def _symbolic_folder(path: Path) -> Path:
    link = path.parent.parent / f"link{path.parent.name}"
    link.symlink_to(path.parent)
    return link / path.name


NAMES: dict[str, Callable[[Path], Path]] = {
    "symbolic": _symbolic,
    "symbolic folder": _symbolic_folder,
    "relative": lambda path: Path(os.path.relpath(path)),
    "of the process": lambda path: Path(f"/proc/self/root{path}"),
    "roundabout": lambda path: path.parent / ".." / path.parent.name / path.name,
}


def copy_under_way(campaign: Staged, runner: Runner) -> Path:
    """Copy the ledger's folder while its runner is held up; return where it went."""
    folder = campaign.path.parent
    copy = folder.with_name(f"copy{folder.name}")
    os.kill(runner.pid, signal.SIGSTOP)
    shutil.copytree(folder, copy)
    os.kill(runner.pid, signal.SIGCONT)
    return copy


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_a_file_meets_one_lock(stage: Stage, rounds: int, name: str) -> None:
    for _ in range(rounds):
        campaign, runner = begin(stage)
        os.kill(runner.pid, signal.SIGSTOP)
        other = at(campaign, NAMES[name](campaign.path))
        refuse(other, "LedgerBusyError", "Another runner")
        assert runner.kill()
        # By this name, too, the log is where it was.
        other.finish()
        assert_once(campaign)
        assert other.audit().wrong == 0


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Callable[[Path], tuple[RunnerServer, Path]]]:
    """Make containers into which one file alone is mounted."""
    if os.name != "posix" or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    servers: list[RunnerServer] = []

    def make(path: Path) -> tuple[RunnerServer, Path]:
        inside = tmp_path / f"{len(servers)}" / "ledger.db"
        inside.parent.mkdir()
        inside.touch()
        mount = 'mount --bind "$0" "$1" && shift && exec "$@"'
        servers.append(RunnerServer("unshare", "-m", "sh", "-c", mount, str(path), str(inside)))
        return servers[-1], inside

    yield make
    for server in servers:
        server.__exit__()


Container = Callable[[Path], tuple[RunnerServer, Path]]


def inside(stage: Stage, campaign: Staged, server: RunnerServer, path: Path) -> Staged:
    """See a campaign's ledger as a container has it."""
    return evolve(campaign, path=path, stage=Stage(stage.gateway, server, path.parent))


def test_two_containers_with_the_file_alone_do_not_both_run(
    stage: Stage, container: Container, rounds: int
) -> None:
    for _ in range(rounds):
        campaign = stage.campaign(300)
        first = inside(stage, campaign, *container(campaign.path))
        second = inside(stage, campaign, *container(campaign.path))
        runner = first.start()
        wait_until(lambda campaign=campaign: sent(campaign) > 20)  # type: ignore[misc]
        os.kill(runner.pid, signal.SIGSTOP)
        for other in (second, campaign):
            refuse(other, "LedgerError", "not in the log beside it")
        os.kill(runner.pid, signal.SIGCONT)
        assert runner.wait() == 0
        # It ended well: the file is whole.
        assert second.start().wait() == 0
        assert_once(campaign)
        assert campaign.audit().wrong == 0


def test_a_container_that_was_replaced_without_its_log_sends_nothing(
    stage: Stage, container: Container, rounds: int
) -> None:
    for _ in range(rounds):
        campaign = stage.campaign(300)
        runner = inside(stage, campaign, *container(campaign.path)).start()
        wait_until(lambda campaign=campaign: sent(campaign) > 20)  # type: ignore[misc]
        assert runner.kill()
        stage.wait_for_quiet()
        replaced = inside(stage, campaign, *container(campaign.path))
        refuse(replaced, "LedgerError", "not in the log beside it")
        recover(campaign)
        assert_once(campaign)


def test_a_file_that_was_moved_without_its_log_is_refused(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign = crash(stage)
        moved = at(campaign, campaign.path.parent / "moved" / "ledger.db")
        moved.path.parent.mkdir()
        campaign.path.rename(moved.path)
        refuse(moved, "LedgerError", "not in the log beside it")
        # An empty one is none.
        Path(f"{moved.path}-wal").touch()
        refuse(moved, "LedgerError", "not in the log beside it")
        recover(moved)
        assert_once(campaign)


def test_a_file_with_the_log_of_another_is_refused(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign, other = crash(stage), crash(stage)
        log = Path(f"{campaign.path}-wal")
        foreign = Path(f"{other.path}-wal").read_bytes()
        log.write_bytes(foreign)
        Path(f"{campaign.path}-shm").unlink()
        refuse(campaign, "LedgerError", "the log of another file")
        assert log.read_bytes() == foreign
        recover(campaign)
        assert Path(f"{log}.other").read_bytes() == foreign
        assert_once(campaign)


def test_a_folder_that_was_moved_after_a_crash_goes_on(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign = crash(stage)
        folder = campaign.path.parent.with_name(f"moved{campaign.path.parent.name}")
        campaign.path.parent.rename(folder)
        moved = at(campaign, folder / campaign.path.name)
        moved.finish()
        assert_once(campaign)
        assert moved.audit().wrong == 0


def test_a_look_after_a_crash_leaves_a_file_that_is_whole(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign = crash(stage)
        assert campaign.status().queued > 0
        assert not Path(f"{campaign.path}-wal").exists()
        alone = at(campaign, campaign.path.parent / "alone" / "ledger.db")
        alone.path.parent.mkdir()
        campaign.path.rename(alone.path)
        alone.finish()
        assert_once(campaign)
        assert alone.audit().wrong == 0


def test_a_copy_taken_while_it_ran_is_refused(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign, runner = begin(stage)
        copy = copy_under_way(campaign, runner)
        copied = at(campaign, copy / campaign.path.name)
        refuse(copied, "LedgerError", "a copy that was taken while")
        assert runner.wait() == 0
        refuse(copied, "LedgerError", "a copy that was taken while")
        recover(copied)
        assert_once(campaign)
        assert campaign.audit().wrong == 0


def test_an_older_copy_that_is_put_back_is_refused(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign = stage.campaign(300)
        backup = campaign.path.with_name("backup.db")
        shutil.copy(campaign.path, backup)
        campaign.finish()
        shutil.copy(backup, campaign.path)
        refuse(campaign, "LedgerError", "is older than the one that was used last here")
        recover(campaign)
        assert_once(campaign)


def test_a_copy_with_its_log_that_is_put_back_into_the_same_file_is_refused(
    stage: Stage, rounds: int
) -> None:
    for _ in range(rounds):
        campaign, runner = begin(stage)
        kept = copy_under_way(campaign, runner)
        assert runner.wait() == 0
        before = campaign.path.stat().st_ino
        for name in (campaign.path.name, f"{campaign.path.name}-wal"):
            # Written over: it is the file that was used, by its number as well.
            shutil.copy(kept / name, campaign.path.with_name(name))
        assert campaign.path.stat().st_ino == before
        refuse(campaign, "LedgerError", "is older than the one that was used last here")
        # A look at it changes nothing of that.
        assert campaign.status().queued > 0
        refuse(campaign, "LedgerError", "is older than the one that was used last here")
        recover(campaign)
        assert_once(campaign)


def test_a_copy_that_has_the_number_of_what_it_replaces_is_refused(stage: Stage, rounds: int) -> None:
    for _ in range(rounds):
        campaign, runner = begin(stage)
        folder, before = campaign.path.parent, campaign.path.stat().st_ino
        kept = copy_under_way(campaign, runner)
        assert runner.wait() == 0
        shutil.rmtree(folder)
        folder.mkdir()
        # What is deleted leaves its number to a new file.
        for index in range(100):
            shutil.copy(kept / campaign.path.name, campaign.path)
            if campaign.path.stat().st_ino == before:
                break
            campaign.path.rename(folder.with_name(f"{folder.name}-{index}"))
        else:
            pytest.skip("this file system gives no number twice")
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        refuse(campaign, "LedgerError", "a copy that was taken while")
        recover(campaign)
        assert_once(campaign)
