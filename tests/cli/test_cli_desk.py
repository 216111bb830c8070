"""`desk`: it prints a link that opens it once, ends at a signal, and says what it needs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.cli import processes

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture
def started(bare_environment: dict[str, str]) -> Iterator[Start]:
    with ExitStack() as running:

        def start(*options: str, **settings: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "vavasms", "desk", "--port", "0", *options]
            environment = bare_environment | settings
            return running.enter_context(processes.start(command, env=environment))

        yield start


def enter(url: str) -> str:
    """Open the desk by its link; return its home as the browser sees it."""
    with httpx.Client(trust_env=False) as browser:
        reply = browser.get(url)
        assert reply.status_code == 200
        return browser.get(httpx.URL(url).join("/")).text


@pytest.mark.slow
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_prints_a_link_and_the_next_one_and_ends_at_a_signal(
    started: Start, account: Mapping[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    process = started("--ledger", str(tmp_path / "sms.db"), "--json", **account)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["event"] == "start"
    assert "A new campaign" in enter(first["url"])
    second = json.loads(process.stdout.readline())
    assert second["event"] == "opened"
    assert second["url"] != first["url"]
    assert httpx.get(first["url"], trust_env=False).status_code == 403
    assert "A new campaign" in enter(second["url"])
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors.splitlines() == [
        "Closing the desk: finishing what is under way. Ctrl-C again does not wait."
    ]
    assert account["VAVASMS_PASSWORD"] not in errors


@pytest.mark.slow
@posix
def test_the_demonstration_needs_no_account_and_leaves_nothing(started: Start) -> None:
    process = started("--demo")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _line in range(3)]
    assert "In a browser of this machine: http://127.0.0.1:" in lines[0]
    contacts = Path(lines[1].rpartition(": ")[2].strip())
    assert contacts.read_bytes().count(b"\n") == 10_001
    assert "no phone rings" in enter(lines[0].rpartition(" ")[2].strip())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not contacts.parent.exists()


@pytest.mark.slow
def test_a_second_desk_on_a_ledger_is_refused_with_a_sentence(
    started: Start, account: Mapping[str, str], tmp_path: Path
) -> None:
    ledger = ("--ledger", str(tmp_path / "sms.db"), "--json")
    first = started(*ledger, **account)
    assert first.stdout is not None
    first.stdout.readline()
    second = started(*ledger, **account)
    printed, errors = second.communicate(timeout=30)
    assert second.returncode != 0
    assert "runner" in errors
    assert "Traceback" not in errors
    assert printed == ""


def test_a_port_that_is_taken_is_said(inside: Run, account: Mapping[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        finished = inside("desk", "--port", port, "--ledger", str(tmp_path / "sms.db"))
    assert finished.returncode == 2
    assert f"cannot listen on port {port}: another program uses it" in finished.stderr


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_refused(inside: Run, account: Mapping[str, str], port: str) -> None:
    finished = inside("desk", f"--port={port}")
    assert finished.returncode == 2
    assert "from 0 to 65535" in finished.stderr


def test_without_an_account_it_says_how_to_try_it(inside: Run, bare_environment: dict[str, str]) -> None:
    finished = inside("desk", "--port", "0", "--ledger", "sms.db")
    assert finished.returncode == 2
    assert "VAVASMS_USERNAME" in finished.stderr


def test_the_demonstration_has_a_ledger_of_its_own(inside: Run, bare_environment: dict[str, str]) -> None:
    finished = inside("desk", "--demo", "--ledger", "sms.db")
    assert finished.returncode == 2
    assert "--demo has a ledger of its own" in finished.stderr


def test_without_the_extra_it_says_so(
    inside: Run, bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.cli.commands.desk._NEEDED", ("no_such_package",))
    finished = inside("desk")
    assert finished.returncode == 2
    assert "pip install 'vavasms[desk]'" in finished.stderr
