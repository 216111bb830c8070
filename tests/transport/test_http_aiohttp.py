"""`backend="aiohttp"`: another engine, the same promises."""

from __future__ import annotations

import gc
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import pytest
import trustme

from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    ServerError,
    Timeouts,
    UnexpectedReplyError,
    VavaSMSError,
    __version__,
)
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_backoff")]

ONE = "2250759123456"
TEXT = "sentinel-texte"
LOGIN = "username=sandbox%40example.com&password=sandbox"
QUICK = Timeouts(connect=0.2, write=0.2, read=0.2, send=0.2)
Scene = Callable[[SandboxServer], AbstractContextManager[dict[str, Any]]]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio only: aiohttp knows no other loop."""
    return "asyncio"


def connect(base_url: str, **settings: Any) -> AsyncVavaSMS:
    given: dict[str, Any] = {"sender_id": "ACME", "base_url": base_url, "backend": "aiohttp"}
    return AsyncVavaSMS("sandbox@example.com", "sandbox", trust_env=False, **given | settings)


@contextmanager
def as_it_is(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {}


@contextmanager
def quick(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"timeouts": QUICK}


@contextmanager
def closed_port(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield {"base_url": f"http://127.0.0.1:{taken.getsockname()[1]}/api"}


@contextmanager
def stalled_handshake(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield {"base_url": f"https://127.0.0.1:{listener.getsockname()[1]}/api", "timeouts": QUICK}


@contextmanager
def stranger(_: SandboxServer) -> Iterator[dict[str, Any]]:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as pem,
        SandboxServer(Gateway(), ssl_certfile=pem, ssl_keyfile=pem) as server,
    ):
        yield {"base_url": server.url}
        assert len(server.gateway.journal) == 0


def fault(kind: FaultKind, **details: Any) -> Fault:
    return Fault(kind=kind, **details)


UNKNOWN, NOT_SENT = Outcome.UNKNOWN, Outcome.NOT_SENT
#: Scene, fault, error and outcome of a send, how often the gateway accepts it, posts of a send and a read.
ROWS: dict[str, tuple[Scene, Fault | None, type[VavaSMSError], Outcome, int, int, int]] = {
    "refused": (closed_port, None, NotSentError, NOT_SENT, 0, 3, 3),
    "stalled handshake": (stalled_handshake, None, NotSentError, NOT_SENT, 0, 3, 3),
    "certificate of a stranger": (stranger, None, NotSentError, NOT_SENT, 0, 1, 1),
    "closed before reading": (
        as_it_is, fault(FaultKind.CLOSE_BEFORE_READING), OutcomeUnknownError, UNKNOWN, 0, 1, 3,
    ),
    "closed after reading": (
        as_it_is, fault(FaultKind.CLOSE_AFTER_READING), OutcomeUnknownError, UNKNOWN, 0, 1, 3,
    ),
    "closed after accepting": (
        as_it_is, fault(FaultKind.CLOSE_AFTER_ACCEPTING), OutcomeUnknownError, UNKNOWN, 1, 1, 3,
    ),
    "reset before reading": (
        as_it_is, fault(FaultKind.RESET, moment=Moment.BEFORE_READING), OutcomeUnknownError, UNKNOWN, 0, 1, 3,
    ),
    "reset after accepting": (
        as_it_is, fault(FaultKind.RESET, moment=Moment.AFTER_ACCEPTING), OutcomeUnknownError, UNKNOWN, 1, 1, 3,
    ),
    "stalled after accepting": (
        quick, fault(FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=5), OutcomeUnknownError, UNKNOWN,
        1, 1, 3,
    ),
    "cut in its head": (
        as_it_is, fault(FaultKind.CUT, at=12, in_head=True), OutcomeUnknownError, UNKNOWN, 1, 1, 3,
    ),
    "cut in its body": (as_it_is, fault(FaultKind.CUT, at=20), OutcomeUnknownError, UNKNOWN, 1, 1, 3),
    "429": (as_it_is, fault(FaultKind.RATE_LIMIT), RateLimitedError, NOT_SENT, 0, 1, 3),
    "503": (as_it_is, fault(FaultKind.STATUS), ServerError, UNKNOWN, 0, 1, 3),
    "504 after accepting": (
        as_it_is, fault(FaultKind.STATUS, status=504, moment=Moment.AFTER_ACCEPTING), ServerError, UNKNOWN,
        1, 1, 3,
    ),
    "HTML under 200": (
        as_it_is, fault(FaultKind.HTML, moment=Moment.AFTER_ACCEPTING), UnexpectedReplyError, UNKNOWN, 1, 1, 2,
    ),
    "a redirect": (as_it_is, fault(FaultKind.REDIRECT), ConfigurationError, UNKNOWN, 0, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
async def test_each_failure_has_the_same_outcome_as_with_the_other_engine(
    name: str, sandbox: SandboxServer
) -> None:
    scene, given, error, outcome, accepted, send_posts, read_posts = ROWS[name]
    if given is not None:
        sandbox.faults.set_rates({given: 1})
    posts: list[object] = []
    with scene(sandbox) as settings:
        base_url = settings.pop("base_url", sandbox.url)
        async with connect(base_url, on_request=posts.append, **settings) as sms:
            with pytest.raises(VavaSMSError) as caught:
                await sms.send(ONE, TEXT)
            assert (type(caught.value), caught.value.outcome) == (error, outcome)
            assert caught.value.halts is (name in {"certificate of a stranger", "a redirect"})
            assert len(posts) == send_posts
            with pytest.raises(error):
                await sms.balance()
            assert len(posts) == send_posts + read_posts
    assert sandbox.gateway.journal.counts().get(ONE, 0) == accepted
    assert TEXT not in repr(caught.value)


async def test_every_call_works(sandbox: SandboxServer) -> None:
    async with connect(sandbox.url) as sms:
        assert (await sms.balance()).currency == "XOF"
        lot = await sms.send([ONE, "2250759123457"], TEXT)
        assert lot.by_recipient is not None
        [report] = await sms.delivery_reports(lot.message_ids[0])
        assert report.message_id == lot.message_ids[0]
        await sms.send_otp(ONE, length=6)
        assert await sms.verify_otp(ONE, str(sandbox.gateway.latest_otp(ONE)))
    assert sandbox.gateway.journal.accepted_count(ONE) == 2


async def test_the_wire_holds_the_same_bytes_and_no_cookie() -> None:
    heads: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            for _ in range(2):
                head = b"".join(iter(stream.readline, b"\r\n"))
                heads.append(head + stream.read(len(LOGIN)))
                body = b'{"code": 0, "data": {"amount": 1, "currency": "XOF"}}'
                cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\n"
                connection.sendall(cookie + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        async with connect(f"http://localhost:{port}/api") as sms:
            await sms.balance()
            await sms.balance()
        thread.join(5)
    expected = (
        f"POST /api/v1/check/balance HTTP/1.1\r\nHost: localhost:{port}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n"
        f"User-Agent: vavasms/{__version__}\r\nContent-Length: {len(LOGIN)}\r\n"
        f"{LOGIN}"
    )
    assert [head.lower() for head in heads] == [expected.lower().encode()] * 2


async def test_a_connection_that_the_server_closed_meanwhile_makes_no_unknown(sandbox: SandboxServer) -> None:
    async with connect(sandbox.url) as sms:
        for _ in range(50):
            await sms.send(ONE, TEXT)
            # The second waits until the first has closed the sockets.
            await anyio.to_thread.run_sync(sandbox.drop_connections)
            await anyio.to_thread.run_sync(sandbox.drop_connections)
    assert sandbox.gateway.journal.accepted_count(ONE) == 50


async def test_cancelled_calls_give_their_places_back(sandbox: SandboxServer) -> None:
    sandbox.faults.set_rates({fault(FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30): 1})
    async with connect(sandbox.url, max_connections=2) as sms:
        for number in range(1, 21):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sms.send, ONE, TEXT)
                assert await anyio.to_thread.run_sync(sandbox.gateway.journal.wait_for, number)
                tasks.cancel_scope.cancel()
        sandbox.faults.clear()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(sms.balance)
    assert sandbox.gateway.journal.accepted_count(ONE) == 20


async def test_a_block_that_is_cancelled_leaves_nothing_open(sandbox: SandboxServer) -> None:
    with anyio.CancelScope() as scope:
        async with connect(sandbox.url) as sms:
            await sms.balance()
            scope.cancel()
            await anyio.sleep_forever()
    gc.collect()
    with anyio.fail_after(5):
        while sandbox.connections:
            await anyio.sleep(0.01)


def test_without_its_extra_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    with pytest.raises(ConfigurationError, match=r"vavasms\[aiohttp\]") as caught:
        connect("https://vavasms.com/api")
    assert caught.value.outcome is NOT_SENT


def test_under_trio_it_is_refused_before_anything_is_sent(sandbox: SandboxServer) -> None:
    async def main() -> None:
        gateway = sandbox.gateway
        async with AsyncVavaSMS(
            gateway.username,
            gateway.password,
            sender_id="SANDBOX",
            base_url=sandbox.url,
            trust_env=False,
            backend="aiohttp",
        ) as sms:
            with pytest.raises(ConfigurationError, match="runs on asyncio only") as caught:
                await sms.send(ONE, TEXT)
            assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)
            assert (await sms.send_bulk([ONE], TEXT)).not_sent == 1

    anyio.run(main, backend="trio")
    assert not sandbox.gateway.journal.entries
