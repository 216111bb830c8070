"""The two engines: libFuzzer, guided by the branches taken (atheris), and Hypothesis where there is no atheris."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.fuzz.target import Target, load_target

#: The target that has requests for inputs.
DOCUMENT = "openapi"
#: Seconds after which one input counts as a hang, and MiB from which it counts as too much memory.
HANG, MEMORY = 20, 2048
_STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
#: What libFuzzer calls an input that was answered by an exception, rather than by the end of the process.
_RAISED = "fuzz target exited"
_ARTIFACT = re.compile(r"Test unit written to (\S+)")


@frozen(kw_only=True)
class Figures:
    """What a run did."""

    target: str
    engine: str
    seed: int
    seconds: float
    executions: int
    #: Inputs that broke the law: the first ends the run.
    crashes: int
    #: Branches taken; None where the engine does not know.
    edges: int | None = None
    #: The slowest input, in whole seconds; None where the engine does not know.
    slowest: int | None = None
    #: The file of the input that broke the law.
    crash: str | None = None
    #: How it broke.
    report: str = ""


def has_atheris() -> bool:
    """Return whether the engine that is guided by branches is there."""
    return find_spec("atheris") is not None


def fuzz_guided(name: str, *, seconds: int, seed: int, folder: Path) -> Figures:
    """Fuzz with libFuzzer, on inputs that are kept in `folder` and begin with the target's own."""
    target = load_target(name)
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    words = folder / f"{name}.dict"
    words.write_text("".join(f'"{_escape(token)}"\n' for token in target.tokens))
    began = monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "tests.fuzz.guided", name, str(corpus)),
            *(f"-dict={words}", f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={target.longest}"),
            *(f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={folder}/"),
            *("-print_final_stats=1", "-verbosity=1"),
        ],
        # Sets of texts come in the same order each time, as far as the seed goes.
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    figures = _read(name, seed, monotonic() - began, done.returncode, done.stdout.decode("utf-8", "replace"))
    if figures.crash is not None and _RAISED in figures.report:
        crash = Path(figures.crash)
        crash.write_bytes(shrink(target.check, crash.read_bytes()))
    return figures


def shrink(check: Callable[[bytes], None], data: bytes) -> bytes:
    """Return a part of an input that still breaks the law, of which no byte can be spared."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            at, data = (at, shorter) if _breaks(check, shorter) else (at + size, data)
        size //= 2
    return data


def _breaks(check: Callable[[bytes], None], data: bytes) -> bool:
    try:
        check(data)
    except Exception:
        return True
    return False


def _escape(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _read(name: str, seed: int, seconds: float, code: int, output: str) -> Figures:
    statistics = {match[1]: int(match[2]) for match in _STATISTIC.finditer(output)}
    status = _STATUS.findall(output)
    artifact = _ARTIFACT.search(output)
    return Figures(
        target=name,
        engine="atheris",
        seed=seed,
        seconds=round(seconds, 1),
        executions=statistics.get("number_of_executed_units", 0),
        crashes=int(code != 0),
        edges=int(status[-1][0]) if status else None,
        slowest=statistics.get("slowest_unit_time_sec"),
        crash=artifact[1] if artifact else None,
        report="\n".join(output.splitlines()[-40:]) if code else "",
    )


def fuzz_unguided(name: str, *, seconds: int, seed: int, folder: Path) -> Figures:
    """Fuzz with Hypothesis, which shrinks what it finds and is guided by nothing."""
    target = load_target(name)
    began, rounds, executions = monotonic(), 0, 0
    failing: list[bytes] = []

    def check(data: bytes) -> None:
        nonlocal executions
        executions += 1
        failing[:] = [data]
        target.check(data)

    report = ""
    while not report and monotonic() - began < seconds:
        try:
            hold(target, check, examples=100, seed=seed + rounds)
        except Exception as error:
            report = repr(error)
        rounds += 1
    crash = folder / f"crash-{name}"
    if report:
        folder.mkdir(parents=True, exist_ok=True)
        crash.write_bytes(failing[0])
    return Figures(
        target=name,
        engine="hypothesis",
        seed=seed,
        seconds=round(monotonic() - began, 1),
        executions=executions,
        crashes=int(bool(report)),
        crash=str(crash) if report else None,
        report=report,
    )


def hold(target: Target, check: Callable[[bytes], None], *, examples: int, seed: int) -> None:
    """Check so many inputs, the same ones for a seed. Raises what the smallest failing one raises."""

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(_inputs(target))
    def hold_each(data: bytes) -> None:
        check(data)

    hold_each()


@st.composite
def _inputs(draw: st.DrawFn, target: Target) -> bytes:
    """Return a seed with pieces of it replaced by words, by bytes, by pieces of other seeds; or bytes alone."""
    data = bytearray(draw(st.sampled_from((b"", *target.seeds))))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        width = draw(st.sampled_from((0, 1, 2, 8, 64, len(data))))
        data[at : at + width] = draw(_pieces(target))
    return bytes(data[: target.longest])


@st.composite
def _pieces(draw: st.DrawFn, target: Target) -> bytes:
    match draw(st.integers(0, 3)):
        case 0:
            other = draw(st.sampled_from(target.seeds))
            start = draw(st.integers(0, len(other)))
            return other[start : start + draw(st.sampled_from((1, 8, 64)))]
        case 1:
            return draw(st.binary(max_size=6))
        case 2:
            return draw(st.sampled_from(target.tokens)) * draw(st.sampled_from((1, 1, 1, 2, 40)))
        case _:
            return draw(st.sampled_from(target.tokens))


def fuzz_document(*, seconds: int, seed: int) -> Figures:
    """Hold the sandbox against its OpenAPI document with Schemathesis, which shows the request that fails."""
    # Here, for it takes a second to import.
    from tests.fuzz.openapi import search

    began = monotonic()
    executions, report = search(seconds=seconds, seed=seed)
    return Figures(
        target=DOCUMENT,
        engine="schemathesis",
        seed=seed,
        seconds=round(monotonic() - began, 1),
        executions=executions,
        crashes=int(bool(report)),
        report=report,
    )


def fuzz(name: str, *, engine: str, seconds: int, seed: int, folder: Path | None = None) -> Figures:
    """Fuzz a target; without a folder a new one in the temporary folder keeps what was made."""
    if name == DOCUMENT:
        return fuzz_document(seconds=seconds, seed=seed)
    run = fuzz_guided if engine == "atheris" else fuzz_unguided
    if folder is not None:
        return run(name, seconds=seconds, seed=seed, folder=folder)
    made = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    return run(name, seconds=seconds, seed=seed, folder=Path(made))
