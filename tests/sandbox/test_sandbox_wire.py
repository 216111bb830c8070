"""What a client sees on the wire of each fault, and what the journal holds."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import trustme
from attrs import frozen

from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxError, SandboxServer, serve
from vavasms.sandbox.connection import ConnectionControl, ConnectionGoneError

TEXT = "/v1/text/single"
LOGIN = {"username": "sandbox@example.com", "password": "sandbox"}
Fields = Callable[..., dict[str, str]]


@frozen
class Seen:
    """Hold what a raw client saw of a reply."""

    #: All bytes.
    data: bytes
    #: `eof` or `reset`.
    end: str

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]


def form(fields: dict[str, str]) -> bytes:
    body = urlencode(fields).encode()
    head = (
        f"POST /api{TEXT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    return head.encode() + body


def drain(sock: socket.socket) -> Seen:
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        return Seen(data, "reset")
    except ssl.SSLEOFError:
        return Seen(data, "eof")
    return Seen(data, "eof")


def connect(server: SandboxServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def post(server: SandboxServer, fields: dict[str, str]) -> Seen:
    with connect(server) as sock:
        sock.sendall(form(fields))
        return drain(sock)


def until(happened: Callable[[], bool]) -> None:
    """Wait for what the server does in its own thread, half a minute at most."""
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not happened():
        assert time.monotonic() < deadline
        pause.wait(0.005)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Hold every test to silence: no fault leaves a log record of uvicorn or a trace on stderr."""
    with caplog.at_level(logging.INFO):
        yield
    records = caplog.get_records("call")
    assert [record for record in records if record.name.startswith(("uvicorn", "asyncio"))] == []
    assert "Traceback" not in capfd.readouterr().err


# --- connections


def test_a_close_before_reading_leaves_the_body_unread_and_nothing_accepted(
    server: SandboxServer, text: Fields
) -> None:
    server.faults.script(Fault(kind=FaultKind.CLOSE_BEFORE_READING))
    head = form(text()).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with connect(server) as sock:
        sock.sendall(head)  # no byte of the body is needed: it is not waited for
        assert drain(sock) == Seen(b"", "eof")
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize(
    ("kind", "accepted"), [(FaultKind.CLOSE_AFTER_READING, 0), (FaultKind.CLOSE_AFTER_ACCEPTING, 1)]
)
def test_a_close_without_a_reply_looks_alike_whether_accepted_or_not(
    server: SandboxServer, text: Fields, kind: FaultKind, accepted: int
) -> None:
    server.faults.script(Fault(kind=kind))
    assert post(server, text()) == Seen(b"", "eof")
    assert len(server.gateway.journal) == accepted
    assert post_ok(server, text())


def post_ok(server: SandboxServer, fields: dict[str, str]) -> bool:
    with httpx.Client(trust_env=False, timeout=5) as client:
        reply = client.post(server.url + TEXT, data=fields)
    return bool(reply.json()["code"] == 0)


@pytest.mark.parametrize(
    ("moment", "accepted"),
    [(Moment.BEFORE_READING, 0), (Moment.AFTER_READING, 0), (Moment.AFTER_ACCEPTING, 1)],
)
def test_a_reset_is_a_tcp_reset_at_each_of_its_moments(
    server: SandboxServer, text: Fields, moment: Moment, accepted: int
) -> None:
    server.faults.script(Fault(kind=FaultKind.RESET, moment=moment))
    assert post(server, text()) == Seen(b"", "reset")
    assert len(server.gateway.journal) == accepted


def test_a_reply_cut_at_byte_ten_still_stands_in_the_journal(server: SandboxServer, text: Fields) -> None:
    server.faults.script(Fault(kind=FaultKind.CUT, at=10))
    seen = post(server, text())
    assert (seen.body, seen.end) == (b'{"code": 0', "eof")
    assert int(seen.head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) > 100
    assert server.gateway.journal.accepted_count("2250709000001") == 1


def test_a_reply_cut_in_its_head_still_stands_in_the_journal(server: SandboxServer, text: Fields) -> None:
    server.faults.script(Fault(kind=FaultKind.CUT, at=10, in_head=True))
    assert post(server, text()) == Seen(b"HTTP/1.1 2", "eof")
    assert len(server.gateway.journal) == 1


def test_a_stall_before_reading_ends_when_the_client_leaves(server: SandboxServer, text: Fields) -> None:
    server.faults.script(Fault(kind=FaultKind.STALL, moment=Moment.BEFORE_READING, seconds=0.05))
    with connect(server) as sock:
        sock.sendall(form(text())[:-3])
        assert server.faults.wait_taken(1)
    until(lambda: server.connections == 0)
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize("moment", list(Moment))
def test_a_stalled_request_goes_on_when_the_stall_is_over(
    server: SandboxServer, client: httpx.Client, text: Fields, moment: Moment
) -> None:
    server.faults.script(Fault(kind=FaultKind.STALL, moment=moment, seconds=0.02))
    assert client.post(TEXT, data=text()).json()["code"] == 0
    assert len(server.gateway.journal) == 1


def test_a_client_that_gives_up_on_a_stall_cannot_know_what_was_accepted(
    server: SandboxServer, text: Fields
) -> None:
    server.faults.script(Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60))
    with httpx.Client(trust_env=False, timeout=0.1) as client, pytest.raises(httpx.ReadTimeout):
        client.post(server.url + TEXT, data=text())
    assert server.gateway.journal.wait_for(1)


def test_a_server_that_stops_ends_a_stall_without_accepting(text: Fields) -> None:
    with SandboxServer() as server:
        server.faults.script(Fault(kind=FaultKind.STALL, seconds=60))
        sock = connect(server)
        sock.sendall(form(text()))
        assert server.faults.wait_taken(1)
    with sock:
        assert drain(sock).data == b""
    assert len(server.gateway.journal) == 0


# --- listeners


def refused(server: SandboxServer) -> bool:
    try:
        connect(server).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_refusing_server_drops_its_connections_and_comes_back_on_its_port(
    server: SandboxServer, text: Fields
) -> None:
    port = server.port
    with connect(server) as idle:
        until(lambda: server.connections == 1)
        with server.refuse():
            assert drain(idle) == Seen(b"", "eof")
            assert refused(server)
            with (
                pytest.raises(SandboxError, match="taken"),
                SandboxServer(port=port),
                SandboxServer(port=port),
            ):
                pass
    assert server.port == port
    assert post_ok(server, text())


def test_a_refuse_fault_closes_the_listener_for_its_seconds(server: SandboxServer, text: Fields) -> None:
    server.faults.script(Fault(kind=FaultKind.REFUSE, seconds=60))
    assert post(server, text()).data == b""
    assert refused(server)
    with server.refuse():  # a closed listener may be closed again, and an open one opened
        with server.refuse():
            assert refused(server)
        assert not refused(server)
    assert post_ok(server, text())
    server.faults.script(Fault(kind=FaultKind.REFUSE, seconds=0.01))
    assert post(server, text()).data == b""
    until(lambda: not refused(server))
    assert len(server.gateway.journal) == 1


def test_a_server_can_stop_while_it_refuses(text: Fields) -> None:
    with SandboxServer() as server:
        server.faults.script(Fault(kind=FaultKind.REFUSE, seconds=60))
        assert post(server, text()).data == b""
    assert refused(server)


def test_dropped_connections_are_idle_ones_too(server: SandboxServer) -> None:
    with connect(server) as sock:
        until(lambda: server.connections == 1)
        server.drop_connections()
        assert drain(sock) == Seen(b"", "eof")
    assert server.connections == 0


# --- replies


REPLIES: list[tuple[Fault, int, bytes | None, int]] = [
    (Fault(kind=FaultKind.STATUS), 503, b"<!DOCTYPE html>", 0),
    (Fault(kind=FaultKind.STATUS, status=502, body=b"", moment=Moment.AFTER_ACCEPTING), 502, None, 1),
    (Fault(kind=FaultKind.STATUS, status=204), 204, None, 0),
    (Fault(kind=FaultKind.STATUS, status=599), 599, b"<!DOCTYPE html>", 0),
    (Fault(kind=FaultKind.HTML), 200, b"<!DOCTYPE html>", 0),
    (Fault(kind=FaultKind.HTML, moment=Moment.AFTER_ACCEPTING), 200, b"<!DOCTYPE html>", 1),
    (Fault(kind=FaultKind.EMPTY), 200, None, 0),
    (Fault(kind=FaultKind.PHP_WARNING), 200, b"<br />\n<b>Warning</b>", 1),
    (Fault(kind=FaultKind.BOM), 200, b'\xef\xbb\xbf{"code": 0', 1),
    (Fault(kind=FaultKind.RAW, body=b"\x00\xff"), 200, b"\x00\xff", 0),
    (Fault(kind=FaultKind.RATE_LIMIT), 429, b"<!DOCTYPE html>", 0),
    (Fault(kind=FaultKind.REDIRECT), 307, None, 0),
]


@pytest.mark.parametrize(
    ("fault", "status", "beginning", "accepted"), REPLIES, ids=[str(one[0].kind.value) for one in REPLIES]
)
def test_each_spoilt_reply_is_what_its_fault_says(
    server: SandboxServer,
    client: httpx.Client,
    text: Fields,
    fault: Fault,
    status: int,
    beginning: bytes | None,
    accepted: int,
) -> None:
    server.faults.script(fault)
    reply = client.post(TEXT, data=text())
    assert reply.status_code == status
    assert reply.content == b"" if beginning is None else reply.content.startswith(beginning)
    assert len(server.gateway.journal) == accepted
    assert client.post(TEXT, data=text()).json()["code"] == 0  # the connection lives on


@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", None])
def test_retry_after_travels_word_for_word(
    server: SandboxServer, client: httpx.Client, text: Fields, retry_after: str | None
) -> None:
    server.faults.script(Fault(kind=FaultKind.RATE_LIMIT, status=425, retry_after=retry_after))
    reply = client.post(TEXT, data=text())
    assert (reply.status_code, reply.headers.get("retry-after")) == (425, retry_after)


def test_headers_and_locations_travel(server: SandboxServer, client: httpx.Client, text: Fields) -> None:
    server.faults.script(
        Fault(kind=FaultKind.STATUS, headers=(("X-Proxy", "yes"),)),
        Fault(kind=FaultKind.REDIRECT, status=302, location="https://other.invalid/"),
    )
    assert client.post(TEXT, data=text()).headers["x-proxy"] == "yes"
    assert client.post(TEXT, data=text()).headers["location"] == "https://other.invalid/"


def test_too_few_ids_are_one_fewer_though_all_are_accepted(
    server: SandboxServer, client: httpx.Client, text: Fields
) -> None:
    server.faults.script(*[Fault(kind=FaultKind.TOO_FEW_IDS)] * 4)
    reply = client.post(TEXT, data=text("2250709000001,2250709000002"))
    (entry,) = server.gateway.journal.entries
    assert reply.json()["data"]["message_id"] == list(entry.message_ids[:1])
    otp = {**LOGIN, "sender_id": "ACME", "phone": "2250709000001"}
    assert "message_id" not in client.post("/v1/otp/send", data=otp).json()["data"]
    assert client.post(TEXT, data=text(phone="x")).text.endswith(",\n}")  # no ids, nothing to drop
    status = client.post(TEXT, data={**LOGIN, "message_id": entry.message_ids[0]})
    assert status.json()["data"][0]["message_id"] == entry.message_ids[0]


@pytest.mark.parametrize(
    ("suffix", "status", "accepted"),
    [
        ("408", 408, 0),
        ("429", 429, 0),
        ("500", 500, 0),
        ("503", 503, 0),
        ("504", 504, 1),
        ("200", 200, 0),
        ("204", 200, 1),
        ("302", 302, 0),
        ("207", 200, 1),
    ],
)
def test_a_magic_number_brings_its_fault_whatever_the_script_says(
    server: SandboxServer, client: httpx.Client, text: Fields, suffix: str, status: int, accepted: int
) -> None:
    server.faults.script(None)
    reply = client.post(TEXT, data=text(f"2250700000{suffix}"))
    assert (reply.status_code, len(server.gateway.journal)) == (status, accepted)


@pytest.mark.parametrize(
    ("suffix", "data", "end"), [("444", b"", "eof"), ("104", b"", "reset"), ("206", b'{"code": 0', "eof")]
)
def test_a_magic_number_accepts_and_breaks_the_connection(
    server: SandboxServer, text: Fields, suffix: str, data: bytes, end: str
) -> None:
    seen = post(server, text(f"2250700000{suffix}"))
    assert (seen.body, seen.end) == (data, end)
    assert len(server.gateway.journal) == 1


# --- life


def test_the_server_reads_large_bodies_and_refuses_more_than_a_mebibyte(
    server: SandboxServer, client: httpx.Client, text: Fields
) -> None:
    assert client.post(TEXT, data=text(message="a" * 1_100_000)).status_code == 413
    assert client.put(server.origin + "/sandbox/balance", content=b"a" * 1_100_000).status_code == 413
    assert client.post(TEXT, data=text(message="a" * 200_000)).json()["message"] == "OPERATION_SUCCES"


@pytest.mark.parametrize("path", [b"/api/v1/text/single", b"/sandbox/balance"])
def test_a_client_that_leaves_amid_its_body_is_not_answered(server: SandboxServer, path: bytes) -> None:
    with connect(server) as sock:
        sock.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc" % path)
        until(lambda: server.connections == 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: server.connections == 0)
    assert len(server.gateway.journal) == 0


def test_a_port_that_is_taken_is_said_so(server: SandboxServer) -> None:
    with (
        pytest.raises(SandboxError, match=f"port {server.port} of 127.0.0.1 is taken"),
        SandboxServer(port=server.port),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_no_address_but_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(SandboxError, match="loopback addresses only"):
        serve(host, 0)


def test_a_port_that_cannot_be_is_said_so() -> None:
    with pytest.raises(SandboxError, match=r"port 70000 of 127\.0\.0\.1 cannot be used"):
        serve(port=70000)


def test_ipv6_and_localhost_are_loopback(text: Fields) -> None:
    with SandboxServer(host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}/api"
        assert post_ok(server, text())
    with SandboxServer(host="localhost") as server:
        assert server.origin == f"http://localhost:{server.port}"
        assert post_ok(server, text())


def test_serve_blocks_until_it_is_stopped(text: Fields) -> None:
    stop, running = threading.Event(), threading.Event()
    seen: list[bool] = []

    def ready(server: SandboxServer) -> None:
        seen.append(post_ok(server, text()))
        running.set()

    thread = threading.Thread(target=serve, kwargs={"port": 0, "ready": ready, "stop": stop})
    thread.start()
    assert running.wait(5)
    stop.set()
    thread.join(5)
    assert (seen, thread.is_alive()) == ([True], False)


class Patience(threading.Event):
    """End at the second wait, as a `stop` does that comes late."""

    def wait(self, timeout: float | None = None) -> bool:
        waited = self.is_set()
        self.set()
        return waited


def test_serve_waits_again_until_it_is_stopped() -> None:
    stop = Patience()
    serve(port=0, stop=stop)
    assert stop.is_set()


def test_a_server_outside_its_block_says_so() -> None:
    server = SandboxServer()
    assert (server.port, server.connections) == (0, 0)
    with pytest.raises(SandboxError, match="not running"), server.refuse():
        pass


def test_a_certificate_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    missing = str(tmp_path / "no.pem")
    with (
        pytest.raises(SandboxError, match="cannot start"),
        SandboxServer(ssl_certfile=missing, ssl_keyfile=missing),
    ):
        pass


# --- TLS


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[SandboxServer, ssl.SSLContext]]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certfile))
    issued.private_key_pem.write_to_path(str(keyfile))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with SandboxServer(ssl_certfile=str(certfile), ssl_keyfile=str(keyfile)) as server:
        yield server, context


def tls_post(
    server: SandboxServer, context: ssl.SSLContext, fields: dict[str, str], *, below: bool = False
) -> Seen:
    """Post over TLS; `below` watches the TCP connection itself, where OpenSSL may call a reset an end."""
    with context.wrap_socket(connect(server), server_hostname="127.0.0.1") as sock:
        sock.sendall(form(fields))
        if not below:
            return drain(sock)
        with socket.socket(fileno=sock.detach()) as bare:
            bare.settimeout(5)
            return drain(bare)


def test_tls_is_spoken_and_faults_strike_in_it(
    tls: tuple[SandboxServer, ssl.SSLContext], text: Fields
) -> None:
    server, context = tls
    with httpx.Client(trust_env=False, verify=context) as client:
        assert client.post(server.url + TEXT, data=text()).json()["code"] == 0
    server.faults.script(
        Fault(kind=FaultKind.CUT, at=10),
        Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
        Fault(kind=FaultKind.RESET),
    )
    assert tls_post(server, context, text()).body == b'{"code": 0'
    assert tls_post(server, context, text()) == Seen(b"", "eof")
    assert tls_post(server, context, text(), below=True).end == "reset"
    assert len(server.gateway.journal) == 3


def test_a_client_that_never_shakes_hands_does_not_keep_the_server(
    tls: tuple[SandboxServer, ssl.SSLContext],
) -> None:
    server, _ = tls
    with connect(server) as sock:
        server.drop_connections()  # one turn of the loop: the connection is taken
        server.__exit__(None, None, None)
        assert drain(sock).data == b""


# --- the connection


class Transport(asyncio.Transport):
    """Stand for a peer that never lets an orderly close end."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = asyncio.Event()

    def write(self, data: Any) -> None:
        assert data == b""

    def close(self) -> None:
        return

    def abort(self) -> None:
        self.lost.set()


def test_a_peer_that_does_not_let_go_is_dropped_after_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.sandbox.connection._CLOSING", 0.01)

    async def scenario() -> None:
        transport = Transport()

        async def receive() -> dict[str, str]:
            await transport.lost.wait()
            return {"type": "http.disconnect"}

        async def close_listener(seconds: float) -> None:
            raise AssertionError

        connection = ConnectionControl(
            transport=transport, receive=receive, stopping=asyncio.Event(), close_listener=close_listener
        )
        with pytest.raises(ConnectionGoneError):
            await connection.close()

    asyncio.run(scenario())


def test_a_client_that_has_left_already_is_gone() -> None:
    async def scenario() -> None:
        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def close_listener(seconds: float) -> None:
            raise AssertionError

        connection = ConnectionControl(
            transport=None, receive=receive, stopping=asyncio.Event(), close_listener=close_listener
        )
        for leave in (connection.close, connection.reset):
            with pytest.raises(ConnectionGoneError):
                await leave()

    asyncio.run(scenario())


def test_two_threads_drive_faults_and_requests_at_once(server: SandboxServer, text: Fields) -> None:
    fields = text()
    outcomes: list[int | str] = []

    def send() -> None:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as client:
            for _ in range(40):
                try:
                    outcomes.append(client.post(TEXT, data=fields).status_code)
                except httpx.TransportError as error:
                    outcomes.append(type(error).__name__)

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(10):
        server.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), None, Fault(kind=FaultKind.STATUS))
    sender.join(10)
    faults = server.faults.taken
    assert len(outcomes) == 40
    assert outcomes.count(200) == 40 - faults
    assert len(server.gateway.journal) == 40 - outcomes.count(503)


def test_a_gateway_can_be_brought_along(text: Fields) -> None:
    gateway = Gateway(password="another")
    with SandboxServer(gateway) as server:
        assert server.gateway is gateway
        reply = httpx.post(server.url + TEXT, data=text(), trust_env=False)
        assert "INVALID_CREDENTIALS" in reply.text
        with pytest.raises(json.JSONDecodeError):
            reply.json()
