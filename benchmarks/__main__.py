"""`python -m benchmarks`: measure, print the table, keep the results."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from benchmarks import gateway, plots, report
from benchmarks.harness import choose, measure
from benchmarks.machine import describe_machine
from benchmarks.model import Bench
from benchmarks.rows import FAMILIES

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure the rows asked for. Fails where the harness breaks, never on a figure."""
    options = _parse()
    families = choose(FAMILIES, options.only)
    if not families:
        names = " ".join(row.name for family in FAMILIES for row in family)
        raise SystemExit(f"No row has such a name. There are: {names}")
    machine = describe_machine()
    with gateway.start() as running, _profiled(options.profile):
        bench = Bench(gateway=running, quick=options.quick)
        results = measure(families, bench, options.runs or (1 if options.quick else 5))
    collected = report.collect(results, quick=options.quick, machine=machine)
    _keep(collected, whole=not (options.quick or options.only))
    print(report.write_table(collected))


def _keep(collected: dict[str, object], *, whole: bool) -> None:
    # Only a whole full run replaces what the README shows; the others write all the same, to try it.
    with TemporaryDirectory() as scratch:
        folder = RESULTS if whole else Path(scratch)
        report.save(collected, folder)
        plots.draw_all(collected, folder)


@contextmanager
def _profiled(file: Path | None) -> Iterator[None]:
    """Write a flame graph of what runs meanwhile to `file`, where there is one."""
    if file is None:
        yield
        return
    from pyinstrument import Profiler

    # Of all tasks, and not of the one that began it alone.
    with Profiler(async_mode="disabled") as profiler:
        yield
    profiler.write_html(file)
    print(f"The flame graph: {file}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every row in a tiny form, nothing kept")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="rows that begin so")
    parser.add_argument("--runs", type=int, metavar="N", help="pairs a row (5; quick: 1)")
    parser.add_argument(
        "--profile",
        type=Path,
        nargs="?",
        const=Path(gettempdir(), "vavasms-profile.html"),
        metavar="FILE",
        help="write a flame graph of this process (what a row measures in others is not in it)",
    )
    options = parser.parse_args()
    if options.runs is not None and options.runs < 1:
        parser.error("--runs is 1 or more")
    return options


if __name__ == "__main__":
    main()
