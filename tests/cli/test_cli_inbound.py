"""`inbound listen` and `inbound trigger`: what a handset sends is shown, and the token is not."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from vavasms.cli.commands.inbound import check_url, mask
from vavasms.cli.commands.inbound_listen import Listening, make_url
from vavasms.cli.sockets import bind
from vavasms.errors import InvalidInputError
from vavasms.inbound.tokens import make_token

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "Listener"]
HANDSET = "+2250700000101"
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
ESCAPES = "\x1b[2J\x07Bon\u202ejour\n[link=http://x]\x9bici"


class Listener:
    """`vavasms inbound listen`, as people run it."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "vavasms", "inbound", "listen", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.introduction = ""
        while not (found := re.search(r"http://\S+/\w{32,}", self.introduction)):
            line = self.read()
            assert line, self.stop()
            self.introduction += line
        self.url = found[0].rstrip('"}')

    @property
    def token(self) -> str:
        return self.url.rpartition("/")[2]

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Stop it; give its exit code and the rest of what it said."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.send_signal(number)
        # Not `communicate`, which forgets what was read ahead with the lines.
        printed, errors = self.process.stdout.read(), self.process.stderr.read()
        return self.process.wait(20), printed, errors


@pytest.fixture
def listen(bare_environment: dict[str, str]) -> Iterator[Start]:
    running: list[Listener] = []

    def start(*options: str) -> Listener:
        running.append(Listener(*options))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        with each.process:
            pass


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """Yield the URL of a receiver that answers one call so, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{make_token()}"
        thread.join(10)


def send(inside: Run, url: str, text: str = "Bonjour", *more: str) -> subprocess.CompletedProcess[str]:
    return inside("inbound", "trigger", "--url", url, "--from", HANDSET, "--text", text, *more)


@posix
def test_what_arrives_is_one_harmless_line_each_and_sigterm_ends_it(listen: Start, inside: Run) -> None:
    listener = listen()
    for text in ("Bonjour à tous", ESCAPES, "STOP", "START"):
        assert send(inside, listener.url, text).returncode == 0
    code, printed, errors = listener.stop(signal.SIGTERM)
    assert (code, errors) == (0, "")
    lines = [line for line in printed.splitlines() if HANDSET in line and "trigger" not in line]
    assert [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in lines] == [
        f"{HANDSET}  Bonjour à tous",
        f"{HANDSET}  [2JBonjour [link=http://x]ici",
        f"{HANDSET}  STOP  (a stop word)",
        f"{HANDSET}  START  (a start word: off the opt-out list)",
    ]
    assert not set(printed) & set("\x1b\x07\u202e\x9b")
    assert "shown in full" in printed


@posix
@pytest.mark.slow
def test_two_signals_at_once_are_one_wish(listen: Start) -> None:
    listener = listen()
    # As `timeout` does: the process, then its group.
    listener.process.send_signal(signal.SIGTERM)
    time.sleep(0.02)
    code, _, errors = listener.stop(signal.SIGTERM)
    assert (code, errors) == (0, "")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_a_second_signal_ends_it_though_nobody_reads_what_it_says(listen: Start, number: int) -> None:
    listener = listen()
    # More than a pipe holds: whoever sends the last one waits in vain.
    for no in range(3):
        fields = {"message_id": f"SM-{no}", "form": HANDSET, "content": "x" * 50_000}
        with suppress(httpx.TimeoutException):
            httpx.post(listener.url, data=fields, timeout=0.5)
    with pytest.raises(subprocess.TimeoutExpired):
        listener.process.send_signal(number)
        listener.process.wait(1)
    for _ in range(20):
        listener.process.send_signal(number)
        try:
            listener.process.wait(1)
            break
        except subprocess.TimeoutExpired:
            continue
    assert listener.process.returncode is not None


def test_a_weak_token_is_refused_by_the_name_of_its_variable(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_INBOUND_TOKEN", "password")
    finished = inside("inbound", "listen", "--port", "0")
    assert finished.returncode == 2
    assert "VAVASMS_INBOUND_TOKEN: " in finished.stderr
    assert "password" not in finished.stderr


@posix
def test_its_lines_can_be_copied_into_a_shell(
    listen: Start, inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listen()
    while not (line := listener.read().strip()).startswith("export "):
        pass
    monkeypatch.setenv(*line.removeprefix("export ").split("=", 1))
    example = listener.read().split()
    assert example[:3] == ["vavasms", "inbound", "trigger"]
    finished = inside(*example[1:])
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/… took TEST-\w{12} \(200 OK\)\.\n", finished.stdout)
    assert listener.stop()[0] == 0


@posix
def test_json_is_the_url_and_then_one_object_a_message(listen: Start, inside: Run) -> None:
    listener = listen("--json")
    assert json.loads(listener.introduction) == {"url": listener.url}
    options = ("--message-id", "SM-1", "--date", "2026-03-01 10:20:30", "--json")
    assert json.loads(send(inside, listener.url, ESCAPES, *options).stdout) == {
        "message_id": "SM-1",
        "status": 200,
    }
    send(inside, listener.url, "Arrêt", "--date", "tantôt")
    code, printed, errors = listener.stop()
    assert (code, errors) == (0, "")
    assert not set(printed) & set("\x1b\x07\u202e\x9b")
    assert "Arrêt" in printed
    first, second = map(json.loads, printed.splitlines())
    assert first == {
        "message_id": "SM-1",
        "sender": HANDSET,
        "text": ESCAPES,
        "received_at": "2026-03-01T10:20:30",
        "raw_date": "2026-03-01 10:20:30",
        "stop": False,
        "start": False,
    }
    assert (second["received_at"], second["raw_date"], second["stop"]) == (None, "tantôt", True)


@posix
@pytest.mark.slow
def test_a_message_that_comes_again_is_not_shown_again_even_after_a_restart(
    listen: Start, inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_INBOUND_TOKEN", make_token())
    shown = ""
    for _ in range(2):
        listener = listen("--json", "--seen", str(tmp_path / "seen.db"))
        for text in ("Bonjour", "Bonjour", "Autre\x1b chose"):
            assert send(inside, listener.url, text, "--message-id", "SM-1").returncode == 0
        code, printed, errors = listener.stop()
        shown += printed
        # The same id with other words is reported, and is none of the messages.
        assert "SM-1 came again with other content" in errors
        assert f"from {HANDSET}: Autre chose." in errors
        assert (code, errors.count("\n")) == (0, 2)
    assert [json.loads(line)["text"] for line in shown.splitlines()] == ["Bonjour"]


@posix
def test_the_token_of_the_settings_is_kept_and_no_log_holds_it(
    listen: Start, inside: Run, tmp_path: Path
) -> None:
    token = make_token()
    dotenv = tmp_path / ".env"
    dotenv.touch(mode=0o600)
    dotenv.write_text(f"VAVASMS_INBOUND_TOKEN={token}\n")
    listener = listen()
    assert listener.token == token
    assert "made for this run" not in listener.introduction
    assert send(inside, listener.url).returncode == 0
    assert send(inside, f"{listener.url}x").returncode == 3
    with socket.create_connection(("127.0.0.1", int(listener.url.split(":")[2].split("/")[0]))) as raw:
        raw.sendall(f"POST /{token} HTTP/9.9\r\n\x00\r\n\r\n".encode())
        assert b" 400 " in raw.recv(1000)
    code, printed, errors = listener.stop()
    assert (code, errors) == (0, "")
    assert token not in printed.partition("vavasms inbound trigger")[2]


@posix
def test_the_senders_of_stop_words_go_to_the_ledger_that_was_named(
    listen: Start, inside: Run, tmp_path: Path
) -> None:
    ledger = str(tmp_path / "ledger.db")
    listener = listen("--ledger", ledger)
    assert send(inside, listener.url, "Stop merci").returncode == 0
    assert HANDSET in inside("optouts", "list", "--ledger", ledger).stdout
    code, printed, _ = listener.stop()
    assert code == 0
    assert "go to the ledger's opt-out list" in printed


@posix
def test_what_nobody_was_shown_is_not_acknowledged(listen: Start, inside: Run) -> None:
    listener = listen("--json")
    assert listener.process.stdout is not None
    listener.process.stdout.close()
    finished = send(inside, listener.url)
    assert finished.returncode == 3
    assert "500 Internal Server Error" in finished.stderr
    assert listener.process.wait(10) == 141


@posix
@pytest.mark.slow
def test_a_client_that_sends_nothing_does_not_hold_up_the_end(listen: Start) -> None:
    listener = listen("--json")
    port = int(listener.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(
            f"POST /{listener.token} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        # The body is being waited for.
        assert b" 100 " in slow.recv(1000)
        assert listener.stop() == (0, "", "")


@posix
def test_where_others_can_reach_it_it_warns(listen: Start, inside: Run) -> None:
    listener = listen("--host", "0.0.0.0")
    assert listener.url.startswith("http://127.0.0.1:")
    assert send(inside, listener.url).returncode == 0
    code, _, errors = listener.stop()
    assert code == 0
    assert "Others can reach it by plain HTTP" in errors


def test_a_url_of_the_sixth_version_is_one() -> None:
    listening = Listening(
        host="::1", port=0, token="token", keeps_token=True, seen=None, ledger=None, as_json=False
    )
    try:
        sock = bind("::1", 0)
    except InvalidInputError:
        pytest.skip("no IPv6 here")
    with sock:
        assert make_url(sock, listening) == f"http://[::1]:{sock.getsockname()[1]}/token"


def test_a_place_it_cannot_listen_at_is_one_sentence(inside: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch(mode=0o600)
    other.write_text("something else")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, why in {
            ("--port", port): "is taken by another program",
            ("--port", "70000"): "0 to 65535",
            ("--port", "0", "--host", "nowhere.invalid"): "is no IP address",
            ("--port", "0", "--host", "\0"): "is no IP address",
            ("--port", "0", "--host", "192.0.2.1"): "cannot be used",
            ("--port", "0", "--seen", "postgresql://u:topsecret@h/x"): "path of a file",
            ("--port", "0", "--seen", str(other)): "holds something else",
        }.items():
            finished = inside("inbound", "listen", *options)
            assert (finished.returncode, finished.stdout) == (2, "")
            assert why in finished.stderr
            assert "topsecret" not in finished.stderr
            assert finished.stderr.count("\n") == 1


def test_a_token_that_can_be_guessed_is_refused_and_not_shown(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_INBOUND_TOKEN", "hunter2hunter2")
    finished = inside("inbound", "listen", "--port", "0")
    assert finished.returncode == 2
    assert "token" in finished.stderr
    assert "hunter2" not in finished.stderr


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 0, "204 No Content"),
        (b"HTTP/1.1 307 Elsewhere\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", 3, "307 Temporary"),
        (b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", 3, "404 Not Found"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", 3, "503 Service Unavailable"),
        (b"HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", 3, "(599)"),
        (b"", 4, "is unknown"),
    ],
)
def test_each_answer_has_its_exit_code_and_none_shows_the_token(
    inside: Run, reply: bytes, code: int, words: str
) -> None:
    with answering(reply) as url:
        finished = send(inside, url)
    assert finished.returncode == code
    printed = finished.stdout + finished.stderr
    assert words in printed
    assert url.rpartition("/")[2] not in printed
    assert printed.count("\n") == 1


def test_where_nobody_listens_nothing_was_sent(inside: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    token = make_token()
    finished = send(inside, f"http://127.0.0.1:{port}/{token}")
    assert finished.returncode == 5
    assert "obody listens" in finished.stderr
    assert token not in finished.stderr


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "VAVASMS_INBOUND_URL"),
        ("http://example.com/TOKEN", "https://"),
        ("http://127.0.0.1.example.com/TOKEN", "https://"),
        ("http://localhost@example.com/TOKEN", "https://"),
        ("ftp://127.0.0.1/TOKEN", "must be like"),
        ("127.0.0.1:8426/TOKEN", "must be like"),
        ("http://127.0.0.1:8426x/TOKEN", "must be like"),
        ("http://[::1/TOKEN", "must be like"),
        ("http://127.0.0.1/\x1bTOKEN", "must be like"),
    ],
)
def test_a_url_that_would_show_its_token_on_the_way_is_refused(inside: Run, url: str, why: str) -> None:
    finished = send(inside, url)
    assert finished.returncode == 2
    assert why in finished.stderr
    assert "TOKEN" not in finished.stderr.replace("VAVASMS_INBOUND_TOKEN", "")


def test_a_url_is_shown_as_its_host_only() -> None:
    for url in ("https://a:b@example.com:444/sms/TOKEN/?t=TOKEN#TOKEN", "https://example.com:444/TOKEN"):
        assert check_url(url) == url
        assert mask(url) == "https://example.com:444/…"
