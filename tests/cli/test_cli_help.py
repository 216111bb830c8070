"""The help: what it says is true, and its examples run."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import anyio
import pytest

from tests.cli.processes import start
from vavasms.cli.app import COMMANDS, Command, app
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.version import __version__

Run = Callable[..., subprocess.CompletedProcess[str]]
Shell = Callable[[str], AbstractContextManager[subprocess.Popen[str]]]
#: Writes the ledger that an example finds; returns the example for here, and the path or URL of the ledger.
Prepare = Callable[[str], tuple[str, str]]
EXAMPLE = re.compile(r"^Example: (.*)$", re.MULTILINE)
#: Commands that serve until Ctrl-C.
SERVERS = ("desk", "listen", "sandbox", "serve")
#: What only a shell reads, and commands that have a process of their own: servers, and one that starts some.
OUTSIDE = re.compile(rf"[|$]| (?:worker|demo|{'|'.join(SERVERS)}) ")
NAMES = [command.name for command in COMMANDS]


def help_of(inside: Run, *words: str) -> str:
    finished = inside(*words, "--help")
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_help_has_one_sentence_and_one_example(inside: Run, name: str) -> None:
    text = help_of(inside, *name.split())
    usage, sentence, example = [line.strip() for line in text.splitlines() if line.strip()][:3]
    assert usage.startswith(f"Usage: vavasms {name}")
    assert sentence.endswith(".")
    assert example.startswith("Example: ")
    assert "vavasms" in example
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_the_docstring_of_a_command_says_the_sentence_of_its_help(command: Command) -> None:
    module, _, name = command.path.partition(":")
    function = getattr(importlib.import_module(module), name)
    assert (inspect.getdoc(function) or "").partition("\n")[0] == command.sentence


def test_the_table_of_commands_is_what_can_be_called(inside: Run) -> None:
    listed = set(re.findall(r"^│ (\w+) ", help_of(inside), re.MULTILINE))
    assert listed == {name.split()[0] for name in NAMES}
    assert {word for word in app if not word.startswith("-")} == listed


@pytest.mark.parametrize("words", [(), ("otp",), ("numbers",)])
def test_without_a_command_the_help_is_shown(inside: Run, words: tuple[str, ...]) -> None:
    assert inside(*words).stdout == help_of(inside, *words)


def test_the_version_is_printed(inside: Run) -> None:
    assert inside("--version").stdout == f"vavasms {__version__}\n"


@pytest.mark.parametrize("words", [("--version", "--verbose"), ("--verbose", "--version", "--lang", "fr")])
def test_with_verbose_it_is_what_a_report_of_a_fault_needs_and_no_setting(
    inside: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", "not to be told")
    finished = inside(*words)
    lines = dict(line.split(" ", 1) for line in finished.stdout.splitlines())
    assert (finished.returncode, finished.stderr) == (0, "")
    assert lines["vavasms"] == __version__
    assert lines["python"].endswith(platform.python_version())
    assert {"platform", "SQLite", "TLS", "anyio", "httpx", "psycopg"} <= set(lines)
    assert "not to be told" not in finished.stdout


def test_help_imports_neither_httpx_nor_phonenumbers() -> None:
    code = (
        "import sys\nfrom vavasms.cli import run\nrun(['--help'])\n"
        "heavy = {'httpx', 'phonenumbers', 'starlette', 'uvicorn', 'cattrs', 'psycopg', "
        "'procrastinate', 'vavasms.cli.commands.worker', 'vavasms.campaigns.workers.worker'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert finished.returncode == 0, finished.stderr


#: What an example says on standard error, by a word of it.
BESIDE = {
    "track": "fate known: 0 of 0\n",
    "worker": "Stopping: finishing what is under way. Another signal does not wait.\n",
    "desk": "Closing the desk: finishing what is under way. Ctrl-C again does not wait.\n",
}
#: What an example comes after.
BEFORE = {"otp verify": "otp send"}
ACCOUNT = "sandbox@example.com loopback"
#: The place that examples name; the test has another, which may hold a password.
DATABASE = " --ledger postgresql://localhost/sms"
#: The state that the campaign of an example is in before it is run; `queued` where none is named.
STATES = {
    "campaign resume": "paused",
    "campaign recover": "done",
    "campaign purge": "done",
    "campaign retry": "rejected",
    "campaign report": "done",
}


async def keep_send(ledger: SqliteLedger) -> None:
    """Write the send of the examples into a ledger: it is unknown."""
    to = (Msisdn("2250700000101"),)
    new = NewSend(account=ACCOUNT, key="order-42", recipients=to, sender_id="ACME", segments=1, text="Salut")
    claim = await ledger.sends.begin(new, token="t", now=time.time())
    assert isinstance(claim, SendClaim)
    await ledger.sends.settle(
        claim, BatchEvent.MARK_UNKNOWN, BatchRecord(error="No answer."), now=time.time()
    )


async def keep_campaign(path: Path, state: str) -> None:
    """Write the campaign of the examples into a ledger."""
    new = NewCampaign(
        id="3f9a1c07", account=ACCOUNT, sender_id="SANDBOX", message="Salut", created_at=time.time()
    )
    batch = NewBatch(number=0, message="Bonjour", segments=1, recipients=(Msisdn("2250700000101"),))
    async with await SqliteLedger.open(path) as ledger:
        await keep_send(ledger)
        await ledger.create(new)
        await ledger.load(new.id, [batch])
        await ledger.finish_loading(new.id, plan="{}", plan_hash="abc")
        if state == "paused":
            await ledger.pause(new.id, "a test")
        elif state in ("done", "rejected"):
            await ledger.start(new.id)
            claim = await ledger.claim(new.id, 0, token="t", worker="w", now=time.time())
            assert claim is not None
            event = BatchEvent.REJECT if state == "rejected" else BatchEvent.ACCEPT
            await ledger.settle(claim, event, BatchRecord(lot_id="LOT-1", message_ids=("SM-1",)))
            await ledger.finish(new.id)


@pytest.fixture
def inbound_url(bare_environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the URL of `vavasms inbound listen`."""
    command = [sys.executable, "-m", "vavasms", "inbound", "listen", "--port", "0", "--json"]
    with start(command, stderr=None) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])


@pytest.fixture
def prepare(
    account: Mapping[str, str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Prepare:
    """Return what makes the world that an example speaks of: a receiver or a database only where it does."""
    for name in ("contacts.csv", "stop.csv"):
        (tmp_path / name).write_text("prenom;telephone\nAwa;2250700000101\n", encoding="utf-8")
    numbers = count()

    def build(line: str) -> tuple[str, str]:
        ledger = str(tmp_path / f"ledger-{next(numbers)}.db")
        anyio.run(keep_campaign, Path(ledger), STATES.get(" ".join(line.split()[1:3]), "queued"))
        if " inbound " in line:
            monkeypatch.setenv("VAVASMS_INBOUND_URL", request.getfixturevalue("inbound_url"))
        if DATABASE in line:
            return line.replace(DATABASE, ""), request.getfixturevalue("database")
        return line, ledger

    return build


@pytest.fixture
def shell(prepare: Prepare, tmp_path: Path) -> Shell:
    """Run a line in a shell where `vavasms` is a command."""
    script = tmp_path / "vavasms"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vavasms "$@"\n')
    script.chmod(0o755)
    places = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path)}

    def run(example: str) -> AbstractContextManager[subprocess.Popen[str]]:
        line, ledger = prepare(example)
        command = ["sh", "-c", f"exec {line}" if "|" not in line else line]
        return start(command, env=os.environ | places | {"VAVASMS_LEDGER": ledger}, cwd=tmp_path)

    return run


def run_in_shell(shell: Shell, example: str) -> tuple[int, str, str]:
    """Run it to its end, which for a server is a signal; return its code, its first line and its errors."""
    with shell(example) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        if any(name in example for name in SERVERS):
            process.send_signal(signal.SIGINT)
        if "worker" in example:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    return process.returncode, first, errors


@pytest.mark.skipif(os.name != "posix", reason="the examples are written for a POSIX shell")
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_help_runs_as_it_stands(
    inside: Run, prepare: Prepare, shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (example,) = EXAMPLE.findall(help_of(inside, *name.split()))
    if OUTSIDE.search(f"{example} "):
        code, printed, errors = run_in_shell(shell, example)
    else:
        if name in BEFORE:
            (before,) = EXAMPLE.findall(help_of(inside, *BEFORE[name].split()))
            assert inside(*shlex.split(before)[1:]).returncode == 0
        line, ledger = prepare(example)
        monkeypatch.setenv("VAVASMS_LEDGER", ledger)
        program, *words = shlex.split(line)
        assert program == "vavasms"
        finished = inside(*words)
        code, printed, errors = finished.returncode, finished.stdout, finished.stderr
    assert code == 0, errors
    assert printed
    # What is under way is said beside the result.
    assert errors == "".join(said for word, said in BESIDE.items() if f" {word} " in f"{example} ")
