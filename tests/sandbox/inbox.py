"""What the tests of the inbox share: sending at once, and reading a stream of events as a browser does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from attrs import define, field

from vavasms.sandbox import Gateway, SandboxServer

LOGIN = {"username": "sandbox@example.com", "password": "sandbox"}
PHONE = "2250700000101"
OTHER = "2250700000102"
SCRIPT = "<script>alert(1)</script> & \"'</template>"


def send(gateway: Gateway, phone: str = PHONE, message: str = "Bonjour") -> str:
    """Accept a text and give its first message id."""
    fields = {**LOGIN, "sender_id": "ACME", "phone": phone, "message": message}
    ids = json.loads(gateway.handle("/v1/text/single", fields).body)["data"]["message_id"]
    return str(ids[0])


def send_otp(gateway: Gateway, phone: str = PHONE) -> None:
    answer = gateway.handle("/v1/otp/send", {**LOGIN, "sender_id": "ACME", "phone": phone})
    assert json.loads(answer.body)["code"] == 0


@define
class Event:
    """Hold one server-sent event."""

    name: str = ""
    id: str = ""
    data: Any = None


@define
class Events:
    """Read events one by one; `size` counts the characters read."""

    lines: Iterator[str]
    headers: httpx.Headers
    size: int = field(default=0)

    def next(self, name: str) -> Event:
        """Read up to the next event of a name; the test's own timeout bounds it."""
        event = Event()
        for line in self.lines:
            self.size += len(line)
            key, _, value = line.partition(": ")
            if key == "event":
                event.name = value
            elif key == "id":
                event.id = value
            elif key == "data":
                event.data = json.loads(value)
            elif not line and event.name == name:
                return event
            elif not line:
                event = Event()
        raise AssertionError(f"the stream ended before {name}")


@contextmanager
def listening(server: SandboxServer, since: str = "", *, last: str | None = None) -> Iterator[Events]:
    """Listen over a real socket."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    url = f"{server.origin}/sandbox/inbox/events"
    with (
        httpx.Client(trust_env=False, timeout=5) as client,
        client.stream("GET", url, params={"since": since}, headers=headers) as reply,
    ):
        assert reply.status_code == 200
        yield Events(reply.iter_lines(), reply.headers)
