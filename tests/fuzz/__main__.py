"""`python -m tests.fuzz TARGET [--minutes 10]`: look for inputs that break a law, and say what was done.

It ends at the first input that breaks the law, with 1; `--input FILE` tries that input again.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from random import SystemRandom

from attrs import asdict

from tests.fuzz.engines import DOCUMENT, Figures, fuzz, has_atheris
from tests.fuzz.target import TARGETS, load_target

NAMES = (*TARGETS, DOCUMENT)


def main() -> int:
    """Run the targets that were asked for, one after the other; return the exit code."""
    options = _read_options()
    if options.input is not None and options.target in TARGETS:
        load_target(options.target).check(options.input.read_bytes())
        print(f"{options.target}: the law is kept")
        return 0
    failed = False
    for name in NAMES if options.target == "all" else (options.target,):
        engine = options.engine or ("atheris" if has_atheris() else "hypothesis")
        seconds = max(round(options.minutes * 60), 1)
        figures = fuzz(name, engine=engine, seconds=seconds, seed=options.seed, folder=options.folder)
        _show(figures)
        if options.json is not None:
            _keep(options.json, figures)
        failed = failed or figures.crashes > 0
    return int(failed)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*NAMES, "all"], metavar="TARGET", help=", ".join([*NAMES, "all"]))
    parser.add_argument("--minutes", type=float, default=10.0, help="how long for each target (10)")
    parser.add_argument("--engine", choices=["atheris", "hypothesis"], help="atheris where it is installed")
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(1, 2**31), help="the same inputs again"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the inputs that go far are kept, and are begun with"
    )
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--input", type=Path, help="try this input, and nothing else")
    return parser.parse_args()


def _show(figures: Figures) -> None:
    if figures.report:
        print(figures.report)
    edges = "" if figures.edges is None else f", {figures.edges} branches"
    broken = "the law is kept" if not figures.crashes else f"BROKEN by {figures.crash or 'the above'}"
    print(
        f"{figures.target}: {figures.executions} inputs in {figures.seconds} s{edges} "
        f"({figures.engine}, --seed {figures.seed}): {broken}",
        flush=True,
    )


def _keep(file: Path, figures: Figures) -> None:
    """Put the figures into a file in the place of those of an earlier run of the target."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known[figures.target] = asdict(figures) | {"python": platform.python_version()}
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
