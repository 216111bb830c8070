"""Wherever a text is taken, `-` is standard input, and a file is as good."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vavasms.cli import message_input
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
Pipe = Callable[[bytes], None]
TO = "+2250700000001"
TEXT = "Ça va ?\nÀ demain"

pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Put bytes on standard input."""

    def put(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))

    return put


def assert_refused(finished: subprocess.CompletedProcess[str], server: SandboxServer, words: str) -> None:
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1, finished.stderr
    assert words in finished.stderr
    assert "othing was sent" in finished.stderr
    assert len(server.gateway.journal) == 0


def test_a_text_that_is_piped_into_send_is_sent_and_never_a_hyphen(
    outside: Run, server: SandboxServer
) -> None:
    raw = f"{TEXT}\n".encode()
    finished = outside("send", TO, "--message", "-", input=raw, text=False, encoding=None)
    assert finished.returncode == 0
    assert [entry.message for entry in server.gateway.journal.entries] == [TEXT]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_one_line_end_and_a_mark_of_the_encoding_are_no_text(
    inside: Run, server: SandboxServer, pipe: Pipe, start: str, end: str
) -> None:
    pipe(f"{start}{TEXT}\n{end}".encode() if end else f"{start}{TEXT}".encode())
    assert inside("send", TO, "--message", "-").returncode == 0
    expected = f"{TEXT}\n" if end else TEXT
    assert server.gateway.journal.entries[0].message == expected


@pytest.mark.parametrize("name", ["text.txt", "-"])
def test_a_text_may_be_in_a_file(
    inside: Run, server: SandboxServer, pipe: Pipe, tmp_path: Path, name: str
) -> None:
    pipe(f"{TEXT}\r\n".encode())
    (tmp_path / "text.txt").write_bytes(f"{TEXT}\n".encode())
    place = "-" if name == "-" else str(tmp_path / name)
    assert inside("send", TO, "--message-file", place).returncode == 0
    assert server.gateway.journal.entries[0].message == TEXT


def test_a_code_a_count_and_an_inbound_text_are_read_so_too(
    inside: Run, server: SandboxServer, pipe: Pipe
) -> None:
    pipe("Clé ##OTP##\n".encode())
    assert inside("otp", "send", TO, "--template", "-").returncode == 0
    assert server.gateway.journal.entries[0].message == "Clé 0423"
    pipe(b"Bonjour\n")
    assert json.loads(inside("segments", "-", "--json").stdout)["units"] == 7
    pipe(b"\xff")
    url = ("--url", "http://127.0.0.1:1/x")
    finished = inside("inbound", "trigger", *url, "--from", TO, "--text", "-")
    assert (finished.returncode, "not UTF-8" in finished.stderr) == (2, True)


@pytest.mark.parametrize("way", [("--message", "-"), ("--message-file", "text.txt"), ("--message-file", "-")])
def test_a_campaigns_text_is_read_so_too(
    inside: Run,
    server: SandboxServer,
    pipe: Pipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: tuple[str, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("Bonjour {nom}\n", encoding="utf-8")
    Path("list.csv").write_text(f"tel,nom\n{TO},Awa\n", encoding="utf-8")
    ledger = ("--ledger", str(tmp_path / "ledger.db"))
    pipe(b"Bonjour {nom}\n")
    plan = inside("campaign", "plan", "list.csv", *way, *ledger)
    assert plan.returncode == 0
    assert f"{way[0]} {way[1]}" in plan.stdout
    assert ("--yes" in plan.stdout) == (way[1] == "-")
    pipe(b"Bonjour {nom}\n")
    assert inside("campaign", "run", "list.csv", *way, *ledger, "--yes").returncode == 0
    assert [entry.message for entry in server.gateway.journal.entries] == ["Bonjour Awa"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--message TEXT"),
        (("--message", "a", "--message-file", "b"), "not both"),
        (("--message-file", "nowhere.txt"), "does not exist"),
        (("--message-file", "a\0b"), "does not exist"),
        (("--message-file", "."), "cannot be read"),
        (("--message-file", "latin.txt"), "is not UTF-8"),
        (("--message-file", "long.txt"), "longer than any SMS"),
        (("--message-file", "empty.txt"), "is empty"),
        (("--message", "-"), "is empty"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(
    inside: Run,
    server: SandboxServer,
    pipe: Pipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes("Théo".encode("latin-1"))
    Path("long.txt").write_bytes(b"a" * (message_input.MAX_SIZE + 1))
    Path("empty.txt").write_bytes(b"\n")
    pipe(b"\n")
    assert_refused(inside("send", TO, *arguments), server, words)


def test_the_list_and_the_text_cannot_both_come_from_standard_input(
    inside: Run, server: SandboxServer, pipe: Pipe
) -> None:
    for command in (("plan",), ("run", "--yes")):
        for way in ("--message", "--message-file"):
            pipe(TO.encode())
            assert_refused(inside("campaign", *command, "-", way, "-"), server, "the list or the text")


def test_nobody_can_be_asked_where_the_text_is_piped(
    inside: Run, server: SandboxServer, pipe: Pipe, tmp_path: Path
) -> None:
    pipe(b"Bonjour")
    (tmp_path / "list.csv").write_text(TO)
    finished = inside("campaign", "run", str(tmp_path / "list.csv"), "--message", "-")
    assert_refused(finished, server, "The text comes from standard input")


def test_without_standard_input_there_is_a_sentence(
    inside: Run, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert_refused(inside("send", TO, "--message", "-"), server, "no standard input")


def test_on_a_terminal_it_says_what_it_waits_for(
    inside: Run, server: SandboxServer, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(b"Bonjour\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert "Type the text" in inside("send", TO, "--message", "-").stderr
    assert server.gateway.journal.entries[0].message == "Bonjour"
