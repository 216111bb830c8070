"""Interrupt a process at random instants, and hold what it says against the gateway's journal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

KINDS = (
    "send",
    "bulk list",
    "bulk generator",
    "stream list",
    "stream generator",
    "entering and leaving",
    "campaign",
)
VICTIM = Path(__file__).with_name("victim.py")
#: Seconds of one round at most; a second of it may be a wait in pieces.
SLOW = 15.0

#: What Python says of an exception that a finalizer or a callback of the collector raises, and drops. A line of
#: the traceback is indented or, where a frame's source is cut, empty.
_SWALLOWED = re.compile(
    r"^Exception ignored [^\n]*\n(?:Traceback[^\n]*\n(?: [^\n]*\n|\n)*)?"
    r"(?:KeyboardInterrupt|JobTimeoutError|AsyncExitError)[^\n]*\n",
    re.MULTILINE,
)


@define
class Figures:
    """What a run of interrupts came to."""

    rounds: int = 0
    interrupted: int = 0
    twice: int = 0
    slowest: float = 0.0
    by_kind: Counter[str] = field(factory=Counter)
    by_outcome: Counter[str] = field(factory=Counter)
    #: Interrupts that Python itself dropped, in a finalizer: the work went on, and its account is checked.
    swallowed: int = 0
    problems: list[str] = field(factory=list)


def run_victim(sandbox: SandboxServer, folder: Path, **orders: Any) -> Figures:
    """Run one process of so many rounds and check each of them."""
    gateway = sandbox.gateway
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.005): 0.7})
    usual = {
        "username": gateway.username,
        "password": gateway.password,
        "url": sandbox.url,
        "folder": str(folder),
        "recipients": 60,
        "first": 2250700200000,
        "length": 0.08,
        "twice": 0.25,
        "kinds": KINDS,
    }
    command = [orders.pop("python", sys.executable), "-W", "error", str(VICTIM)]
    process = subprocess.run(
        [*command, json.dumps({**usual, **orders})],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
        env=_untraced(),
    )
    _wait_for_quiet(sandbox)
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    figures = Figures()
    said, figures.swallowed = drop_swallowed(process.stderr)
    if process.returncode != 0 or said:
        figures.problems.append(f"it ended with {process.returncode}: {said[-6000:]}")
    if lines and "threads" in lines[-1] and (left := lines.pop()["threads"]) != 1:
        figures.problems.append(f"{left} threads were left")
    counts = gateway.journal.counts()
    for line in lines:
        _check(line, counts, figures)
    return figures


def interrupt_each_line(sandbox: SandboxServer, **orders: Any) -> tuple[int, list[str]]:
    """Interrupt a process at its lines in turn; return how many there were, and what went wrong."""
    gateway = sandbox.gateway
    usual: dict[str, Any] = {
        "username": gateway.username,
        "password": gateway.password,
        "url": sandbox.url,
    }
    usual |= {"first": 2250700200000, "from": 1, "step": 1, "again": []}
    command = [sys.executable, str(VICTIM.with_name("every_line.py")), json.dumps({**usual, **orders})]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, env=_untraced()
    )
    _wait_for_quiet(sandbox)
    problems = (
        [] if process.returncode == 0 else [f"ended with {process.returncode}: {process.stderr[-5000:]}"]
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    counts = gateway.journal.counts()
    for line in lines:
        wrong = [line["fault"]] if "fault" in line else []
        if line["unknown"] and len(line["places"]) < 2:
            wrong.append("unknown after one interrupt")
        wrong += compare(line, counts)
        problems += [f"{line['places']}: {why}" for why in wrong]
    return len(lines), problems


def drop_swallowed(stderr: str) -> tuple[str, int]:
    """Return the text without the interrupts that Python itself dropped, and how many they were."""
    return _SWALLOWED.subn("", stderr)


def compare(line: dict[str, Any], counts: Mapping[str, int]) -> list[str]:
    """Return what the account of some phones and the journal do not agree on."""
    accepted, unknown = Counter(line["accepted"]), Counter(line["unknown"])
    problems = []
    for phone in line["phones"]:
        arrived = counts.get(phone, 0)
        if accepted[phone] + unknown[phone] > 1 or arrived > 1:
            problems.append(f"{phone}: twice")
        elif accepted[phone] and not arrived:
            problems.append(f"{phone}: accepted, and the gateway does not have it")
        elif arrived and not accepted[phone] and not unknown[phone]:
            problems.append(f"{phone}: not in the account, and the gateway has it")
    return problems


def _check(line: dict[str, Any], counts: Mapping[str, int], figures: Figures) -> None:
    figures.rounds += 1
    figures.interrupted += line["interrupted"]
    figures.twice += line["twice"]
    figures.slowest = max(figures.slowest, line["seconds"])
    figures.by_kind[line["kind"]] += line["interrupted"]
    figures.by_outcome.update(accepted=len(line["accepted"]), unknown=len(line["unknown"]))
    problems = [line["fault"]] if "fault" in line else []
    if line["unknown"] and not line["twice"]:
        problems.append(f"{len(line['unknown'])} unknown after one interrupt")
    if line["seconds"] > SLOW:
        problems.append(f"it took {line['seconds']:.1f} s")
    problems += compare(line, counts)
    if problems:
        about = {name: line[name] for name in ("round", "kind", "way", "twice", "interrupted")}
        figures.problems.append(f"{about}: {problems[:4]} ({len(problems)})")


def _untraced() -> dict[str, str]:
    """Return the environment without coverage: where a tracer runs, an interrupt can leave a `with` unended."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}


def _wait_for_quiet(sandbox: SandboxServer) -> None:
    deadline = time.monotonic() + 10
    while sandbox.connections:
        assert time.monotonic() < deadline, "somebody is connected yet"
        time.sleep(0.002)
