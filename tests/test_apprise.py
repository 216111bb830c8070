"""`vavasms://` in Apprise: its own command line, and its retries, which send nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apprise import Apprise

from vavasms import VavaSMS
from vavasms.sandbox import Answer, Gateway, SandboxServer

with warnings.catch_warnings():
    # Apprise loads all its notifiers, some of which warn.
    warnings.simplefilter("ignore")
    import vavasms.apprise

PLUGIN = Path(vavasms.apprise.__file__)
ROOT = PLUGIN.parents[1]
OWN = "+2250700000001"
#: It takes the SMS, and hangs up.
SILENT = "+2250700000444"
PASSWORD = "correct-horse-battery"

Notify = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer(Gateway(password=PASSWORD)) as running:
        for name, value in running.settings.items():
            monkeypatch.setenv(name, value)
        yield running


def watch(server: SandboxServer, monkeypatch: pytest.MonkeyPatch, *, refused: int = 0) -> list[str]:
    """Return the list that each request's path comes into; the one of this number is refused."""
    asked: list[str] = []
    handle = server.gateway.handle

    def answer(path: str, fields: dict[str, str]) -> object:
        asked.append(path)
        return Answer(http_status=429, body=b"") if len(asked) == refused else handle(path, fields)

    monkeypatch.setattr(server.gateway, "handle", answer)
    return asked


def send(url: str) -> bool:
    return notify(Apprise(url))


def notify(apprise: Apprise, **options: str) -> bool:
    return bool(apprise.notify(body="Le disque est plein.", **options))


@pytest.fixture
def run(server: SandboxServer, tmp_path: Path) -> Notify:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from apprise.cli import main; main()", "--plugin-path", str(PLUGIN)]
        environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=120, check=False, env=environment
        )

    return call


@pytest.mark.slow
def test_the_command_line_of_apprise_sends_by_the_plugin(run: Notify, server: SandboxServer) -> None:
    finished = run(
        "-vvv", "-t", "Sauvegarde", "-b", "Le disque est plein.", f"vavasms://SANDBOX/{OWN}/0700000002"
    )
    assert finished.returncode == 0, finished.stderr
    [entry] = server.gateway.journal.entries
    assert entry.phones == ("2250700000001", "2250700000002")
    assert entry.message.split() == ["Sauvegarde", *["Le", "disque", "est", "plein."]]
    assert PASSWORD not in finished.stdout + finished.stderr


def test_it_is_listed_with_its_url(run: Notify) -> None:
    finished = run("--details")
    assert finished.returncode == 0
    assert "vavasms://{user}:{password}@{sender}/{targets}" in finished.stdout


def test_an_account_in_the_url(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAVASMS_USERNAME")
    monkeypatch.delenv("VAVASMS_PASSWORD")
    url = f"vavasms://sandbox%40example.com:{PASSWORD}@SANDBOX/?to={OWN},0700000003"
    assert send(url) is True
    assert server.gateway.journal.entries[0].recipients == 2
    [notifier] = Apprise(url)
    assert PASSWORD not in notifier.url(privacy=True)
    assert PASSWORD not in repr(notifier)
    # Apprise writes this form into its log.
    for shown in (notifier.url(privacy=True), str(notifier), repr(notifier)):
        assert OWN[1:] not in shown
        assert "2250700000003" not in shown
    # What it writes of itself is itself.
    assert send(notifier.url()) is True
    assert len(server.gateway.journal) == 2


def test_what_is_unknown_is_not_sent_again_by_a_retry(
    server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert send(f"vavasms://SANDBOX/{SILENT}?retry=3&wait=0") is False
    assert len(server.gateway.journal) == 1
    assert "It is unknown whether the SMS was sent" in caplog.text
    assert SILENT[4:] not in caplog.text


def test_an_override_of_the_retries_sends_nothing_twice_either(server: SandboxServer) -> None:
    apprise = Apprise()
    apprise.add(f"vavasms://SANDBOX/{SILENT}?wait=0", tag="on-call")
    assert notify(apprise, tag="on-call:3") is False
    assert len(server.gateway.journal) == 1


def test_the_next_notification_is_another_sms(server: SandboxServer) -> None:
    apprise = Apprise(f"vavasms://SANDBOX/{SILENT}?retry=1&wait=0")
    assert [notify(apprise), notify(apprise)] == [False, False]
    assert len(server.gateway.journal) == 2


def test_what_was_not_sent_is_tried_again(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = watch(server, monkeypatch, refused=1)
    assert send(f"vavasms://SANDBOX/{OWN}?retry=3&wait=0") is True
    assert len(server.gateway.journal) == 1
    assert len(asked) == 2


def test_the_piece_that_was_sent_is_not_sent_again_with_the_next(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = watch(server, monkeypatch, refused=2)
    long = Apprise(f"vavasms://SANDBOX/{OWN}?overflow=split&retry=3&wait=0")
    assert long.notify(body="Un disque est plein. " * 100)
    assert len(asked) == 3
    assert len(server.gateway.journal) == 2


def test_a_fault_of_our_own_after_the_send_sends_nothing_again(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_text = VavaSMS.send

    def fail(*arguments: object, **options: object) -> None:
        send_text(*arguments, **options)  # type: ignore[arg-type]
        raise RuntimeError

    monkeypatch.setattr(VavaSMS, "send", fail)
    assert send(f"vavasms://SANDBOX/{OWN}?retry=3&wait=0") is False
    assert len(server.gateway.journal) == 1


def test_an_account_that_is_refused_is_asked_once(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = watch(server, monkeypatch)
    assert send(f"vavasms://someone:wrong-password@SANDBOX/{OWN}?retry=3&wait=0") is False
    assert len(asked) == 1
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("vavasms://SANDBOX/", "no number"),
        ("vavasms://SANDBOX/12", "is too short"),
        ("vavasms://SANDBOX/+2250700000001/0712", "give a full mobile number"),
        ("vavasms:///+2250700000001", "A sender ID has 3 to 11 characters"),
        ("vavasms://A-SENDER-TOO-LONG/+2250700000001", "A sender ID has 3 to 11 characters"),
        ("vavasms://someone@SANDBOX/+2250700000001", "a username and a password, or neither"),
        ("vavasms://:password@SANDBOX/+2250700000001", "a username and a password, or neither"),
    ],
)
def test_what_can_never_be_sent_is_no_notifier(
    url: str, sentence: str, server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert Apprise().add(url) is False
    assert sentence in caplog.text


def test_without_an_account_it_says_what_is_wanting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("VAVASMS_USERNAME", "VAVASMS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert Apprise().add(f"vavasms://SANDBOX/{OWN}") is False
    assert "set VAVASMS_USERNAME" in caplog.text
