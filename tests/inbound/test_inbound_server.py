"""On a real server: what it logs, and what becomes of connections that are too slow or too full."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tests.inbound.posting import TOKEN
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.tokens import HideToken
from vavasms.models import InboundMessage

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}


class Server(uvicorn.Server):
    """A server in a thread that says when it listens."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app on loopback."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            assert server.is_up.wait(20)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def access_log() -> Iterator[logging.StreamHandler[io.StringIO]]:
    """Yield a handler that keeps what uvicorn writes into its access log, in its own form.

    The logger may have others: those of the servers of other tests, and pytest's own where it does not propagate.
    """
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(
        uvicorn.logging.AccessFormatter('%(client_addr)s - "%(request_line)s" %(status_code)s')
    )
    logger = logging.getLogger("uvicorn.access")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("prefix", ["", "/sms"])
def test_the_access_log_holds_no_token_right_or_wrong(
    access_log: logging.StreamHandler[io.StringIO], prefix: str
) -> None:
    inbox: list[InboundMessage] = []
    inbound = InboundApp(inbox.append, token=TOKEN)
    with (
        serving(Starlette(routes=[Mount(prefix, inbound)]) if prefix else inbound) as origin,
        httpx.Client() as http,
    ):
        url = f"{origin}{prefix}/{TOKEN}"
        assert http.post(url, data=FIELDS).status_code == 200
        assert http.get(url).status_code == 405
        assert http.post(url + "/", data=FIELDS).status_code == 404
        assert http.post(url, content=b"x" * 100_000).status_code == 413
    written = access_log.stream.getvalue()
    assert [f"{prefix}/hidden HTTP" in each for each in written.splitlines()] == [True] * 4
    assert TOKEN not in written


def test_a_filter_does_the_same_for_what_a_server_logs_of_other_apps(
    access_log: logging.StreamHandler[io.StringIO],
) -> None:
    access_log.addFilter(HideToken(TOKEN))
    with serving(Starlette()) as origin:
        assert httpx.get(f"{origin}/elsewhere/{TOKEN}").status_code == 404
    written = access_log.stream.getvalue()
    assert "/elsewhere/hidden HTTP/1.1" in written
    assert TOKEN not in written


def test_a_body_that_is_much_too_large_is_answered_and_cut_off() -> None:
    with serving(InboundApp(print, token=TOKEN)) as origin:
        port = int(origin.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            head = f"POST /{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
            sock.sendall(head.encode())
            answer = b""
            while chunk := sock.recv(4096):
                answer += chunk
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.full
def test_a_slow_body_is_answered_after_10_seconds_and_cut_off() -> None:
    with serving(InboundApp(print, token=TOKEN)) as origin:
        port = int(origin.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            sock.sendall(
                f"POST /{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nmessage_id".encode()
            )
            answer = b""
            while chunk := sock.recv(4096):
                answer += chunk
    assert answer.startswith(b"HTTP/1.1 408 ")
