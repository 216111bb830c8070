"""Measure rows: within a family run by run, so that every pair lies close together in time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Sequence
from itertools import chain

from benchmarks.model import Bench, NotHere, Result, Row, Sample

Family = Sequence[Row]


def choose(families: Iterable[Family], only: Sequence[str]) -> list[Family]:
    """Keep the rows whose names begin with one of `only`; all of them where it is empty."""
    if not only:
        return list(families)
    kept = [[row for row in family if row.name.startswith(tuple(only))] for family in families]
    return [family for family in kept if family]


def measure(families: Iterable[Family], bench: Bench, runs: int) -> list[Result]:
    """Measure every row; only a fault of the harness raises."""
    return list(chain.from_iterable(_measure_family(family, bench, runs) for family in families))


def _measure_family(family: Family, bench: Bench, runs: int) -> list[Result]:
    wanted = {row.name: runs if bench.quick else max(runs, row.runs_at_least) for row in family}
    samples: dict[str, list[Sample]] = {row.name: [] for row in family}
    problems: dict[str, str] = {}
    for bench.run in range(max(wanted.values())):
        for row in family:
            if bench.run < wanted[row.name] and row.name not in problems:
                _measure_pair(row, bench, samples[row.name], problems)
    return [
        Result(row=row, samples=tuple(samples[row.name]), problem=problems.get(row.name, ""))
        for row in family
    ]


def _measure_pair(row: Row, bench: Bench, samples: list[Sample], problems: dict[str, str]) -> None:
    gc.collect()
    try:
        sample = row.measure(bench)
    except NotHere as problem:
        problems[row.name] = str(problem)
        return
    samples.append(sample)
    print(f"{row.name}, pair {bench.run + 1}: {sample.value:.3g}{row.unit}", file=sys.stderr, flush=True)
