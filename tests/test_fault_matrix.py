"""The outcome table, row by row, over real sockets: each row x each call x asyncio, trio and sync.

Mock transports read the body before they raise, so that they cannot tell `NOT_SENT` from `UNKNOWN`: all
of this runs against the sandbox's server. Its journal is the ground truth: at most one acceptance for each
send, whatever went wrong. And in all of it no password, number or text shows anywhere.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any
from urllib.parse import quote_plus

import anyio
import pytest
import trustme
from attrs import field, frozen

from vavasms import (
    AsyncVavaSMS,
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    InvalidInputError,
    MessageNotFoundError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    ServerError,
    Timeouts,
    UnexpectedReplyError,
    UnknownSenderIdError,
    VavaSMS,
    VavaSMSError,
)
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer

pytestmark = pytest.mark.exhaustive

PASSWORD = "S3ntinel pass&word"
USERNAME = "sentinel@example.com"
TEXT = "sentinel-texte"
CALLS = ("balance", "status", "send", "otp", "verify")
READS, SENDS = ("balance", "status"), ("send", "otp")
QUICK = Timeouts(connect=0.15, write=1, pool=0.15, read=0.15, send=0.15)
Show = Callable[[BaseException], Iterator[str]]
#: Proves a row, of a call, in a mode, some times.
Prove = Callable[["Row", str, str, int], None]


@frozen
class Fate:
    """What a call must come to: an error of a type (None: none) and its outcome."""

    error: type[VavaSMSError] | None
    outcome: Outcome | None = None
    halts: bool = False


@frozen(kw_only=True)
class Row:
    name: str
    read: Fate | None
    send: Fate | None
    verify: Fate | None
    fault: Fault | None = None
    scene: Callable[[SandboxServer], AbstractContextManager[dict[str, Any]]] | None = None
    #: How many requests the gateway sees for one call; None: not counted.
    posts: dict[str, int] = field(factory=dict)
    #: Whether the gateway takes the send.
    accepted: bool = False
    calls: tuple[str, ...] = CALLS
    numbers: int = 1
    slow: bool = False

    def fate(self, call: str) -> Fate | None:
        return self.read if call in READS else self.send if call in SENDS else self.verify


OK = Fate(None)
NOT_SENT = Fate(NotSentError, Outcome.NOT_SENT)
LOST = Fate(OutcomeUnknownError, Outcome.UNKNOWN)
ODD = Fate(UnexpectedReplyError, Outcome.UNKNOWN)


def raw(body: bytes, moment: Moment = Moment.AFTER_READING, status: int = 200) -> Fault:
    return Fault(kind=FaultKind.RAW, body=body, moment=moment, status=status)


def status(code: int, moment: Moment = Moment.AFTER_READING) -> Fault:
    return Fault(kind=FaultKind.STATUS, status=code, moment=moment)


@contextmanager
def closed_port(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused, and nobody else gets it
        yield {"base_url": f"http://127.0.0.1:{taken.getsockname()[1]}/api"}


@contextmanager
def unknown_host(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"base_url": "https://gateway.invalid/api", "timeouts": Timeouts(connect=0.3)}


@contextmanager
def stalled_handshake(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts in its backlog, never answers
        yield {"base_url": f"https://127.0.0.1:{listener.getsockname()[1]}/api", "timeouts": QUICK}


def _answer(listener: socket.socket, reply: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(reply)


@contextmanager
def refusing_proxy(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        thread = threading.Thread(target=_answer, args=(listener, reply))
        thread.start()
        yield {
            "base_url": "https://gateway.invalid/api",
            "proxy": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "timeouts": QUICK,
        }
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@cache
def strangers_certificate() -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@contextmanager
def strange_certificate(_: SandboxServer) -> Iterator[dict[str, Any]]:
    certificate = strangers_certificate()
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as pem,
        SandboxServer(Gateway(), ssl_certfile=pem, ssl_keyfile=pem) as server,
    ):
        yield {"base_url": server.url}


@contextmanager
def no_sender_id(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"sender_id": None}


@contextmanager
def quick(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"timeouts": QUICK}


@contextmanager
def wrong_password(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"username": "someone@example.com"}


@contextmanager
def refused_is_unknown(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"retry_refused": False}


@contextmanager
def atomic_lots(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"lots_are_atomic": True}


@contextmanager
def refusals_final(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"refusals_are_final": True}


def after_body(
    name: str, fault: Fault, *, accepted: bool = False, scene: Any = None, slow: bool = False
) -> Row:
    posts = {"send": 1, "otp": 1, "verify": 1, "balance": 3}
    return Row(
        name=name, fault=fault, read=Fate(OutcomeUnknownError), send=LOST, verify=LOST,
        accepted=accepted, scene=scene, posts=posts, slow=slow,
    )  # fmt: skip


def refused_by_http(code: int, moment: Moment = Moment.AFTER_READING) -> Row:
    halts = code in {401, 403, 404, 405}
    return Row(
        name=f"HTTP {code} {moment.value}", fault=status(code, moment), read=Fate(GatewayError, None, halts),
        send=Fate(GatewayError, Outcome.UNKNOWN, halts=True), verify=Fate(GatewayError, Outcome.UNKNOWN, halts),
        accepted=moment is Moment.AFTER_ACCEPTING, posts=dict.fromkeys(CALLS, 1),
    )  # fmt: skip


def turned_away(code: int, retry_after: str | None) -> Row:
    fate = Fate(RateLimitedError, Outcome.NOT_SENT)
    return Row(
        name=f"HTTP {code}, Retry-After {retry_after}",
        fault=Fault(kind=FaultKind.RATE_LIMIT, status=code, retry_after=retry_after),
        read=Fate(RateLimitedError), send=fate, verify=fate,
        posts={"balance": 3, "status": 3, "send": 1, "otp": 1, "verify": 3},
    )  # fmt: skip


def server_error(code: int, moment: Moment = Moment.AFTER_READING) -> Row:
    return Row(
        name=f"HTTP {code} {moment.value}",
        fault=status(code, moment),
        accepted=moment is Moment.AFTER_ACCEPTING,
        read=Fate(ServerError),
        send=Fate(ServerError, Outcome.UNKNOWN),
        verify=LOST,
        posts={"balance": 3, "status": 3, "send": 1, "otp": 1, "verify": 1},
    )


def redirect(code: int) -> Row:
    fate = Fate(ConfigurationError, Outcome.UNKNOWN, halts=True)
    return Row(
        name=f"HTTP {code}", fault=Fault(kind=FaultKind.REDIRECT, status=code),
        read=Fate(ConfigurationError, None, halts=True), send=fate, verify=fate, posts=dict.fromkeys(CALLS, 1),
    )  # fmt: skip


def unreadable(name: str, fault: Fault, *, accepted: bool = False, reads: int = 2) -> Row:
    return Row(
        name=name, fault=fault, read=Fate(UnexpectedReplyError), send=ODD, verify=LOST, accepted=accepted,
        posts={"balance": reads, "status": reads, "send": 1, "otp": 1, "verify": 1},
    )  # fmt: skip


CODE_0 = b'{"code": 0, "message": "OPERATION_SUCCES", "data": {}}'
ROWS = [
    Row(name="refused by our own checks", read=Fate(InvalidInputError), calls=("status", "send", "otp", "verify"),
        send=Fate(InvalidInputError, Outcome.NOT_SENT), verify=Fate(InvalidInputError, Outcome.NOT_SENT),
        posts=dict.fromkeys(CALLS, 0)),
    Row(name="no sender ID", scene=no_sender_id, read=None, verify=None, calls=SENDS,
        send=Fate(ConfigurationError, Outcome.NOT_SENT, halts=True), posts=dict.fromkeys(CALLS, 0)),
    Row(name="unknown host", scene=unknown_host, read=Fate(NotSentError), send=NOT_SENT, verify=NOT_SENT,
        slow=True),
    Row(name="connection refused", scene=closed_port, read=Fate(NotSentError), send=NOT_SENT, verify=NOT_SENT),
    Row(name="stalled handshake", scene=stalled_handshake, read=Fate(NotSentError), send=NOT_SENT,
        verify=NOT_SENT, slow=True),
    Row(name="refusing proxy", scene=refusing_proxy, read=Fate(NotSentError), send=NOT_SENT, verify=NOT_SENT),
    Row(name="certificate of a stranger", scene=strange_certificate, read=Fate(NotSentError, None, halts=True),
        send=Fate(NotSentError, Outcome.NOT_SENT, halts=True),
        verify=Fate(NotSentError, Outcome.NOT_SENT, halts=True)),
    after_body("closed before reading", Fault(kind=FaultKind.CLOSE_BEFORE_READING)),
    after_body("closed after reading", Fault(kind=FaultKind.CLOSE_AFTER_READING)),
    after_body("closed after accepting", Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), accepted=True),
    after_body("reset before reading", Fault(kind=FaultKind.RESET, moment=Moment.BEFORE_READING)),
    after_body("reset after reading", Fault(kind=FaultKind.RESET)),
    after_body("reset after accepting", Fault(kind=FaultKind.RESET, moment=Moment.AFTER_ACCEPTING), accepted=True),
    after_body("reply cut in its head", Fault(kind=FaultKind.CUT, at=12, in_head=True), accepted=True),
    after_body("reply cut at byte 0", Fault(kind=FaultKind.CUT, at=0), accepted=True),
    after_body("reply cut at byte 20", Fault(kind=FaultKind.CUT, at=20), accepted=True),
    after_body("stalled after accepting", scene=quick, accepted=True, slow=True,
               fault=Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60)),
    Row(name="accepted", read=OK, send=OK, verify=None, accepted=True, calls=("balance", *SENDS),
        posts=dict.fromkeys(CALLS, 1)),
    Row(name="accepted, after a BOM", fault=Fault(kind=FaultKind.BOM), read=OK, send=OK, verify=None,
        accepted=True, calls=("balance", *SENDS)),
    Row(name="accepted, after a PHP warning", fault=Fault(kind=FaultKind.PHP_WARNING), read=OK, send=OK,
        verify=None, accepted=True, calls=("balance", *SENDS)),
    Row(name="too few ids", fault=Fault(kind=FaultKind.TOO_FEW_IDS), numbers=3, read=None, send=OK, verify=None,
        accepted=True, calls=("send",), posts={"send": 1}),
    Row(name="code 0 without data", fault=raw(CODE_0, Moment.AFTER_ACCEPTING), read=Fate(UnexpectedReplyError),
        send=OK, verify=LOST, accepted=True, posts=dict.fromkeys(CALLS, 1)),
    Row(name="901", scene=wrong_password, read=Fate(AuthenticationError, None, halts=True),
        send=Fate(AuthenticationError, Outcome.REJECTED, halts=True),
        verify=Fate(AuthenticationError, Outcome.REJECTED, halts=True), posts=dict.fromkeys(CALLS, 1)),
    Row(name="902", fault=raw(b'{"code": "902", "status": "INVALID_SENDER_ID", "description": "x",}'),
        read=Fate(UnknownSenderIdError, None, halts=True),
        send=Fate(UnknownSenderIdError, Outcome.REJECTED, halts=True),
        verify=Fate(UnknownSenderIdError, Outcome.REJECTED, halts=True), posts=dict.fromkeys(CALLS, 1)),
    Row(name="903, one recipient", fault=raw(b'{"code": "903", "status": "INVALID_PHONE_NUMBER",}'),
        read=Fate(RejectedNumberError), send=Fate(RejectedNumberError, Outcome.REJECTED),
        verify=Fate(RejectedNumberError, Outcome.REJECTED), posts=dict.fromkeys(CALLS, 1)),
    Row(name="903, several recipients", fault=raw(b'{"code": "903", "status": "INVALID_PHONE_NUMBER",}'),
        numbers=3, calls=("send",), read=None, verify=None, posts={"send": 1},
        send=Fate(RejectedNumberError, Outcome.UNKNOWN)),
    Row(name="903, several recipients, lots are atomic", scene=atomic_lots, numbers=3, calls=("send",), read=None,
        verify=None, fault=raw(b'{"code": "903", "status": "INVALID_PHONE_NUMBER",}'),
        send=Fate(RejectedNumberError, Outcome.REJECTED), posts={"send": 1}),
    *[Row(name=name, fault=raw(b'{"code": 913, "message": "%s", "data": []}' % name.encode()), calls=("verify",),
          read=None, send=None, verify=OK, posts={"verify": 1})
      for name in ("INVALID_OTP", "EXPIRED_OTP", "OTP_NOT_FOUND")],
    Row(name="709 on status", read=Fate(MessageNotFoundError), send=None, verify=None, calls=("status",),
        posts={"status": 1}),
    Row(name="an unknown 9xx code", fault=raw(b'{"code": 987, "message": "NOBODY_KNOWS", "data": []}'),
        read=Fate(GatewayError), send=Fate(GatewayError, Outcome.REJECTED),
        verify=Fate(GatewayError, Outcome.REJECTED), posts=dict.fromkeys(CALLS, 1)),
    Row(name="an unknown code", fault=raw(b'{"code": 123, "message": "NOBODY_KNOWS", "data": []}'),
        read=Fate(GatewayError), send=Fate(GatewayError, Outcome.UNKNOWN),
        verify=Fate(GatewayError, Outcome.UNKNOWN), posts=dict.fromkeys(CALLS, 1)),
    Row(name="an envelope beats its HTTP status",
        fault=raw(b'{"code": "901", "message": "INVALID_CREDENTIALS"}', status=503),
        read=Fate(AuthenticationError, None, halts=True),
        send=Fate(AuthenticationError, Outcome.REJECTED, halts=True),
        verify=Fate(AuthenticationError, Outcome.REJECTED, halts=True), posts=dict.fromkeys(CALLS, 1)),
    unreadable("HTML under 200", Fault(kind=FaultKind.HTML, moment=Moment.AFTER_ACCEPTING), accepted=True),
    unreadable("an empty body under 200", Fault(kind=FaultKind.EMPTY, moment=Moment.AFTER_ACCEPTING), accepted=True),
    unreadable("cut JSON under 200", raw(CODE_0[:-1], Moment.AFTER_ACCEPTING), accepted=True),
    unreadable("no code", raw(b'{"message": "OPERATION_SUCCES", "data": {}}')),
    unreadable("success in lenient JSON", raw(b'{"code": 0, "data": {},}', Moment.AFTER_ACCEPTING), accepted=True),
    *[redirect(code) for code in (301, 302, 303, 307, 308)],
    *[refused_by_http(code) for code in (400, 401, 403, 404, 405, 411, 413, 414, 415, 422, 431)],
    refused_by_http(403, Moment.AFTER_ACCEPTING),
    *[Row(name=f"HTTP {code}, refusals are final", scene=refusals_final, fault=status(code), read=None,
          send=Fate(GatewayError, Outcome.REJECTED, code == 404), verify=Fate(GatewayError, Outcome.REJECTED, code == 404),
          calls=(*SENDS, "verify"), posts=dict.fromkeys(CALLS, 1)) for code in (404, 422)],
    Row(name="a success under HTTP 404, refusals are final", scene=refusals_final, accepted=True,
        fault=raw(CODE_0[:-1], Moment.AFTER_ACCEPTING, 404), read=None, verify=None, calls=SENDS,
        send=Fate(GatewayError, Outcome.UNKNOWN, halts=True), posts=dict.fromkeys(CALLS, 1)),
    turned_away(429, "1"), turned_away(429, "Wed, 21 Oct 2015 07:28:00 GMT"), turned_away(429, "soon"),
    turned_away(421, None), turned_away(425, None),
    Row(name="429 as unknown", scene=refused_is_unknown, fault=Fault(kind=FaultKind.RATE_LIMIT),
        read=Fate(RateLimitedError), send=Fate(RateLimitedError, Outcome.UNKNOWN),
        verify=Fate(RateLimitedError, Outcome.UNKNOWN), posts={"send": 1, "otp": 1, "verify": 1}),
    *[unreadable(f"HTTP {code}", status(code), reads=1) for code in (402, 409, 410, 418, 451)],
    *[unreadable(f"code 0 under HTTP {code}", raw(CODE_0, Moment.AFTER_ACCEPTING, code), accepted=True, reads=1)
      for code in (400, 429, 500)],
    *[server_error(code) for code in (408, 500, 502, 503)],
    server_error(504, Moment.AFTER_ACCEPTING),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    gateway = Gateway(username=USERNAME, password=PASSWORD, balance=10**12)
    with SandboxServer(gateway) as running:
        yield running


class Meter:
    """Counts the requests that came to the gateway's door, and hands out numbers never used before."""

    def __init__(self) -> None:
        self.posts = 0
        self._next = 0

    def __call__(self, _: object) -> None:
        self.posts += 1

    def numbers(self, count: int) -> list[str]:
        self._next += count
        return [f"22507591{self._next - i:05d}" for i in range(count)]


def invoke(client: Any, call: str, numbers: list[str], row: Row) -> Any:
    bad = row.name == "refused by our own checks"
    to: Any = ["12 34"] if bad else numbers
    match call:
        case "balance":
            return client.balance()
        case "status":
            return client.delivery_reports("  " if bad else "SM-20260101-9")
        case "send":
            return client.send(to, TEXT)
        case "otp":
            return client.send_otp(to[0], template=f"{TEXT} ##OTP##")
        case _:
            return client.verify_otp(to[0], "042317")


def check_secrecy(shown: str, numbers: list[str]) -> None:
    for secret in (PASSWORD, quote_plus(PASSWORD), TEXT, *[number[3:] for number in numbers]):
        assert secret not in shown, f"{secret!r} shows in: {shown[:2000]}"


def check(
    row: Row, call: str, show: Show, error: BaseException | None, value: Any, numbers: list[str]
) -> None:
    fate = row.fate(call)
    assert fate is not None
    if fate.error is None:
        assert error is None
        check_secrecy(repr(value), numbers)
        return
    assert type(error) is fate.error or (
        fate.error is InvalidInputError and isinstance(error, InvalidInputError)
    )
    assert isinstance(error, VavaSMSError)
    assert (error.outcome, error.halts) == (fate.outcome, fate.halts)
    assert error.safe_to_retry is (fate.outcome is Outcome.NOT_SENT)
    for shown in show(error):
        check_secrecy(shown, numbers)


def run_async(
    backend: str, settings: dict[str, Any], row: Row, call: str, runs: int, meter: Meter, show: Show
) -> list[str]:
    used: list[str] = []

    async def main() -> None:
        async with AsyncVavaSMS(**settings) as client:
            check_secrecy(repr(client) + repr(vars(client)), [])
            for _ in range(runs):
                numbers = meter.numbers(row.numbers)
                used.extend(numbers)
                error, value = None, None
                try:
                    value = await invoke(client, call, numbers, row)
                except BaseException as raised:
                    error = raised
                check(row, call, show, error, value, numbers)

    anyio.run(main, backend=backend)
    return used


def run_sync(settings: dict[str, Any], row: Row, call: str, runs: int, meter: Meter, show: Show) -> list[str]:
    used: list[str] = []
    with VavaSMS(**settings) as client:
        check_secrecy(repr(client) + repr(vars(client)), [])
        for _ in range(runs):
            numbers = meter.numbers(row.numbers)
            used.extend(numbers)
            error, value = None, None
            try:
                value = invoke(client, call, numbers, row)
            except BaseException as raised:
                error = raised
            check(row, call, show, error, value, numbers)
    return used


@pytest.fixture
def prove(server: SandboxServer, caplog: pytest.LogCaptureFixture, all_tracebacks: Show) -> Prove:
    """Make a call of a row some times with a client of their own, and look at everything."""

    def call_it(row: Row, call: str, mode: str, runs: int) -> None:
        caplog.clear()
        server.faults.clear()
        server.gateway.journal.clear()
        if row.fault is not None:
            server.faults.set_rates({row.fault: 1.0})
        meter = Meter()
        with (row.scene or (lambda _: nullcontext({})))(server) as changes, caplog.at_level(logging.DEBUG):
            settings: dict[str, Any] = {
                "username": USERNAME, "password": PASSWORD, "sender_id": "ACME", "base_url": server.url,
                "on_request": meter, "trust_env": False,
            } | changes  # fmt: skip
            if mode == "sync":
                numbers = run_sync(settings, row, call, runs, meter, all_tracebacks)
            else:
                numbers = run_async(mode, settings, row, call, runs, meter, all_tracebacks)
        if call in row.posts:
            assert meter.posts == row.posts[call] * runs
        counts = server.gateway.journal.counts()
        if call in SENDS:
            assert {counts.get(number, 0) for number in numbers} == {int(row.accepted)}
        else:
            assert not counts
        check_secrecy(caplog.text, numbers)

    return call_it


CASES = [
    pytest.param(row, call, mode, id=f"{row.name}-{call}-{mode}")
    for row in ROWS
    for call in row.calls
    if row.fate(call) is not None
    for mode in ("asyncio", "trio", "sync")
]


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("row", "call", "mode"), CASES)
def test_each_failure_has_the_outcome_of_the_table(row: Row, call: str, mode: str, prove: Prove) -> None:
    # The second on the connection that the first has left, where it has left one.
    prove(row, call, mode, 1 if row.slow else 2)


@pytest.mark.full
@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("row", "call", "mode"), CASES)
def test_each_failure_has_the_outcome_of_the_table_twenty_times(
    row: Row, call: str, mode: str, prove: Prove
) -> None:
    for _ in range(4):
        # A client of its own for each five: its retry budget is not what is looked at here.
        prove(row, call, mode, 5)
