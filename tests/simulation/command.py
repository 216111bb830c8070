"""The command line of the simulation."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from attrs import evolve

from tests.simulation.faults import Fault
from tests.simulation.figures import Figures
from tests.simulation.shrink import shrink
from tests.simulation.simulation import Case, Verdict, collect, draw_case, run_case

#: First seeds are drawn below this.
_SEEDS = 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 1 where a promise was broken."""
    options = _parse(arguments)
    # What a worker logs as it goes on after a fault is what is wanted here.
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    # When something is collected decides nothing.
    gc.disable()
    try:
        return _run_what_is_asked_for(options)
    finally:
        collect()


def _run_what_is_asked_for(options: argparse.Namespace) -> int:
    if options.seed is not None:
        return _run_one(options.seed, traced=options.trace)
    first = SystemRandom().randrange(_SEEDS) if options.first is None else options.first
    print(f"{options.seeds} seeds from --first {first}", flush=True)
    figures = _run_in_processes(options, first) if options.jobs > 1 else _run(options, first)
    print(figures)
    if options.json is not None:
        figures.save(options.json)
    return int(bool(figures.violations))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--first", type=int, metavar="N", help="the first seed; without it, one is drawn")
    parser.add_argument("--seed", type=int, metavar="N", help="this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: show what happened")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to run them in (1)")
    parser.add_argument("--all", action="store_true", help="go on after a seed that broke a promise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser.parse_args(arguments)


def _run_one(seed: int, *, traced: bool) -> int:
    verdict = run_case(draw_case(seed), keeps_lines=traced)
    for line in verdict.lines:
        print(line)
    print(f"digest {verdict.digest}, {verdict.steps} callbacks, {verdict.seconds:.3f} s")
    if verdict.problems:
        _show(verdict)
    return int(bool(verdict.problems))


def _run(options: argparse.Namespace, first: int) -> Figures:
    figures, began = Figures(first=first), time.perf_counter()
    for seed in range(first, first + options.seeds):
        verdict = run_case(draw_case(seed))
        figures.add(verdict)
        if verdict.problems:
            _show(run_case(evolve(verdict.case, plan=shrink_case(verdict.case))))
            if not options.all:
                break
    figures.seconds = time.perf_counter() - began
    return figures


def shrink_case(case: Case) -> tuple[Fault, ...]:
    """Return the fewest faults of a case that break a promise."""
    return tuple(shrink(case.plan, lambda plan: bool(run_case(evolve(case, plan=tuple(plan))).problems)))


def _show(verdict: Verdict) -> None:
    case = verdict.case
    print(f"\nThe seed {case.seed} breaks a promise (python -m tests.simulation --seed {case.seed} --trace):")
    for problem in verdict.problems:
        print(f"  {problem}")
    print(f"with {', '.join(role.value for role in case.scenario.roles)}, and these faults:")
    for fault in case.plan:
        print(f"  {fault}")
    print(flush=True)


def _run_in_processes(options: argparse.Namespace, first: int) -> Figures:
    """Run a part of the seeds in each of several processes."""
    began = time.perf_counter()
    share, more = divmod(options.seeds, options.jobs)
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for job in range(options.jobs):
            path, seeds = Path(folder) / f"{job}.json", share + (job < more)
            command = [sys.executable, "-m", "tests.simulation", "--first", str(first), "--seeds", str(seeds)]
            command += ["--json", str(path), *(["--all"] if options.all else [])]
            parts.append((subprocess.Popen(command), path))
            first += seeds
        for process, _path in parts:
            process.wait()
        figures = [json.loads(path.read_text("utf-8")) for _process, path in parts if path.exists()]
    if len(figures) < len(parts):
        raise SystemExit("a process of the simulation failed")
    return Figures.merge(figures[0]["first"], figures, time.perf_counter() - began)
