"""A sandbox, and the command line against it: in this process, or as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlencode

import pytest

from vavasms.cli import run
from vavasms.cli.commands.sandbox_serve import draw
from vavasms.sandbox import Gateway, SandboxServer

Finished = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox that draws the same one-time codes as `vavasms sandbox`."""
    with SandboxServer(Gateway(below=draw)) as server:
        yield server


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """English, no account, no `.env`, no keyring, no colours; `vavasms` on the path."""
    for name in [name for name in os.environ if name.startswith("VAVASMS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VAVASMS_LANG", os.environ.get("TEST_LANG", "en"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return dict(os.environ)


@pytest.fixture
def account(
    bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, server: SandboxServer
) -> Mapping[str, str]:
    """The sandbox's account in the environment."""
    found = server.settings
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def database(bare_postgres: str) -> str:
    """The URL of a database that no ledger was made in; what was made of it is no other test's."""
    import psycopg

    return f"postgresql:///?{urlencode(psycopg.conninfo.conninfo_to_dict(bare_postgres))}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, where output is recorded in another language, what waits for English of a process."""
    if "TEST_OUTPUT" in os.environ:
        items[:] = [item for item in items if "inside" in getattr(item, "fixturenames", ())]


def _record(finished: Finished) -> Finished:
    """Write what a command printed into the folder `TEST_OUTPUT`, where there is one."""
    folder = os.environ.get("TEST_OUTPUT")
    if folder is not None and os.environ.get("VAVASMS_LANG") == os.environ["TEST_LANG"]:
        text = json.dumps([finished.args, finished.stdout, finished.stderr])
        Path(folder, token_hex(8)).write_text(text, encoding="utf-8")
    return finished


@pytest.fixture
def inside(bare_environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run a command in this process."""

    def call(*arguments: str) -> Finished:
        capsys.readouterr()
        code = run(arguments)
        printed = capsys.readouterr()
        return _record(Finished(arguments, code, printed.out, printed.err))

    return call


@pytest.fixture
def outside(bare_environment: dict[str, str]) -> Callable[..., Finished]:
    """Run a command as people do, in a process of its own."""

    def call(*arguments: str, **options: object) -> Finished:
        command = [sys.executable, "-m", "vavasms", *arguments]
        given = {"text": True, "capture_output": True, "timeout": 120, "encoding": "utf-8"} | options
        finished = subprocess.run(command, check=False, **given)  # type: ignore[call-overload]
        return _record(Finished(arguments, finished.returncode, finished.stdout, finished.stderr))

    return call
