"""The same tests are collected by every worker of a run: pytest-xdist refuses to start where they differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# What a name may be made of by mistake: the time (a gzip header keeps it) and the order of a set.
COLLECT = """
import sys, time
now, shift = time.time, float(sys.argv[1])
time.time = lambda: now() + shift
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "-m", "", "tests"]))
"""


@pytest.mark.full
def test_no_tests_name_depends_on_the_time_or_on_the_order_of_a_set() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COLLECT, shift],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for shift, seed in (("0", "1"), ("86401", "2"))
    ]
    here, elsewhere = (
        [line for line in process.communicate()[0].splitlines() if "::" in line] for process in processes
    )
    assert len(here) > 10_000
    assert here == elsewhere
