"""The transport against hostile servers and foreign transports: redirects, endless replies, hooks, retries."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote_plus

import anyio
import httpx
import pytest
import respx

from vavasms import (
    AsyncVavaSMS,
    CallInfo,
    ConfigurationError,
    GatewayError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    ServerError,
    Timeouts,
    UnexpectedReplyError,
    VavaSMSError,
)
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer, create_app
from vavasms.transport.response import MAX_REPLY_BYTES

pytestmark = pytest.mark.anyio

ONE = "2250759123456"
TEXT = "sentinel-texte"
PASSWORD = "S3ntinel pass&word"
OK = b'{"code": 0, "message": "OPERATION_SUCCES", "data": {"amount": 5, "currency": "XOF"}}'


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    return (
        "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body
    )


class RawServer:
    """Answer each request by `answer`, one thread a connection, and count connections and requests."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self._answer = answer
        self.requests = self.opened = self.open = self.peak = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for holder in (self._listener, *self._connections):
            try:
                holder.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            holder.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._count(1)
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _count(self, change: int) -> None:
        with self._lock:
            self.opened += change > 0
            self.open += change
            self.peak = max(self.peak, self.open)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while _read_request(stream):
                    with self._lock:
                        self.requests += 1
                    self._answer(connection)
            except OSError:
                pass
            # Counted before the client can know of the closing.
            self._count(-1)


def _read_request(stream: Any) -> bool:
    head = []
    while (line := stream.readline()) != b"\r\n":
        if not line:
            return False
        head.append(line)
    length = next(int(line[16:]) for line in head if line.startswith(b"Content-Length: "))
    return bool(stream.read(length))


def answering(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[socket.socket], object]:
    return lambda connection: connection.sendall(reply(body, status, *headers))


def connect(base_url: str, **settings: Any) -> AsyncVavaSMS:
    given: dict[str, Any] = {"password": "sandbox", "sender_id": "ACME", "trust_env": False}
    return AsyncVavaSMS("sandbox@example.com", base_url=base_url, **given | settings)


async def fails(call: Any, error: type[VavaSMSError], outcome: Outcome | None) -> VavaSMSError:
    with pytest.raises(VavaSMSError) as caught:
        await call
    assert (type(caught.value), caught.value.outcome) == (error, outcome)
    return caught.value


# --- redirects ---------------------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[str]:
    """Yield the URL of a host that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1/text/single"
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int, sandbox: SandboxServer) -> None:
    with nobody() as elsewhere:
        sandbox.faults.set_rates({Fault(kind=FaultKind.REDIRECT, status=status, location=elsewhere): 1})
        async with connect(sandbox.url) as sms:
            error = await fails(sms.send(ONE, TEXT), ConfigurationError, Outcome.UNKNOWN)
            await fails(sms.balance(), ConfigurationError, None)
    assert error.halts
    assert "redirect" in str(error)
    assert elsewhere not in str(error)


# --- transports of others ----------------------------------------------------------------------------


@respx.mock(assert_all_called=True)
async def test_respx_can_stand_in_for_the_gateway(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.post("https://gateway.example/api/v1/check/balance")
    route.respond(json={"code": 0, "data": {"amount": "12.5", "currency": "XOF"}})
    async with connect("https://gateway.example/api") as sms:
        assert str((await sms.balance()).amount) == "12.5"
    assert route.calls.last.request.content == b"username=sandbox%40example.com&password=sandbox"


async def test_a_mock_transport_can_stand_in_for_the_gateway() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, json={"code": 0, "data": {"lot_id": "L", "message_id": ["M"]}})

    async with connect("https://gateway.invalid/api", transport=httpx.MockTransport(answer)) as sms:
        assert (await sms.send(ONE, "x")).lot_id == "L"
    assert seen == [
        b"username=sandbox%40example.com&password=sandbox&sender_id=ACME&message=x&phone=2250759123456"
    ]


async def test_the_sandbox_can_run_in_process() -> None:
    gateway = Gateway()
    transport = httpx.ASGITransport(app=create_app(gateway, allowed_hosts=["gateway.invalid"]))
    async with connect("https://gateway.invalid/api", transport=transport) as sms:
        lot = await sms.send(ONE, "x")
        await sms.send_otp(ONE)
        assert await sms.verify_otp(ONE, str(gateway.latest_otp(ONE)))
    assert gateway.journal.accepted_count(ONE) == 2
    assert lot.by_recipient is not None


class Scripted(httpx.AsyncBaseTransport):
    """Answer, or fail, in turn; an answer does not look at the body unless told to."""

    def __init__(self, *steps: bytes | Exception, reads: bool = False) -> None:
        self._steps = list(steps)
        self._reads = reads
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self._reads:
            await request.aread()
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(200, content=step)


@pytest.mark.usefixtures("no_backoff")
async def test_a_transport_that_answers_without_the_body_cannot_tell_from_then_on() -> None:
    refused = httpx.ConnectError("refused")
    transport = Scripted(refused, refused, refused, OK, refused)
    async with connect("https://gateway.invalid/api", transport=transport, max_connections=1) as sms:
        await fails(sms.send(ONE, "x"), NotSentError, Outcome.NOT_SENT)
        assert transport.calls == 3
        assert (await sms.balance()).amount == 5
        await fails(sms.send(ONE, "x"), OutcomeUnknownError, Outcome.UNKNOWN)
        await fails(sms.verify_otp(ONE, "1234"), OutcomeUnknownError, Outcome.UNKNOWN)
    assert transport.calls == 6


async def test_an_application_that_answers_without_reading_makes_its_client_blind() -> None:
    fail = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if fail:
            raise RuntimeError("before it read anything")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": OK})

    async with connect("https://gateway.invalid/api", transport=httpx.ASGITransport(app=app)) as sms:
        await sms.balance()
        fail = True
        await fails(sms.send(ONE, "x"), OutcomeUnknownError, Outcome.UNKNOWN)


LEAKS = [
    ssl.SSLError(1, "raw"),
    OSError("raw"),
    RuntimeError("raw"),
    KeyError("raw"),
    TimeoutError("raw"),
    httpx.ConnectError("after all"),
    httpx.ConnectTimeout("what another engine may call a disconnect"),
    httpx.PoolTimeout("after all"),
    httpx.UnsupportedProtocol("after all"),
    httpx.DecodingError("x"),
]


@pytest.mark.parametrize("leak", LEAKS, ids=repr)
async def test_whatever_is_raised_after_the_body_leaves_the_outcome_unknown(leak: Exception) -> None:
    transport = Scripted(leak, reads=True)
    async with connect("https://gateway.invalid/api", transport=transport) as sms:
        error = await fails(sms.send(ONE, "x"), OutcomeUnknownError, Outcome.UNKNOWN)
        await fails(sms.verify_otp(ONE, "1234"), OutcomeUnknownError, Outcome.UNKNOWN)
    assert transport.calls == 2
    assert not error.halts
    assert type(leak).__name__ in str(error)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    ("leak", "expected", "halts", "attempts"),
    [
        (OSError("raw"), NotSentError, False, 3),
        (httpx.ReadError("before the body"), NotSentError, False, 3),
        (RuntimeError("raw"), NotSentError, False, 3),
        (httpx.PoolTimeout("full"), NotSentError, False, 1),
        (ssl.SSLCertVerificationError("not trusted"), NotSentError, True, 1),
        (ssl.SSLEOFError("cut"), NotSentError, False, 3),
        (httpx.UnsupportedProtocol("x"), ConfigurationError, True, 1),
        (httpx.LocalProtocolError("x"), ConfigurationError, True, 1),
    ],
    ids=repr,
)
async def test_whatever_is_raised_before_the_body_was_asked_for_sent_nothing(
    leak: Exception, expected: type[VavaSMSError], halts: bool, attempts: int
) -> None:
    transport = Scripted(leak)
    async with connect("https://gateway.invalid/api", transport=transport) as sms:
        error = await fails(sms.send(ONE, "x"), expected, Outcome.NOT_SENT)
    assert (error.halts, transport.calls) == (halts, attempts)


async def test_a_tls_refusal_is_found_behind_other_exceptions_however_long_their_chain() -> None:
    chain: Exception = ssl.SSLCertVerificationError("not trusted")
    for _ in range(3):
        outer = OSError("wrapped")
        outer.__cause__ = chain
        chain = outer
    async with connect("https://gateway.invalid/api", transport=Scripted(chain)) as sms:
        assert (await fails(sms.send(ONE, "x"), NotSentError, Outcome.NOT_SENT)).halts
    circle, other = OSError("a"), OSError("b")
    circle.__cause__, other.__cause__ = other, circle
    async with connect("https://gateway.invalid/api", transport=Scripted(circle, reads=True)) as sms:
        await fails(sms.send(ONE, "x"), OutcomeUnknownError, Outcome.UNKNOWN)


# --- replies that never end --------------------------------------------------------------------------


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


async def test_a_reply_without_end_ends_bounded_and_unknown() -> None:
    with RawServer(_flood) as server:
        async with connect(server.url) as sms:
            with anyio.fail_after(10):
                await fails(sms.send(ONE, "x"), UnexpectedReplyError, Outcome.UNKNOWN)
    assert server.requests == 1


async def test_a_foreign_transports_reply_without_end_ends_bounded_too() -> None:
    class Endless(httpx.AsyncByteStream):
        sent = 0

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                self.sent += 1
                await anyio.lowlevel.checkpoint()
                yield b" " * (MAX_REPLY_BYTES // 4 + 1)

    stream = Endless()

    class Foreign(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.aread()
            return httpx.Response(200, stream=stream)

    quick = Timeouts(connect=0.05, write=0.05, send=0.1)
    async with connect("https://gateway.invalid/api", transport=Foreign(), timeouts=quick) as sms:
        with anyio.fail_after(30), pytest.raises(VavaSMSError) as caught:
            await sms.send(ONE, "x")
    assert caught.value.outcome is Outcome.UNKNOWN


async def test_the_longest_reply_that_is_allowed_is_read() -> None:
    body = OK[:-1] + b', "more": "'
    body = body.ljust(MAX_REPLY_BYTES - 2, b"x") + b'"}'
    with RawServer(answering(body)) as server:
        async with connect(server.url) as sms:
            assert (await sms.balance()).amount == 5


async def test_a_reply_that_drips_is_bounded_by_the_whole_attempts_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        for byte in reply(OK):
            connection.sendall(bytes([byte]))
            if server.stopping.wait(0.05):
                return

    quick = Timeouts(connect=0.1, write=0.1, read=0.2, send=0.2)
    with RawServer(drip) as server:
        async with connect(server.url, timeouts=quick) as sms:
            started = time.monotonic()
            error = await fails(sms.send(ONE, "x"), OutcomeUnknownError, Outcome.UNKNOWN)
            assert time.monotonic() - started < 5
    # Not the time of one read.
    assert "(TimeoutError)" in str(error)
    assert server.requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 65536,
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=lambda answer: repr(answer[:40]),
)
async def test_what_is_no_readable_http_leaves_the_outcome_unknown_and_the_client_in_order(
    answer: bytes,
) -> None:
    answers = [answer, reply(OK)]
    with RawServer(lambda connection: connection.sendall(answers.pop(0))) as server:
        async with connect(server.url, max_connections=1, timeouts=Timeouts(send=0.5)) as sms:
            with pytest.raises(VavaSMSError) as caught:
                await sms.send(ONE, "x")
            assert caught.value.outcome is Outcome.UNKNOWN
            assert (await sms.balance()).amount == 5


@pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_compressed_reply_is_read_and_one_that_is_not_whole_is_unknown(
    name: str, compress: Callable[[bytes], bytes]
) -> None:
    packed, header = compress(OK), f"Content-Encoding: {name}"
    broken = [
        b"{}" + packed[2:],
        packed[:-1],
        packed + b"{",
        packed + packed,
        compress(b" " * MAX_REPLY_BYTES + OK),
    ]
    answers = [reply(body, "200 OK", header) for body in (packed, *broken)]
    with RawServer(lambda connection: connection.sendall(answers.pop(0))) as server:
        async with connect(server.url) as sms:
            assert (await sms.balance()).amount == 5
            for _ in broken:
                await fails(sms.send(ONE, "x"), UnexpectedReplyError, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (OK, "utf-8"),
        (OK, "identity"),
        (OK, ""),
        # The time in its header is part of the test's name, and each worker compresses at another second.
        (gzip.compress(zlib.compress(OK), mtime=0), "deflate, gzip"),
        (zlib.compress(OK)[2:-4], "deflate"),
    ],
)
async def test_whatever_an_encoding_is_called_a_success_is_read(body: bytes, encodings: str) -> None:
    answer = reply(body, "200 OK", f"Content-Encoding: {encodings}")
    with RawServer(lambda connection: connection.sendall(answer)) as server:
        async with connect(server.url) as sms:
            assert (await sms.balance()).amount == 5


async def test_an_early_hint_is_not_taken_for_the_answer() -> None:
    hinted = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + reply(OK)
    with RawServer(lambda connection: connection.sendall(hinted)) as server:
        async with connect(server.url) as sms:
            assert (await sms.balance()).amount == 5


# --- connections kept --------------------------------------------------------------------------------


async def test_twenty_calls_in_a_row_share_one_connection() -> None:
    with RawServer(answering(OK)) as server:
        async with connect(server.url) as sms:
            for _ in range(20):
                await sms.balance()
    assert (server.opened, server.requests) == (1, 20)


async def test_never_more_connections_than_allowed_are_open() -> None:
    def slowly(connection: socket.socket) -> None:
        server.stopping.wait(0.01)
        connection.sendall(reply(OK))

    with RawServer(slowly) as server:
        async with connect(server.url, max_connections=8) as sms:
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    for _ in range(64):
                        tasks.start_soon(sms.balance)
    assert server.requests == 64
    assert (server.opened, server.peak) == (8, 8)


# --- what others may see -----------------------------------------------------------------------------


def shown(infos: list[CallInfo]) -> list[tuple[Any, ...]]:
    return [(i.call, i.path, i.recipients, i.http_status, type(i.error).__name__) for i in infos]


async def test_hooks_see_each_attempt_and_no_secret(sandbox: SandboxServer) -> None:
    before: list[CallInfo] = []
    after: list[CallInfo] = []
    sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"))
    hooks = {"on_request": before.append, "on_response": after.append}
    async with connect(sandbox.url, **hooks) as sms:
        await sms.balance()
        await sms.send([ONE, "2250759123457"], TEXT)
        sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
        await fails(sms.send_otp(ONE), OutcomeUnknownError, Outcome.UNKNOWN)
    assert shown(before) == [
        ("balance", "/v1/check/balance", 0, None, "NoneType"),
        ("balance", "/v1/check/balance", 0, None, "NoneType"),
        ("send_text", "/v1/text/single", 2, None, "NoneType"),
        ("send_otp", "/v1/otp/send", 1, None, "NoneType"),
    ]
    assert shown(after) == [
        ("balance", "/v1/check/balance", 0, 429, "RateLimitedError"),
        ("balance", "/v1/check/balance", 0, 200, "NoneType"),
        ("send_text", "/v1/text/single", 2, 200, "NoneType"),
        ("send_otp", "/v1/otp/send", 1, None, "OutcomeUnknownError"),
    ]
    assert all(info.elapsed is None for info in before)
    assert all(info.elapsed is not None and info.elapsed >= 0 for info in after)
    for secret in ("sandbox@", ONE[3:], TEXT):
        assert secret not in repr(before + after)


async def test_a_hook_that_fails_is_logged_and_disturbs_no_send(
    sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(info: CallInfo) -> None:
        raise ValueError(f"sentinel {info.call}")

    async with connect(sandbox.url, on_request=fail, on_response=fail) as sms:
        assert (await sms.send(ONE, TEXT)).lot_id
    assert sandbox.gateway.journal.accepted_count(ONE) == 1
    mine = [record for record in caplog.records if record.name == "vavasms"]
    assert [record.levelname for record in mine] == ["WARNING", "WARNING"]
    assert "ValueError" in mine[0].getMessage()
    assert "sentinel" not in caplog.text


@pytest.mark.usefixtures("no_backoff")
async def test_the_log_has_one_line_for_each_attempt(
    sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.faults.script(Fault(kind=FaultKind.STATUS))
    async with connect(sandbox.url) as sms:
        await sms.balance()
        await sms.send(ONE, TEXT)
    lines = [record.getMessage() for record in caplog.records if record.name == "vavasms"]
    assert [line.split(" in ")[0] for line in lines] == [
        "balance to 0 recipient(s): HTTP 503",
        "balance to 0 recipient(s): HTTP 200",
        "send_text to 1 recipient(s): HTTP 200",
    ]
    assert [line.split(", ")[-1] for line in lines] == ["ServerError", "ok", "ok"]
    for secret in ("sandbox@", "sandbox%40", "password", ONE[3:], TEXT):
        assert secret not in caplog.text


async def test_what_a_reply_says_in_its_first_line_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = reply(b'{"code": 950, "message": "NO"}', f"403 {PASSWORD} {ONE} {TEXT}")
    with RawServer(lambda connection: connection.sendall(answer)) as server:
        async with connect(server.url) as sms:
            await fails(sms.send(ONE, TEXT), GatewayError, Outcome.REJECTED)
    assert '"HTTP/1.1 403 Forbidden"' in caplog.text
    assert not any(secret in caplog.text for secret in (PASSWORD, ONE, TEXT))


ECHOES = {
    "the password": PASSWORD,
    "the password as it travelled": quote_plus(PASSWORD),
    "the number": ONE,
    "the number with its plus": f"+{ONE}",
    "the national number": ONE[3:],
    "the text": TEXT,
}


async def test_what_is_too_short_to_be_a_secret_does_not_garble_the_gateways_words(
    sandbox: SandboxServer,
) -> None:
    body = b'{"code": 950, "message": "SENT", "description": "Ne pas envoyer sent."}'
    sandbox.faults.script(Fault(kind=FaultKind.RAW, body=body), Fault(kind=FaultKind.RAW, body=body))
    async with connect(sandbox.url) as sms:
        with pytest.raises(GatewayError) as short:
            await sms.send(ONE, "en")
        assert short.value.description == "Ne pas envoyer sent."
        with pytest.raises(GatewayError) as long:
            await sms.send(ONE, "sent.")
    assert str(long.value) == "The gateway refused (SENT, 950): Ne pas envoyer ***. Nothing was sent."


@pytest.mark.parametrize("echo", ECHOES)
async def test_what_the_gateways_words_repeat_of_the_request_is_taken_out(
    echo: str, sandbox: SandboxServer
) -> None:
    said = ECHOES[echo]
    body = f'{{"code": 950, "message": "NO: {said}", "description": "Refus: {said} (code 12345678)"}}'
    sandbox.faults.script(*[Fault(kind=FaultKind.RAW, body=body.encode())] * 2)
    async with connect(sandbox.url, password=PASSWORD) as sms:
        with pytest.raises(GatewayError) as caught:
            await sms.send([ONE, "2250759123457"], TEXT)
        with pytest.raises(GatewayError) as other:
            await sms.send_otp(ONE, template=f"{TEXT}##OTP##")
    for error in (caught.value, other.value):
        for secret in (PASSWORD, quote_plus(PASSWORD), ONE[3:]):
            assert secret not in repr([str(error), vars(error)])
        # What is not of the request stays.
        assert "(code 12345678)" in str(error)
        assert str(error.description).startswith("Refus: ")
    assert TEXT not in repr([str(caught.value), vars(caught.value)])


async def test_a_code_that_the_gateways_words_repeat_is_taken_out(sandbox: SandboxServer) -> None:
    body = b'{"code": 950, "message": "NO", "description": "Code 042317 refus\\u00e9"}'
    sandbox.faults.script(Fault(kind=FaultKind.RAW, body=body))
    async with connect(sandbox.url) as sms:
        with pytest.raises(GatewayError) as caught:
            await sms.verify_otp(ONE, "042317")
    assert "042317" not in repr([str(caught.value), vars(caught.value)])


# --- other attempts ----------------------------------------------------------------------------------


class Count:
    def __init__(self) -> None:
        self.posts = 0

    def __call__(self, _: CallInfo) -> None:
        self.posts += 1


async def test_a_read_that_failed_is_attempted_anew_and_gives_its_value(sandbox: SandboxServer) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STATUS, status=503))
    count = Count()
    async with connect(sandbox.url, on_request=count) as sms:
        assert (await sms.balance()).currency == "XOF"
    assert count.posts == 2


@pytest.mark.usefixtures("no_backoff")
async def test_an_outage_spends_the_budget_and_then_each_read_is_attempted_once(
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.set_rates({Fault(kind=FaultKind.STATUS, status=503): 1})
    count = Count()
    async with connect(sandbox.url, on_request=count) as sms:
        started = time.monotonic()
        for _ in range(30):
            await fails(sms.balance(), ServerError, None)
        elapsed = time.monotonic() - started
    # 20 tokens to begin with, 2 a second after that.
    assert 50 <= count.posts <= 50 + 2 * elapsed + 1


@pytest.mark.parametrize("call", ["balance", "verify"])
async def test_retry_after_is_honoured_by_what_may_be_repeated(call: str, sandbox: SandboxServer) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT, retry_after="1"))
    count = Count()
    async with connect(sandbox.url, on_request=count) as sms:
        started = time.monotonic()
        await (sms.balance() if call == "balance" else sms.verify_otp(ONE, "1234"))
        elapsed = time.monotonic() - started
    assert elapsed >= 0.9
    assert count.posts == 2


async def test_a_send_never_waits_for_retry_after_by_itself(sandbox: SandboxServer) -> None:
    sandbox.faults.set_rates({Fault(kind=FaultKind.RATE_LIMIT, retry_after="100"): 1})
    count = Count()
    async with connect(sandbox.url, on_request=count) as sms:
        with anyio.fail_after(30):
            error = await fails(sms.send(ONE, TEXT), RateLimitedError, Outcome.NOT_SENT)
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after, count.posts) == (100, 1)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS),
        Fault(kind=FaultKind.STATUS, status=408),
        Fault(kind=FaultKind.HTML, moment=Moment.AFTER_ACCEPTING),
        Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
        Fault(kind=FaultKind.RESET),
    ],
    ids=lambda fault: fault.kind.value,
)
async def test_a_send_that_failed_once_is_never_repeated_though_the_next_would_succeed(
    fault: Fault, sandbox: SandboxServer
) -> None:
    sandbox.faults.script(fault)
    count = Count()
    async with connect(sandbox.url, on_request=count) as sms:
        with pytest.raises(VavaSMSError) as caught:
            await sms.send(ONE, TEXT)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert count.posts == 1
    assert sandbox.gateway.journal.accepted_count(ONE) <= 1


@pytest.mark.parametrize(
    "echo",
    [
        f"refus de {' '.join([ONE[3:5], ONE[5:7], ONE[7:9], ONE[9:11], ONE[11:]])}",
        "Message invalide: Votre solde secret est de 4711",
        "Message invalide: Votre solde secret est de 4711 F Code: 998877",
    ],
    ids=["the number in groups", "a text that was cut", "a text on one line"],
)
async def test_an_altered_echo_of_the_request_is_taken_out_as_well(echo: str, sandbox: SandboxServer) -> None:
    body = f'{{"code": 950, "message": "NO", "description": "{echo}"}}'
    sandbox.faults.script(Fault(kind=FaultKind.RAW, body=body.encode()))
    async with connect(sandbox.url) as sms:
        with pytest.raises(GatewayError) as caught:
            await sms.send(ONE, "Votre solde secret est de 4711 F\nCode: 998877")
    shown = repr([str(caught.value), vars(caught.value)])
    assert "solde" not in shown
    assert "".join(filter(str.isdigit, shown)).find(ONE[5:11]) < 0


@pytest.mark.parametrize("option", [{"proxy": "http://127.0.0.1:3128"}, {"tls": "ca.pem"}], ids=str)
def test_a_transport_beside_a_proxy_or_tls_is_refused(option: dict[str, Any]) -> None:
    # Otherwise the one that a policy demands would be left out without a word.
    with pytest.raises(ConfigurationError, match="or a transport") as raised:
        connect(
            "https://gateway.invalid/api",
            transport=httpx.MockTransport(lambda _request: httpx.Response(200)),
            **option,
        )
    assert raised.value.error_code == "config.argument"
