"""The client's promises: the very bytes of each call, the refusals before any, the settings, the end.

The server is a bare socket: what is on the wire is compared to the byte, and "nothing was sent" means
that nobody connected.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import anyio
import httpx
import pytest

from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    DeliveryStatus,
    InvalidInputError,
    InvalidMessageError,
    InvalidNumberError,
    InvalidOtpTemplateError,
    InvalidSenderIdError,
    OtpVerification,
    Outcome,
    VavaSMSError,
    __version__,
)
from vavasms.config import Secret
from vavasms.models import OtpReason
from vavasms.sandbox import SandboxServer
from vavasms.tracebacks import hide_frames
from vavasms.transport.http import MAX_LENGTHS

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parent / "samples"
ONE, TWO = "2250709000001", "2250709000002"
LOGIN = b"username=m%C3%A9+you%40example.com&password=p%26w%2B%3D+%23%25"


class Recorder:
    """Keep every request to the byte, answer each with `reply`: one thread a connection."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.requests: list[tuple[list[str], bytes]] = []
        self.opened = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for holder in (self._listener, *self._open):
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
            self.opened += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while lines := list(iter(stream.readline, b"\r\n")):
                if lines[-1] == b"":  # pragma: no cover - the client left within a head
                    return
                head = [line.decode("ascii").rstrip("\r\n") for line in lines]
                length = next(int(line[16:]) for line in head if line.startswith("Content-Length: "))
                self.requests.append((head, stream.read(length)))
                connection.sendall(self.reply)
                if stream.peek(1) == b"":
                    return


def reply(body: bytes, *headers: str) -> bytes:
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def sample(name: str) -> bytes:
    return reply((SAMPLES / f"{name}.body").read_bytes())


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VAVASMS_")]:
        monkeypatch.delenv(name)


@contextmanager
def nobody() -> Iterator[dict[str, Any]]:
    """Yield the settings of a gateway that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield {"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/api"}
        with pytest.raises(BlockingIOError):
            listener.accept()


def connect(base_url: str, **settings: Any) -> AsyncVavaSMS:
    options = {"sender_id": "ACME", "base_url": base_url} | settings
    return AsyncVavaSMS("mé you@example.com", "p&w+= #%", **options)


# Wrong types are given on purpose: the client is Any here.
Call = Callable[[Any], Any]
WIRE: dict[str, tuple[str, Call, str, bytes]] = {
    "balance": ("balance_ok", lambda sms: sms.balance(), "/v1/check/balance", b""),
    "one number": (
        "send_ok",
        lambda sms: sms.send("+225 07 09 00 00 01", "Bonjour à tous & merci + 1 €"),
        "/v1/text/single",
        b"&sender_id=ACME&message=Bonjour+%C3%A0+tous+%26+merci+%2B+1+%E2%82%AC&phone=2250709000001",
    ),
    "two numbers, one of them twice": (
        "send_ok",
        lambda sms: sms.send(["0709000001", TWO, "+2250709000001"], "x", sender_id="My Shop"),
        "/v1/text/single",
        b"&sender_id=My+Shop&message=x&phone=2250709000001%2C2250709000002",
    ),
    "a generator of numbers": (
        "send_ok",
        lambda sms: sms.send((number for number in (TWO, ONE)), "line\r\nline"),
        "/v1/text/single",
        b"&sender_id=ACME&message=line%0D%0Aline&phone=2250709000002%2C2250709000001",
    ),
    "delivery status": (
        "status_ok",
        lambda sms: sms.delivery_reports("SM-1&é"),
        "/v1/text/single",
        b"&message_id=SM-1%26%C3%A9",
    ),
    "delivery status with its lot": (
        "status_ok",
        lambda sms: sms.delivery_reports("SM-1", lot_id="LOT-2"),
        "/v1/text/single",
        b"&message_id=SM-1&lot_id=LOT-2",
    ),
    "a one-time code with the gateway's defaults": (
        "otp_send_ok",
        lambda sms: sms.send_otp(ONE),
        "/v1/otp/send",
        b"&sender_id=ACME&phone=2250709000001",
    ),
    "a one-time code with everything": (
        "otp_send_ok",
        lambda sms: sms.send_otp(
            ONE,
            length=6,
            valid_for=timedelta(hours=1, minutes=30),
            template="Code ##OTP##",
            sender_id="SHOP",
            language="fr",
        ),
        "/v1/otp/send",
        b"&sender_id=SHOP&phone=2250709000001&otp_length=6&otp_expiry=90&message=Code+%23%23OTP%23%23&lang=fr",
    ),
    "a code to check, its zeros kept": (
        "otp_verify_ok",
        lambda sms: sms.verify_otp(ONE, " 042317 "),
        "/v1/otp/verify",
        b"&phone=2250709000001&otp=042317&sender_id=ACME",
    ),
    "a code to check under another sender": (
        "otp_verify_ok",
        lambda sms: sms.verify_otp(ONE, "0000", sender_id="SHOP"),
        "/v1/otp/verify",
        b"&phone=2250709000001&otp=0000&sender_id=SHOP",
    ),
}


@pytest.mark.parametrize("case", WIRE)
async def test_each_call_puts_exactly_these_bytes_on_the_wire(case: str) -> None:
    answer, call, path, fields = WIRE[case]
    with Recorder(sample(answer)) as server:
        async with connect(server.url) as sms:
            await call(sms)
    [(head, body)] = server.requests
    assert body == LOGIN + fields
    assert head == [
        f"POST /api{path} HTTP/1.1",
        f"Host: {server.url.split('/')[2]}",
        "Content-Type: application/x-www-form-urlencoded",
        "Accept: application/json",
        f"User-Agent: vavasms/{__version__}",
        f"Content-Length: {len(body)}",
    ]


async def test_the_content_length_is_exact_for_ever_so_many_lengths() -> None:
    lengths = [*range(1, MAX_LENGTHS + 10), 1, 2, 3]
    with Recorder(sample("send_ok")) as server:
        async with connect(server.url) as sms:
            for length in lengths:
                await sms.send(ONE, "a" * length)
    fixed = len(LOGIN + b"&sender_id=ACME&message=&phone=2250709000001")
    assert [len(body) for _, body in server.requests] == [fixed + length for length in lengths]
    assert {len(head) for head, _ in server.requests} == {6}


async def test_a_code_can_be_checked_without_any_sender_id() -> None:
    with Recorder(sample("otp_verify_ok")) as server:
        async with connect(server.url, sender_id=None) as sms:
            assert await sms.verify_otp(ONE, "1234")
    assert server.requests[0][1] == LOGIN + b"&phone=2250709000001&otp=1234"


async def test_each_call_gives_the_values_of_the_documentation() -> None:
    with Recorder(sample("balance_ok")) as server:
        async with connect(server.url) as sms:
            balance = await sms.balance()
            assert (balance.amount, balance.currency) == (Decimal(25540), "XOF")
            server.reply = sample("send_ok")
            lot = await sms.send(ONE, "x")
            assert (lot.lot_id, lot.message_ids) == ("LOT-20190623-1217676", ("SM-20190623-1217879",))
            assert lot.by_recipient == {ONE: "SM-20190623-1217879"}
            server.reply = sample("status_ok")
            [report] = await sms.delivery_reports("SM-20190617-1445914")
            assert (report.status, report.raw_status, report.description) == (
                DeliveryStatus.SENT,
                "sent",
                "Envoyé",
            )
            server.reply = sample("otp_send_ok")
            receipt = await sms.send_otp(ONE)
            assert (receipt.message_id, receipt.description) == (
                "OTP-20190621-2234509",
                "OTP envoyé avec succès",
            )
            server.reply = sample("otp_verify_ok")
            verdict = await sms.verify_otp(ONE, "1234")
            assert verdict == OtpVerification(valid=True, message_id="OTP-20190621-2250698")
    assert server.opened == 1


async def test_a_cookie_is_never_sent_back() -> None:
    body = (SAMPLES / "balance_ok.body").read_bytes()
    with Recorder(reply(body, "Set-Cookie: session=1; Path=/", "Set-Cookie: other=2")) as server:
        async with connect(server.url.replace("127.0.0.1", "localhost")) as sms:
            await sms.balance()
            await sms.balance()
    first, second = server.requests
    assert first == second
    assert not [line for line in second[0] if line.lower().startswith("cookie")]


#: A number that no sentence of ours takes for its example.
PRIVATE = "2250759123456"
REFUSED: dict[str, tuple[type[VavaSMSError], Call]] = {
    "no recipient": (InvalidInputError, lambda sms: sms.send([], "x")),
    "recipient None": (InvalidInputError, lambda sms: sms.send(None, "x")),
    "recipient bytes": (InvalidInputError, lambda sms: sms.send(b"2250759123456", "x")),
    "recipient int": (InvalidInputError, lambda sms: sms.send(2250759123456, "x")),
    "recipients int": (InvalidInputError, lambda sms: sms.send([2250759123456], "x")),
    "recipient empty": (InvalidNumberError, lambda sms: sms.send("", "x")),
    "one bad among good ones": (InvalidNumberError, lambda sms: sms.send([PRIVATE, "12 34", TWO], "x")),
    "message empty": (InvalidMessageError, lambda sms: sms.send(PRIVATE, "")),
    "message blank": (InvalidMessageError, lambda sms: sms.send(PRIVATE, " \r\n\t")),
    "message None": (InvalidMessageError, lambda sms: sms.send(PRIVATE, None)),
    "message bytes": (InvalidMessageError, lambda sms: sms.send(PRIVATE, b"x")),
    "message with half a character": (InvalidMessageError, lambda sms: sms.send(PRIVATE, "x\ud83d")),
    "message of 256 segments": (InvalidMessageError, lambda sms: sms.send(PRIVATE, "a" * (153 * 255 + 1))),
    "message of 256 UCS-2 segments": (
        InvalidMessageError,
        lambda sms: sms.send(PRIVATE, "ç" * (67 * 255 + 1)),
    ),
    **{
        f"sender ID {bad!r}": (
            InvalidSenderIdError,
            lambda sms, bad=bad: sms.send(PRIVATE, "x", sender_id=bad),  # type: ignore[misc]
        )
        for bad in ("", "AB", "ABCDEFGHIJKL", "ÉCOLE", "AC\x00ME", "AC\r\nME", "ACME ", "AC\x7fE", 12345)
    },
    "sender ID of an OTP": (InvalidSenderIdError, lambda sms: sms.send_otp(PRIVATE, sender_id="X")),
    "sender ID of a check": (
        InvalidSenderIdError,
        lambda sms: sms.verify_otp(PRIVATE, "1234", sender_id="X"),
    ),
    "empty sender ID of a check": (
        InvalidSenderIdError,
        lambda sms: sms.verify_otp(PRIVATE, "1234", sender_id=""),
    ),
    "OTP to None": (InvalidInputError, lambda sms: sms.send_otp(None)),
    "OTP to a list": (InvalidInputError, lambda sms: sms.send_otp([PRIVATE])),
    "OTP to a bad number": (InvalidNumberError, lambda sms: sms.send_otp("12 34")),
    "template without the tag": (
        InvalidOtpTemplateError,
        lambda sms: sms.send_otp(PRIVATE, template="Code #OTP#"),
    ),
    "template empty": (InvalidOtpTemplateError, lambda sms: sms.send_otp(PRIVATE, template="")),
    "template too long": (
        InvalidMessageError,
        lambda sms: sms.send_otp(PRIVATE, template="##OTP##" + "a" * 40_000),
    ),
    **{
        f"length {bad!r}": (
            InvalidInputError,
            lambda sms, bad=bad: sms.send_otp(PRIVATE, length=bad),  # type: ignore[misc]
        )
        for bad in (3, 10, 0, -4, True, 6.0, "6")
    },
    **{
        f"valid for {bad!r}": (
            InvalidInputError,
            lambda sms, bad=bad: sms.send_otp(PRIVATE, valid_for=bad),  # type: ignore[misc]
        )
        for bad in (
            timedelta(0),
            timedelta(seconds=30),
            timedelta(seconds=90),
            timedelta(minutes=-1),
            timedelta(minutes=1, microseconds=1),
            10,
            "10",
        )
    },
    "language": (InvalidInputError, lambda sms: sms.send_otp(PRIVATE, language="français")),
    **{
        f"code {bad!r}": (
            InvalidInputError,
            lambda sms, bad=bad: sms.verify_otp(PRIVATE, bad),  # type: ignore[misc]
        )
        for bad in (42317, None, b"042317", 4.5)
    },
    "check for a bad number": (InvalidNumberError, lambda sms: sms.verify_otp("12 34", "1234")),
    "message id empty": (InvalidInputError, lambda sms: sms.delivery_reports("")),
    "message id None": (InvalidInputError, lambda sms: sms.delivery_reports(None)),
    "message id with half a character": (InvalidInputError, lambda sms: sms.delivery_reports("\ud83d")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_bad_input_is_refused_in_one_sentence_before_anything_is_sent(case: str) -> None:
    expected, call = REFUSED[case]
    with nobody() as settings:
        async with connect(**settings) as sms:
            with pytest.raises(expected) as caught:
                await call(sms)
    assert isinstance(caught.value, ValueError)
    assert caught.value.outcome in {Outcome.NOT_SENT, None}
    sentence = str(caught.value)
    assert sentence
    assert sentence.isprintable()
    assert len(sentence) < 300
    assert PRIVATE[3:] not in sentence


async def test_a_message_of_255_segments_is_sent() -> None:
    with Recorder(sample("send_ok")) as server:
        async with connect(server.url) as sms:
            await sms.send(ONE, "a" * (153 * 255))
    assert len(server.requests[0][1]) > 153 * 255


@pytest.mark.parametrize(
    "settings",
    [
        {"max_connections": 0},
        {"max_connections": -1},
        {"max_connections": True},
        {"max_connections": 1.5},
        {"region": "XX"},
        {"region": "Côte d'Ivoire"},
        {"region": 225},
        {"transport": object()},
        {"base_url": "http://vavasms.com/api"},
        {"base_url": "vavasms.com/api"},
        {"base_url": "ftp://vavasms.com/api"},
        {"base_url": "https://"},
        {"base_url": "https://user:pw@vavasms.com/api"},
        {"base_url": "https://vavasms.com/api?"},
        {"base_url": "https://vavasms.com/api#x"},
        {"base_url": "https://vavasms.com:99999/api"},
        {"base_url": "https://vavasms.com:0/api"},
        {"base_url": "https://[::1/api"},
        {"base_url": "https://vava sms.com/api"},
        {"base_url": "https://vavasms.com/api\r\nX: y"},
        {"base_url": "https://vavasmś.com/api"},
        {"base_url": "http://127.0.0.1.example.com/api"},
        {"status_path": "v1/status"},
        {"status_path": "/v1/status?x"},
        {"status_path": "/v1/st atus"},
        {"status_path": "/v1/état"},
    ],
)
def test_bad_settings_are_refused_before_anything_is_sent(settings: dict[str, Any]) -> None:
    with nobody() as gateway, pytest.raises(ConfigurationError) as caught:
        connect(**gateway | settings)
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)
    assert "p&w" not in str(caught.value)


@pytest.mark.parametrize(
    ("credentials", "missing"),
    [((None, None), "username"), ((None, "x"), "username"), (("x", None), "password")],
)
def test_missing_credentials_are_named(credentials: tuple[Any, Any], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"No {missing}: .*VAVASMS_{missing.upper()}"):
        AsyncVavaSMS(*credentials)


def test_credentials_that_are_no_text_are_refused_without_showing_them() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        AsyncVavaSMS("me", "secret\udc80")
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize("call", ["send", "send_otp", "send_bulk"])
async def test_without_a_sender_id_nothing_is_sent(call: str) -> None:
    with nobody() as settings:
        async with connect(sender_id=None, **settings) as sms:
            with pytest.raises(ConfigurationError, match="VAVASMS_SENDER_ID") as caught:
                await getattr(sms, call)(ONE if call == "send_otp" else [ONE], *["x"] * (call != "send_otp"))
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)


async def test_everything_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder(sample("send_ok")) as server:
        for name, value in {
            "USERNAME": "mé you@example.com",
            "PASSWORD": "p&w+= #%",
            "SENDER_ID": "ENVID",
            "BASE_URL": f"{server.url}/",
            "STATUS_PATH": "/v2/dlr",
        }.items():
            monkeypatch.setenv(f"VAVASMS_{name}", value)
        async with AsyncVavaSMS() as sms:
            await sms.send(ONE, "x")
            server.reply = sample("status_ok")
            await sms.delivery_reports("SM-1")
    [(sent, body), (asked, fields)] = server.requests
    assert sent[0] == "POST /api/v1/text/single HTTP/1.1"
    assert body == LOGIN + b"&sender_id=ENVID&message=x&phone=2250709000001"
    assert asked[0] == "POST /api/v2/dlr HTTP/1.1"
    assert fields == LOGIN + b"&message_id=SM-1"


async def test_an_argument_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "SENDER_ID", "BASE_URL", "STATUS_PATH"):
        monkeypatch.setenv(f"VAVASMS_{name}", "https://gateway.invalid")
    with Recorder(sample("status_ok")) as server:
        async with connect(server.url, status_path="/v3/dlr") as sms:
            await sms.delivery_reports("SM-1")
            server.reply = sample("send_ok")
            await sms.send(ONE, "x")
    assert [head[0].split()[1] for head, _ in server.requests] == ["/api/v3/dlr", "/api/v1/text/single"]
    assert server.requests[1][1].startswith(LOGIN + b"&sender_id=ACME&")


async def test_national_numbers_are_those_of_the_region() -> None:
    with Recorder(sample("send_ok")) as server:
        async with connect(server.url, region="sn") as sms:
            await sms.send("77 123 45 67", "x")
    assert server.requests[0][1].endswith(b"&phone=221771234567")


async def test_a_client_needs_no_block_and_no_event_loop_to_be_made() -> None:
    with Recorder(sample("balance_ok")) as server:
        sms = await anyio.to_thread.run_sync(connect, server.url)
        try:
            assert (await sms.balance()).currency == "XOF"
        finally:
            await sms.aclose()


async def test_a_closed_client_says_so_and_sends_nothing() -> None:
    with nobody() as settings:
        sms = connect(**settings)
        await sms.aclose()
        await sms.aclose()
        for call in (lambda: sms.send(ONE, "x"), lambda: sms.send_otp(ONE)):
            with pytest.raises(ConfigurationError, match="closed") as caught:
                await call()
            assert caught.value.outcome is Outcome.NOT_SENT
        with pytest.raises(ConfigurationError, match="closed") as refused:
            await sms.balance()
        assert refused.value.outcome is None


class _Given(httpx.MockTransport):
    closings: int = 0

    async def aclose(self) -> None:
        self.closings += 1


async def test_a_given_transport_is_closed_with_the_client() -> None:
    transport = _Given(lambda _: httpx.Response(200, content=(SAMPLES / "balance_ok.body").read_bytes()))
    async with connect("https://gateway.invalid/api", transport=transport) as sms:
        assert (await sms.balance()).amount == 25540
        before = transport.closings
    assert (before, transport.closings) == (0, 1)


async def test_a_bulk_send_is_cut_into_requests_like_those_of_send() -> None:
    numbers = [ONE, TWO, "2250709000003"]
    with Recorder(sample("send_ok")) as server:
        async with connect(server.url) as sms:
            report = await sms.send_bulk(numbers, "x", batch_size=2, concurrency=1)
            async with sms.stream_bulk(numbers, "x", batch_size=3) as results:
                outcomes = [result.outcome async for result in results]
    assert (report.accepted, outcomes) == (3, [Outcome.ACCEPTED])
    prefix = LOGIN + b"&sender_id=ACME&message=x&phone="
    assert [body for _, body in server.requests] == [
        # Before several batches the balance is read.
        LOGIN,
        prefix + b"2250709000001%2C2250709000002",
        prefix + b"2250709000003",
        prefix + b"2250709000001%2C2250709000002%2C2250709000003",
    ]


async def test_a_fault_of_the_callers_own_keeps_its_traceback_and_sends_nothing() -> None:
    def numbers() -> Iterator[str]:
        yield ONE
        raise KeyError("the caller's own")

    with nobody() as settings:
        async with connect(**settings) as sms:
            with pytest.raises(KeyError, match="own") as caught:
                await sms.send(numbers(), "x")
    assert [entry.name for entry in caught.traceback][-1] == "numbers"


def test_a_plain_function_is_sealed_alike() -> None:
    def fail(error: BaseException) -> None:
        raise error from OSError("behind it")

    with pytest.raises(KeyError) as foreign:
        hide_frames(fail)(KeyError("foreign"))
    with pytest.raises(InvalidInputError) as ours:
        hide_frames(fail)(InvalidInputError("ours"))
    with pytest.raises(KeyboardInterrupt) as interrupt:
        hide_frames(fail)(KeyboardInterrupt())
    names = [[entry.name for entry in caught.traceback][-1] for caught in (foreign, ours, interrupt)]
    assert names == ["fail", "call", "call"]
    assert foreign.value.__cause__ is not None
    assert ours.value.__cause__ is interrupt.value.__cause__ is None


def test_neither_the_client_nor_its_password_can_be_shown_or_pickled() -> None:
    sms = connect("https://vavasms.com/api")
    assert repr(sms) == "AsyncVavaSMS(base_url='https://vavasms.com/api', sender_id='ACME')"
    assert "p&w" not in repr([vars(sms), vars(sms._transport), sms._settings])
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(Secret("p&w"))
    assert (str(Secret("p&w")), f"{Secret('p&w')}") == ("***", "***")


@pytest.mark.parametrize("typed", ["", "abc", "12", "1234567890", "code ?"])
async def test_what_can_be_no_code_is_malformed_and_nobody_is_asked(typed: str) -> None:
    with nobody() as settings:
        async with connect(**settings) as sms:
            verification = await sms.verify_otp(ONE, typed)
    assert (verification.valid, verification.reason, verification.message_id) == (
        False,
        OtpReason.MALFORMED,
        None,
    )
    assert not verification


async def test_a_code_passes_however_it_was_typed(sandbox: SandboxServer) -> None:
    async with AsyncVavaSMS("sandbox@example.com", "sandbox", base_url=sandbox.url) as sms:
        for form in (" {}{}{}-{}{}{}", "{} {} {} {} {} {}"):
            await sms.send_otp(ONE, length=6, sender_id="SANDBOX")
            code = str(sandbox.gateway.latest_otp(ONE))
            assert await sms.verify_otp(ONE, form.format(*code), sender_id="SANDBOX")


async def test_the_documented_default_sender_is_the_username(sandbox: SandboxServer) -> None:
    username = sandbox.gateway.username
    async with AsyncVavaSMS(username, "sandbox", base_url=sandbox.url, sender_id=username) as sms:
        await sms.send(ONE, "Bonjour")
        await sms.send_otp(ONE)
        code = str(sandbox.gateway.latest_otp(ONE))
        assert await sms.verify_otp(ONE, code)
        assert (await sms.send_bulk([ONE], "Bonjour")).accepted == 1
        with pytest.raises(InvalidSenderIdError):
            await sms.send(ONE, "Bonjour", sender_id="other@example.com")
    assert {entry.sender_id for entry in sandbox.gateway.journal.entries} == {username}
