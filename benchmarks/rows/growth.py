"""What grows between 10,000 and 1,000,000 recipients of `stream_bulk(dedupe=False)`: nothing much."""

from __future__ import annotations

import json
import subprocess
import sys

from attrs import frozen

from benchmarks.load import DEADLINE
from benchmarks.model import Bench, NotHere, Row, Sample

FEW = 10_000


@frozen(kw_only=True)
class Bulk:
    """What one process needed for its bulk send."""

    peak_kib: int
    seconds: float


def measure_memory(bench: Bench) -> Sample:
    """Take the growth of the peak, in MiB."""
    few, many = _both(bench)
    return Sample(value=(many.peak_kib - few.peak_kib) / 1024, note=_note(bench))


def measure_time(bench: Bench) -> Sample:
    """Compare the time per recipient."""
    few, many = _both(bench)
    return Sample(value=many.seconds / few.seconds, ours=many.seconds, theirs=few.seconds, note=_note(bench))


def _both(bench: Bench) -> tuple[Bulk, Bulk]:
    if sys.platform != "linux":
        raise NotHere("the peak is read from /proc, which this system lacks")
    bench.gateway.set_delay(0)
    return bench.once_a_run("growth", lambda: _measure(bench))


def _measure(bench: Bench) -> tuple[Bulk, Bulk]:
    # The few before and after the many: a machine that slows down meanwhile slows both sides.
    before = _run(bench, FEW, bench.size(15, 1))
    many = _run(bench, _many(bench))
    after = _run(bench, FEW, bench.size(15, 1))
    seconds = (before.seconds + after.seconds) / 2
    return Bulk(peak_kib=min(before.peak_kib, after.peak_kib), seconds=seconds), many


def _run(bench: Bench, count: int, times: int = 1) -> Bulk:
    command = [sys.executable, "-m", "benchmarks.one_bulk", bench.gateway.url, str(count), str(times)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True)
    return Bulk(**json.loads(done.stdout))


def _many(bench: Bench) -> int:
    return bench.size(1_000_000, 20_000)


def _note(bench: Bench) -> str:
    return f"{FEW:,} and {_many(bench):,} recipients, a process each, gateway 0 ms"


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
