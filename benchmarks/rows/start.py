"""How long a program waits before its first line: imports and the command line, a fresh process each."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.model import Bench, Row, Sample

LIBRARIES = "import httpx, attrs, cattrs, anyio"
_CLOCK = "import time; _t = time.perf_counter()\n{}\nprint(time.perf_counter() - _t)"


def measure_import(statement: str, bench: Bench) -> Sample:
    """Compare an import with that of the libraries it stands on, the interpreter's own start left out."""
    bench.once(statement, lambda: (_time_import(statement), _time_import(LIBRARIES)))
    mine, other = _time_import(statement), _time_import(LIBRARIES)
    return Sample(value=mine / other, ours=mine, theirs=other, note="a fresh process each")


def measure_help(bench: Bench) -> Sample:
    """Compare the whole of `vavasms --help` with a process that only imports its libraries."""
    bench.once("help", _time_help)
    mine = _time_help()
    other = _time_process(sys.executable, "-c", "import cyclopts, rich")
    return Sample(value=mine / other, ours=mine, theirs=other, note="whole processes")


def _time_import(statement: str) -> float:
    return float(_run(sys.executable, "-c", _CLOCK.format(statement)))


def _time_help() -> float:
    return _time_process(sys.executable, "-m", "vavasms", "--help")


def _time_process(*command: str) -> float:
    started = time.perf_counter()
    _run(*command)
    return time.perf_counter() - started


def _run(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


ROWS = (
    Row(
        name="import",
        figure="`import vavasms`",
        against=f"`{LIBRARIES}`",
        goal=1.15,
        better="less",
        measure=partial(measure_import, "import vavasms"),
        runs_at_least=15,
    ),
    Row(
        name="import-client",
        figure="`from vavasms import AsyncVavaSMS`",
        against=f"`{LIBRARIES}`",
        goal=1.15,
        better="less",
        measure=partial(measure_import, "from vavasms import AsyncVavaSMS"),
        runs_at_least=15,
    ),
    Row(
        name="help",
        figure="`vavasms --help`",
        against='`python -c "import cyclopts, rich"`',
        goal=2.0,
        better="less",
        measure=measure_help,
        runs_at_least=15,
    ),
)
