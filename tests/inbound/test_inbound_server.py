"""On a real server: what it logs, and what becomes of connections that are too slow or too full."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.inbound.posting import TOKEN
from tests.uvicorn_server import access_log_kept, serving
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.tokens import HideToken
from vavasms.models import InboundMessage

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}


@pytest.mark.parametrize("prefix", ["", "/sms"])
def test_the_access_log_holds_no_token_right_or_wrong(prefix: str) -> None:
    inbox: list[InboundMessage] = []
    inbound = InboundApp(inbox.append, token=TOKEN)
    with (
        access_log_kept() as log,
        serving(Starlette(routes=[Mount(prefix, inbound)]) if prefix else inbound) as origin,
        httpx.Client() as http,
    ):
        url = f"{origin}{prefix}/{TOKEN}"
        assert http.post(url, data=FIELDS).status_code == 200
        assert http.get(url).status_code == 405
        assert http.post(url + "/", data=FIELDS).status_code == 404
        assert http.post(url, content=b"x" * 100_000).status_code == 413
    written = log.getvalue()
    assert [f"{prefix}/hidden HTTP" in each for each in written.splitlines()] == [True] * 4
    assert TOKEN not in written


def test_a_filter_does_the_same_for_what_a_server_logs_of_other_apps() -> None:
    with access_log_kept() as log, serving(Starlette()) as origin:
        logging.getLogger("uvicorn.access").handlers[-1].addFilter(HideToken(TOKEN))
        assert httpx.get(f"{origin}/elsewhere/{TOKEN}").status_code == 404
    written = log.getvalue()
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
