"""`sandbox`: it says how to be reached, shows what comes, and stops when told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import pytest

from tests.cli import processes
from vavasms.guide import read_chapter
from vavasms.i18n import LANGUAGES
from vavasms.sandbox import MAGIC_NUMBERS

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture
def started(bare_environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    with ExitStack() as running:

        def start(*options: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "vavasms", "sandbox", "--port", "0", *options]
            return running.enter_context(processes.start(command, env=bare_environment))

        yield start


def take_settings(lines: IO[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Export the four settings that a sandbox prints."""
    exported = 0
    while exported < 4:
        word, _, assignment = lines.readline().strip().partition(" ")
        if word == "export":
            monkeypatch.setenv(*assignment.split("=", 1))
            exported += 1


@posix
def test_its_lines_can_be_copied_into_a_shell_and_what_is_sent_is_shown(
    started: Callable[..., subprocess.Popen[str]], inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started()
    assert process.stdout is not None
    take_settings(process.stdout, monkeypatch)
    assert inside("send", "+2250700000001", "--message", "Bon\u202ejour").returncode == 0
    while "→" not in (line := process.stdout.readline()):
        assert line
    assert "SANDBOX → +2250700000001  Bonjour" in line
    # As where its terminal is closed.
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.slow
@posix
def test_a_share_of_a_prefix_is_never_delivered_where_it_is_asked_for(
    started: Callable[..., subprocess.Popen[str]], inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started("--undelivered", "22505=1")
    assert process.stdout is not None
    take_settings(process.stdout, monkeypatch)
    sent = json.loads(inside("send", "+2250500000001", "--message", "x", "--json").stdout)
    deadline = time.monotonic() + 60
    while "failed" not in inside("status", sent["message_ids"][0], "--json").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.parametrize("text", ["22507", "22507=2", "22507=-1", "=0.4", "orange=0.4", "22507=0.4%"])
def test_a_share_that_is_none_is_one_sentence(inside: Run, text: str) -> None:
    finished = inside("sandbox", "--undelivered", text)
    assert finished.returncode == 2
    assert "takes a prefix and a share from 0 to 1" in finished.stderr


@posix
def test_its_lines_are_in_the_language_that_was_chosen(
    started: Callable[..., subprocess.Popen[str]], inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started("--lang", "fr")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Le bac à sable remplace la passerelle à http://127.0.0.1:")
    take_settings(process.stdout, monkeypatch)
    inside("send", "+2250700000001", "+2250700000002", "--message", "x")
    inside("send", "+2250700000903", "--message", "x")
    while "→" not in (line := process.stdout.readline()):
        assert line
    assert "SANDBOX → +2250700000001 et 1 autre  x" in line
    assert "est un numéro magique\u00a0: Refusé par 903 INVALID_PHONE_NUMBER." in process.stdout.readline()


@posix
def test_json_is_one_object_and_ctrl_c_stops_it_cleanly(
    started: Callable[..., subprocess.Popen[str]], inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started("--json")
    assert process.stdout is not None
    value = json.loads(process.stdout.readline())
    assert set(value) == {"base_url", "username", "password", "sender_id"}
    for name, word in value.items():
        monkeypatch.setenv(f"VAVASMS_{name.upper()}", word)
    assert inside("send", "+2250700000001", "--message", "x").returncode == 0
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_busy_port_is_one_sentence(inside: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finished = inside("sandbox", "--port", str(taken.getsockname()[1]))
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "is taken by another program" in finished.stderr
    assert "For example: `vavasms sandbox --port " in finished.stderr
    assert finished.stderr.endswith("`, or `--port 0`. [sandbox.port]\n")
    assert finished.stderr.count("\n") == 1


def test_an_error_for_programs_is_english_json(inside: Run) -> None:
    finished = inside("--lang", "fr", "sandbox", "--inbound-url", "ftp://127.0.0.1/token", "--json")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert json.loads(finished.stderr) == {
        "error": "The inbound URL is like http://127.0.0.1:8426/token.",
        "code": "sandbox.inbound_url",
        "outcome": None,
    }


def test_a_port_beyond_all_ports_is_one_sentence(inside: Run) -> None:
    finished = inside("sandbox", "--port", "70000")
    assert finished.returncode == 2
    assert "0 to 65535" in finished.stderr


@pytest.fixture
def without(tmp_path: Path, bare_environment: dict[str, str]) -> Callable[..., Run]:
    """Run commands where some packages are not installed."""

    def prepare(*missing: str) -> Run:
        for entry in Path(find_spec("rich").origin).parents[1].iterdir():  # type: ignore[union-attr,arg-type]
            if entry.name not in missing and entry.suffix != ".pth":
                (tmp_path / "packages").mkdir(exist_ok=True)
                (tmp_path / "packages" / entry.name).symlink_to(entry)
        paths = os.pathsep.join([bare_environment["PYTHONPATH"], str(tmp_path / "packages")])

        def call(*arguments: str) -> subprocess.CompletedProcess[str]:
            # Without `site`, so that only what is linked is installed; coverage has to be started by hand.
            code = "import coverage; coverage.process_startup(); from vavasms.__main__ import main; main()"
            command = [sys.executable, "-S", "-c", code, *arguments]
            environment = bare_environment | {"PYTHONPATH": paths}
            return subprocess.run(
                command, check=False, env=environment, capture_output=True, text=True, timeout=30
            )

        return call

    return prepare


@posix
@pytest.mark.slow
def test_without_its_extra_the_sandbox_says_how_to_install_it(without: Callable[..., Run]) -> None:
    call = without("uvicorn", "keyring")
    for words in (("sandbox",), ("demo",), ("inbound", "listen")):
        finished = call(*words)
        assert finished.returncode == 2
        assert "pip install 'vavasms[sandbox]'" in finished.stderr
        assert finished.stderr.count("\n") == 1
    # Nor is a keyring needed.
    assert "No credentials" in call("balance").stderr


@posix
@pytest.mark.parametrize("missing", [("procrastinate",), ("psycopg", "psycopg_pool")])
@pytest.mark.slow
def test_without_its_extra_a_ledger_on_postgresql_says_how_to_install_it(
    without: Callable[..., Run], missing: tuple[str, ...]
) -> None:
    call = without(*missing)
    for words in (("campaign", "list"), ("worker",), ("ledger", "migrate"), ("optouts", "list")):
        finished = call(*words, "--ledger", "postgresql://localhost/sms")
        assert finished.returncode == 2
        assert "pip install 'vavasms[postgres]'" in finished.stderr
        assert finished.stderr.count("\n") == 1


@posix
def test_without_its_extra_the_command_line_says_how_to_install_it(without: Callable[..., Run]) -> None:
    finished = without("cyclopts")("--help")
    assert finished.returncode == 1
    assert finished.stderr == "The command line needs its extra: pip install 'vavasms[cli]'.\n"


@posix
def test_an_error_that_a_magic_number_caused_names_it_in_the_log(
    started: Callable[..., subprocess.Popen[str]], inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = started()
    assert process.stdout is not None
    take_settings(process.stdout, monkeypatch)
    for number, code, sentence in (
        ("+2250700000903", 3, "Refused with 903 INVALID_PHONE_NUMBER."),
        ("+2250700000500", 4, "HTTP 500"),
    ):
        assert inside("send", number, "--message", "x").returncode == code
        while "magic" not in (line := process.stdout.readline()):
            assert line
        assert f"{number} is a magic number: {sentence}" in line


def test_the_help_and_the_guide_name_every_magic_number_and_readme_uses_none(inside: Run) -> None:
    endings = {phone.removeprefix("2250700000") for phone in MAGIC_NUMBERS}
    sections = [
        re.split(r"^## ", read_chapter("testing", language), flags=re.MULTILINE)[3] for language in LANGUAGES
    ]
    for text in (inside("sandbox", "--help").stdout, *sections):
        assert endings <= set(re.findall(r"\b\d{3}\b", text))
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    used = {f"225{number[-10:]}" for number in re.findall(r"\b(?:225)?0[157]\d{8}\b", readme)}
    assert used.isdisjoint(MAGIC_NUMBERS)
