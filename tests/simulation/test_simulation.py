"""The simulation itself: it replays to the letter, finds what is planted, and shows the fewest faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.simulation.shrink import shrink

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

#: What a process that died was sending with a key counts as not sent.
MISTAKE = """
from tests.simulation import hooks
hooks.install()
from vavasms.ledger.sqlite.sends import SQL
SQL["orphan_send"] = SQL["orphan_send"].replace("'unknown'", "'cancelled'")
from tests.simulation.command import main
raise SystemExit(main(["--first", "0", "--seeds", "200"]))
"""


def run(*arguments: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own: the simulation replaces the clock for good."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )


def simulate(*arguments: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return run("-m", "tests.simulation", *arguments, hash_seed=hash_seed)


def test_fifty_seeds_break_no_promise_and_are_the_same_each_time(tmp_path: Path) -> None:
    figures = []
    for hash_seed in (1, 2):
        path = tmp_path / f"{hash_seed}.json"
        done = simulate("--first", "0", "--seeds", "50", "--json", str(path), hash_seed=hash_seed)
        assert done.returncode == 0, done.stdout + done.stderr
        figures.append(json.loads(path.read_text("utf-8")))
    first, second = figures
    assert (first["seeds"], first["violations"]) == (50, [])
    assert first["digest"] == second["digest"]
    assert first["crashes"] > 0
    assert {"accepted", "rejected", "not_sent", "unknown"} <= first["outcomes"].keys()


def test_a_seed_alone_replays_to_the_letter_what_it_was_among_others() -> None:
    traces = [simulate("--seed", "13", "--trace", hash_seed=hash_seed) for hash_seed in (1, 2)]
    assert traces[0].stdout == traces[1].stdout
    assert len(traces[0].stdout.splitlines()) > 10
    among_others = run("-c", AMONG_OTHERS)
    assert among_others.stdout.strip() in traces[0].stdout


AMONG_OTHERS = """
from tests.simulation import hooks
hooks.install()
from tests.simulation.simulation import draw_case, run_case
for seed in (11, 12, 13):
    verdict = run_case(draw_case(seed))
print("digest", verdict.digest)
"""


def test_a_planted_mistake_is_found_and_shown_with_its_fewest_faults() -> None:
    done = run("-c", MISTAKE)
    assert done.returncode == 1, done.stdout + done.stderr
    _head, found = done.stdout.split("and these faults:")
    assert "breaks a promise" in done.stdout
    faults = found.split("\n\n")[0].split("\n")[1:]
    # None of these can be left out: the one may have to come at the moment that the other makes.
    assert len(faults) <= 2
    # What leaves a claim that nobody settles: a death, or a disk to which no answer can be written.
    assert any("crash" in fault or "disk" in fault for fault in faults)


@pytest.mark.parametrize(("needed", "of"), [((3,), 9), ((0, 8), 9), ((2, 3, 5), 8), ((), 4), ((0,), 1)])
def test_what_is_not_needed_to_fail_is_left_out(needed: Sequence[int], of: int) -> None:
    assert list(shrink(range(of), lambda items: {*needed} <= {*items})) == list(needed)
