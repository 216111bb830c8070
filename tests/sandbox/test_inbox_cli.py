"""`vavasms sandbox --inbound-url`: the command line hands the sandbox the bare POST it replies by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from tests.sandbox.inbox import PHONE

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "vavasms", "sandbox", "--port", "0", *options]
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(os.environ), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, dict[str, list[str]]]]]]:
    """Receive posts as a customer's own server would, and answer 204."""
    got: list[tuple[str, dict[str, list[str]]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, parse_qs(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_reply_written_in_the_page_reaches_the_url(
    start: Start, receiver: tuple[str, list[tuple[str, dict[str, list[str]]]]]
) -> None:
    url, got = receiver
    process = start("--json", "--inbound-url", url)
    assert process.stdout is not None
    origin = json.loads(process.stdout.readline())["base_url"].removesuffix("/api")
    body = {"phone": PHONE, "text": "STOP merci"}
    sent = httpx.post(f"{origin}/sandbox/inbox/reply", json=body, trust_env=False).json()
    assert (sent["status"], sent["error"]) == (204, "")
    ((path, fields),) = got
    assert (path, fields["form"], fields["content"]) == ("/token", [PHONE], ["STOP merci"])
    assert set(fields) == {"message_id", "form", "content", "sms_date"}


def test_where_nobody_listens_the_page_is_told(start: Start) -> None:
    process = start("--inbound-url", "http://127.0.0.1:1/token")
    assert process.stdout is not None
    while "look at in a browser" not in (line := process.stdout.readline()):
        assert line
    origin = line.split()[-1].removesuffix("/")
    sent = httpx.post(f"{origin}/sandbox/inbox/reply", json={"phone": PHONE, "text": "x"}, trust_env=False)
    assert (sent.json()["status"], sent.json()["error"]) == (None, "NotSentError")


def test_a_url_elsewhere_is_one_sentence_unless_it_is_allowed(start: Start) -> None:
    refused = start("--inbound-url", "http://inbound.example.com/token")
    out, errors = refused.communicate(timeout=20)
    assert (refused.returncode, out, errors.count("\n")) == (2, "", 1)
    assert "loopback" in errors
    allowed = start("--json", "--inbound-url", "http://inbound.example.com/token", "--allow-remote-inbound")
    assert allowed.stdout is not None
    assert json.loads(allowed.stdout.readline())["base_url"]
