"""What grows between 10,000 and 1,000,000 recipients of `stream_bulk(dedupe=False)`: nothing much."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.load import DEADLINE
from benchmarks.model import Bench, NotHere, Row, Sample

FEW = 10_000


def measure_memory(bench: Bench) -> Sample:
    """Take the growth of the peak, in MiB, a process each."""
    if sys.platform != "linux":
        raise NotHere("the peak is read from /proc, which this system lacks")
    few, many = _run("one_bulk", bench, FEW), _run("one_bulk", bench, _many(bench))
    growth = (many["peak_kib"] - few["peak_kib"]) / 1024
    return Sample(value=growth, note=f"{_sizes(bench)}, a process each, gateway 0 ms")


def measure_time(bench: Bench) -> Sample:
    """Compare the CPU time per recipient, the two turn by turn in one process."""
    cost = _run("flat_bulk", bench, _many(bench))
    return Sample(
        value=cost["many"] / cost["few"],
        ours=cost["many"],
        theirs=cost["few"],
        note=f"{_sizes(bench)}, turn by turn in one process, CPU time, gateway 0 ms",
    )


def _run(program: str, bench: Bench, count: int) -> dict[str, float]:
    bench.gateway.set_delay(0)
    command = [sys.executable, "-m", f"benchmarks.{program}", bench.gateway.url, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _many(bench: Bench) -> int:
    return bench.size(1_000_000, 20_000)


def _sizes(bench: Bench) -> str:
    return f"{FEW:,} and {_many(bench):,} recipients"


ROWS = (
    Row(
        name="memory",
        figure="growth of the peak memory of `stream_bulk(dedupe=False)`",
        against="itself, 10,000 to 1,000,000 recipients",
        goal=40,
        better="less",
        unit=" MiB",
        measure=measure_memory,
    ),
    Row(
        name="flat",
        figure="time per recipient of `stream_bulk(dedupe=False)`",
        against="itself, 10,000 to 1,000,000 recipients",
        goal=1.10,
        better="less",
        measure=measure_time,
    ),
)
