"""Put each mistake into a copy of the tree, and run the searches there: `python -m tests.mistakes`.

A search finds a mistake where it ends with an error in the copy; without one it has to pass, which is looked at
first. Exits 1 where a mistake is found by nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mistakes.catalog import MISTAKES, Mistake

ROOT = Path(__file__).parents[2]
#: What a copy needs of the tree.
PARTS = ("vavasms", "tests", "benchmarks", ".ci", "pyproject.toml", "README.md", "CHANGELOG.md")
#: Seconds that a search has for one mistake: one that hangs has found it.
LONGEST = 900.0


def plant(mistake: Mistake, tree: Path) -> None:
    """Change the files of a tree. Raises `ValueError` where a text does not stand there once."""
    for name, old, new in mistake.edits:
        file = tree / name
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{mistake.name}: {text.count(old)} times in {name}: {old!r}")
        file.write_text(text.replace(old, new), encoding="utf-8")


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="vavasms-mistake-") as folder:
        ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache", "*.pyc")
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, Path(folder, part), ignore=ignored)
            elif (ROOT / part).exists():
                shutil.copy(ROOT / part, folder)
        yield Path(folder)


def commands(mistake: Mistake | None, seeds: int) -> Mapping[str, Sequence[str]]:
    """Return the command of each search, behind the interpreter."""
    tests = mistake.tests if mistake else sorted({test for one in MISTAKES for test in one.tests})
    pytest = ("pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow and not full")
    return {
        "model": ("tests.model", "--quick", "--no-postgres"),
        "simulation": ("tests.simulation", "--first", "1", "--seeds", str(seeds)),
        "tests": (*pytest, *tests),
    }


def search(tree: Path, command: Sequence[str]) -> tuple[bool, str]:
    """Return whether a search passes in a tree, and what it says at the end: what it found, or its last line."""
    began = time.monotonic()
    try:
        finished = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no end after {LONGEST:.0f} s"
    said = (finished.stdout + finished.stderr).strip().splitlines() or [""]
    word = next((line for line in said if line.startswith("VIOLATION")), said[-1])
    return finished.returncode == 0, f"{word[:160]} ({time.monotonic() - began:.0f} s)"


def run(
    mistakes: Sequence[Mistake | None], names: Sequence[str], seeds: int, found: dict[str, dict[str, str]]
) -> Iterator[str]:
    """Note by mistake which searches found it, and what they said; by an empty name those that fail without.

    Yields the name of each mistake when it was looked for.
    """
    for mistake in mistakes:
        name = mistake.name if mistake else ""
        found.setdefault(name, {})
        with copied() as tree:
            if mistake:
                plant(mistake, tree)
            for one in names:
                passes, said = search(tree, commands(mistake, seeds)[one])
                found[name].pop(one, None)
                if not passes:
                    found[name][one] = said
        print(f"{name or 'no mistake'}: {', '.join(found[name]) or 'nothing found'}", flush=True)
        yield name


def main() -> int:
    """Return 1 where a mistake is found by nothing, or a search finds something where there is none."""
    parser = argparse.ArgumentParser(prog="python -m tests.mistakes", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="mistakes whose names hold this; all by default"
    )
    parser.add_argument(
        "--search", action="append", choices=list(commands(None, 1)), help="only this; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=1000, help="of the simulation, for each mistake")
    parser.add_argument("--json", type=Path, help="add what was found to this file, after each mistake")
    given = parser.parse_args()
    chosen = [one for one in MISTAKES if not given.names or any(name in one.name for name in given.names)]
    found: dict[str, dict[str, str]] = {}
    if given.json and given.json.exists():
        found = json.loads(given.json.read_text(encoding="utf-8"))
    for _name in run([None, *chosen], given.search or list(commands(None, 1)), given.seeds, found):
        if given.json:
            given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    missed = [one.name for one in chosen if not found[one.name]]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} found; by nothing: {', '.join(missed) or 'none'}")
    return int(bool(missed or found[""]))


if __name__ == "__main__":
    sys.exit(main())
