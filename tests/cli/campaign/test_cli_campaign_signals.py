"""A campaign and the person at the keyboard: the go, Ctrl-C, SIGTERM, a terminal that is closed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli import processes
from vavasms.cli import prompts
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = pytest.mark.slow

pty = pytest.importorskip("pty")

Run = Callable[..., subprocess.CompletedProcess[str]]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _list(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    Path("contacts.csv").write_text("\n".join(f"2250701000{each:03}" for each in range(200)))


RUN = ("campaign", "run", "contacts.csv", "--message", "Bonjour", "--unit-price", "10")
IN_TENS = ("--batch-size", "10", "--concurrency", "4")


def start(*arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return processes.start([sys.executable, "-m", "vavasms", *arguments])


def slow_down(server: SandboxServer, seconds: float) -> None:
    """Make four requests accepted at once and answered late, after the first, which is alone."""
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=seconds)
    server.faults.script(None, stall, stall, stall, stall, path="/v1/text/single")


def last(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@pytest.mark.parametrize("one", SIGNALS)
def test_an_interrupted_campaign_leaves_no_unknown_and_is_resumed(
    inside: Run, server: SandboxServer, one: signal.Signals
) -> None:
    slow_down(server, 1.0)
    with start(*RUN, *IN_TENS, "--yes", "--json") as process:
        assert server.gateway.journal.wait_for(5, timeout=20)
        process.send_signal(one)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted: finishing what is under way" in errors
    end = last(out)
    assert (end["state"], end["interrupted"]) == ("paused", True)
    assert (end["accepted"], end["queued"], end["unknown"]) == (50, 150, 0)
    assert inside("campaign", "resume", end["id"]).returncode == 0
    counts = server.gateway.journal.counts()
    assert (len(counts), set(counts.values())) == (200, {1})


#: Runs the command line with its standard input as its controlling terminal. Not `pty.fork()`: a process with
#: threads is not to be forked.
WITH_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "vavasms", *sys.argv[1:]])
"""


def test_a_campaign_whose_terminal_is_closed_leaves_no_unknown(inside: Run, server: SandboxServer) -> None:
    slow_down(server, 1.0)
    screen, terminal = os.openpty()
    command = [sys.executable, "-c", WITH_TERMINAL, *RUN, *IN_TENS, "--yes"]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        try:
            assert server.gateway.journal.wait_for(5, timeout=20)
        finally:
            os.close(screen)
        process.wait(30)
    end = last(inside("campaign", "list", "--json").stdout)
    assert (end["state"], end["reason"], end["unknown"], end["sending"]) == ("paused", "interrupted", 0, 0)
    assert inside("campaign", "resume", end["id"]).returncode == 0
    counts = server.gateway.journal.counts()
    assert (len(counts), set(counts.values())) == (200, {1})


def test_a_campaign_under_nohup_outlives_its_terminal(server: SandboxServer) -> None:
    slow_down(server, 0.5)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with start(*RUN, *IN_TENS, "--yes", "--json") as process:
        signal.signal(signal.SIGHUP, before)
        assert server.gateway.journal.wait_for(5, timeout=20)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (last(out)["state"], last(out)["accepted"]) == ("done", 200)


def test_a_second_interrupt_cuts_off_and_calls_the_calls_in_flight_unknown(server: SandboxServer) -> None:
    slow_down(server, 60.0)
    with start(*RUN, *IN_TENS, "--yes", "--json") as process:
        assert server.gateway.journal.wait_for(5, timeout=20)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "finishing what is under way" in process.stderr.readline()
        # A person takes longer than what signals a process and then its group.
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "becomes unknown" in errors
    end = last(out)
    assert (end["state"], end["reason"]) == ("paused", "interrupted")
    assert (end["accepted"], end["unknown"], end["queued"], end["sending"]) == (10, 40, 150, 0)


def test_two_signals_at_once_are_one_wish(server: SandboxServer) -> None:
    slow_down(server, 1.0)
    with start(*RUN, *IN_TENS, "--yes", "--json") as process:
        assert server.gateway.journal.wait_for(5, timeout=20)
        # As `timeout` does: the process, then its group.
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "becomes unknown" not in errors
    end = last(out)
    assert (end["accepted"] >= 40, end["unknown"], end["sending"]) == (True, 0, 0)


def test_an_interrupt_that_comes_too_late_to_stop_anything_changes_nothing(server: SandboxServer) -> None:
    slow_down(server, 1.0)
    with start(*RUN, "--batch-size", "100", "--yes", "--json") as process:
        assert server.gateway.journal.wait_for(2, timeout=20)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert (last(out)["state"], last(out)["accepted"]) == ("done", 200)


class Person:
    """Somebody before a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self.screen = screen
        self.seen = ""

    def wait_for(self, words: str) -> None:
        while words not in self.seen:
            found = self._read()
            assert found, self.seen
            self.seen += found

    def type(self, line: str) -> None:
        os.write(self.screen, line.encode())

    def leave(self) -> int:
        while found := self._read():
            self.seen += found
        return self.process.wait(20)

    def _read(self) -> str:
        assert select.select([self.screen], [], [], 20)[0], f"nothing for 20 seconds after: {self.seen}"
        try:
            # A read may end in the middle of a character.
            return os.read(self.screen, 65536).decode(errors="ignore")
        except OSError:  # Linux's way to say that the other side is closed
            return ""


@contextmanager
def person(*arguments: str) -> Iterator[Person]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vavasms", *arguments]
    environment = os.environ | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            yield Person(process, ours)
        finally:
            process.kill()
            os.close(ours)


def kept(inside: Run) -> str:
    return inside("campaign", "list", "--json").stdout


@pytest.mark.parametrize("word", ["yes", "OUI"])
def test_a_typed_yes_sends_and_a_bar_shows_how_far(inside: Run, server: SandboxServer, word: str) -> None:
    with person(*RUN) as someone:
        someone.wait_for("Send 200 messages for 2,000 XOF as SANDBOX? Type yes to send: ")
        someone.type(f"{word}\n")
        assert someone.leave() == 0
    assert "━" in someone.seen
    assert "200/200" in someone.seen
    assert "2,000 XOF" in someone.seen
    assert len(server.gateway.journal.counts()) == 200


def test_an_answer_may_take_its_time(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look(ready: list[Any], writable: list[Any], broken: list[Any], seconds: float) -> Any:
        # Whoever is asked thinks it over until the third look.
        looks.append(seconds)
        if len(looks) == 3:
            os.write(typed, b"yes\n")
        return select.select(ready, writable, broken, 0.0)

    read, typed = os.pipe()
    monkeypatch.setattr("vavasms.cli.prompts.select", SimpleNamespace(select=look))
    with os.fdopen(read, encoding="utf-8") as stdin, os.fdopen(typed, "wb"):
        monkeypatch.setattr("sys.stdin", stdin)
        assert prompts.ask("Send?")
    assert len(looks) == 3


@pytest.mark.parametrize("answer", ["no\n", "\n", "y\n", "\x04"])
def test_anything_else_sends_nothing_and_keeps_nothing(
    inside: Run, server: SandboxServer, answer: str
) -> None:
    with person(*RUN) as someone:
        someone.wait_for("Type yes to send: ")
        someone.type(answer)
        assert someone.leave() == 2
    assert "Not confirmed: nothing was sent, and nothing of it is kept." in someone.seen
    assert kept(inside) == ""
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize("one", SIGNALS)
def test_an_interrupt_at_the_question_keeps_nothing(
    inside: Run, server: SandboxServer, one: signal.Signals
) -> None:
    with person(*RUN) as someone:
        someone.wait_for("Type yes to send: ")
        someone.process.send_signal(one)
        assert someone.leave() == 130
    assert "Interrupted: nothing was sent, and nothing of it is kept" in someone.seen
    assert kept(inside) == ""
    assert len(server.gateway.journal) == 0


def test_a_failed_test_is_shown_and_the_person_decides(inside: Run, server: SandboxServer) -> None:
    with person(*RUN, "--test-to", "+2250700000903") as someone:
        someone.wait_for("The test to +2250700000903: rejected")
        someone.wait_for("Type yes to send: ")
        someone.type("oui\n")
        assert someone.leave() == 0
    assert len(server.gateway.journal.counts()) == 200


@pytest.mark.parametrize(
    ("number", "code", "fate"),
    [
        ("+2250501000009", 2, "the test to +2250501000009 was accepted"),
        ("+2250700000903", 2, "the test to +2250700000903 was rejected"),
        ("+2250700000444", 4, "whether the test to +2250700000444 was sent is unknown"),
    ],
)
def test_a_no_after_a_test_says_what_became_of_the_test(
    inside: Run, number: str, code: int, fate: str
) -> None:
    with person(*RUN, "--test-to", number) as someone:
        someone.wait_for("Type yes to send: ")
        someone.type("no\n")
        assert someone.leave() == code
    _, _, end = someone.seen.partition("Type yes to send: ")
    assert f"Not confirmed: the campaign was not sent, and nothing of it is kept; {fate}." in end
    assert "othing was sent" not in end
    assert kept(inside) == ""


def test_an_interrupt_after_a_test_says_what_became_of_the_test(inside: Run) -> None:
    with person(*RUN, "--test-to", "+2250501000009") as someone:
        someone.wait_for("Type yes to send: ")
        someone.process.send_signal(signal.SIGINT)
        assert someone.leave() == 130
    assert "the test to +2250501000009 was accepted" in someone.seen
    assert "othing was sent" not in someone.seen


def test_an_interruption_is_announced_above_the_bar(server: SandboxServer) -> None:
    slow_down(server, 1.0)
    with person(*RUN, *IN_TENS, "--yes") as someone:
        assert server.gateway.journal.wait_for(5, timeout=20)
        someone.process.send_signal(signal.SIGINT)
        assert someone.leave() == 130
    assert "Interrupted: finishing what is under way. Ctrl-C again does not wait." in someone.seen
    assert "vavasms campaign resume" in someone.seen


def test_the_list_may_be_typed(inside: Run) -> None:
    with person("campaign", "plan", "-", "--message", "Bonjour") as someone:
        someone.wait_for("Type one number a line")
        someone.type("0701000001\n\x04\x04")
        assert someone.leave() == 0
    assert "A list of 1 row" in someone.seen
