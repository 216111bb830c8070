"""Interrupts at random instants: everybody in the account, the interrupt itself comes out, nothing hangs."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.interrupts.stage import drop_swallowed, interrupt_each_line, run_victim
from vavasms.sandbox import SandboxServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no signals for one process on Windows"),
]


IGNORED = """\
Exception ignored in: <finalize object at 0x7f44596ccba0; dead>
Traceback (most recent call last):
  File "weakref.py", line 590, in __call__
    return info.func(*info.args, **(info.kwargs or {}))
  File "contextlib.py", line 446, in __exit__
    def __exit__(self, exctype, excinst, exctb):

KeyboardInterrupt: \n"""
FAULT = "Exception ignored in: <coroutine object send>\nRuntimeError: coroutine ignored GeneratorExit\n"


@pytest.mark.parametrize(
    ("stderr", "left"),
    [
        (IGNORED, ("", 1)),
        (IGNORED + FAULT + IGNORED, (FAULT, 2)),
        (FAULT, (FAULT, 0)),
        ("Exception ignored while calling weakref callback <f>:\nJobTimeoutError\n", ("", 1)),
        (IGNORED.split("\n", 1)[1], (IGNORED.split("\n", 1)[1], 0)),
    ],
)
def test_only_what_python_drops_itself_is_no_fault(stderr: str, left: tuple[str, int]) -> None:
    assert drop_swallowed(stderr) == left


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> SandboxServer:
    sandbox.gateway.set_balance(Decimal(10**9))
    return sandbox


def test_interrupts_at_any_instant_leave_nobody_out_of_the_account(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    figures = run_victim(sandbox, tmp_path, rounds=40, seed=11)
    assert not figures.problems
    assert (figures.rounds, figures.interrupted > 20) == (40, True)


@pytest.mark.parametrize("work", ["send", "bulk", "lazy", "stream"])
def test_an_interrupt_at_any_line_of_ours_leaves_nobody_out_of_the_account(
    sandbox: SandboxServer, work: str
) -> None:
    lines, problems = interrupt_each_line(sandbox, work=work, step=5)
    assert not problems
    assert lines > 8


@pytest.mark.parametrize(("work", "again"), [("send", 1), ("bulk", 4), ("stream", 9)])
def test_a_second_interrupt_soon_after_leaves_nobody_out_either(
    sandbox: SandboxServer, work: str, again: int
) -> None:
    lines, problems = interrupt_each_line(sandbox, work=work, step=7, again=[again])
    assert not problems
    assert lines > 5


@pytest.mark.full
@pytest.mark.parametrize("work", ["send", "bulk", "lazy", "stream"])
@pytest.mark.parametrize("again", [[], [1], [2], [3], [5], [8], [13], [21]], ids=str)
def test_interrupts_at_all_lines_leave_nobody_out(
    sandbox: SandboxServer, work: str, again: list[int]
) -> None:
    lines, problems = interrupt_each_line(sandbox, work=work, again=again)
    assert not problems
    assert lines > 50


@pytest.mark.full
def test_three_thousand_interrupts_leave_nobody_out_of_the_account(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    interrupted = 0
    seed = 0
    while interrupted < 3_000:
        seed += 1
        sandbox.gateway.journal.clear()
        figures = run_victim(sandbox, tmp_path, rounds=700, seed=seed, first=2250700200000 + seed * 100_000)
        assert not figures.problems
        interrupted += figures.interrupted
