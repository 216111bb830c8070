"""The way to the gateway: what each answer means, and what is shown of a URL."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.transport.servers import serving
from vavasms.config import Secret
from vavasms.doctor import network
from vavasms.doctor.findings import FindingState
from vavasms.doctor.inbound import check_inbound
from vavasms.doctor.network import (
    check_dns,
    check_gateway,
    check_proxy,
    find_refusal,
    judge_certificate,
    judge_clock,
    name_authority,
    read_parts,
    show_host,
)
from vavasms.transport.http import HostReply

pytestmark = pytest.mark.anyio
DATE = "Sun, 29 Nov 2026 12:00:00 GMT"
AT = 1_795_953_600.0


def answering(reply: bytes) -> Callable[[socket.socket], None]:
    """Return a server that answers one connection, whatever it asks."""

    def serve(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65_536)
            connection.sendall(reply)

    return serve


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://vavasms.com/api", "vavasms.com"),
        ("http://user:secret@proxy.example:3128", "proxy.example:3128"),
        ("http://[::1]:8425/api", "[::1]:8425"),
        ("http://user:se/cret@proxy.example:3128", None),
        ("http://user:12/cret@proxy.example:3128", None),
        ("http://user:12?cret@proxy.example:3128", None),
        ("http://user:12#cret@proxy.example:3128", None),
        ("https:///api", None),
        ("https://gateway.example:0/api", None),
    ],
)
def test_of_a_url_its_host_is_shown_and_never_a_part_of_a_password(url: str, shown: str | None) -> None:
    parts = read_parts(url)
    assert (None if parts is None else show_host(parts)) == shown


@pytest.mark.parametrize(
    ("answered", "state", "words"),
    [
        (AT + 1, FindingState.GOOD, "by 0 seconds"),
        (AT + 120, FindingState.GOOD, "by 120 seconds"),
        (AT + 130, FindingState.BAD, "130 seconds ahead"),
        (AT - 130, FindingState.BAD, "130 seconds behind"),
    ],
)
def test_a_clock_two_minutes_off_is_named(answered: float, state: FindingState, words: str) -> None:
    found = judge_clock(HostReply(status=200, date=DATE), answered, answered)
    assert found.state is state
    assert words in found.sentence


@pytest.mark.parametrize("date", [None, "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT"])
def test_without_a_date_the_clock_is_not_judged(date: str | None) -> None:
    assert judge_clock(HostReply(status=200, date=date), AT, AT).state is FindingState.SKIPPED


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set here")
@pytest.mark.parametrize("zone", ["-0000", ""])
def test_a_date_without_a_zone_is_of_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-5")
    time.tzset()
    try:
        found = judge_clock(HostReply(status=200, date=DATE.replace("GMT", zone)), AT, AT)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.state is FindingState.GOOD


def test_an_authority_is_named_as_its_certificate_has_it() -> None:
    issuer = ((("countryName", "US"),), (("organizationName", "Let's Encrypt"),), (("commonName", "R11"),))
    assert name_authority({"issuer": issuer}) == "Let's Encrypt, R11"
    assert name_authority({}) == "?"
    certificate = {"issuer": issuer, "notAfter": "Dec 25 12:00:00 2026 GMT"}
    found = judge_certificate(certificate, ssl.cert_time_to_seconds("Nov 29 12:00:00 2026 GMT"))
    assert (found.state, found.sentence) == (
        FindingState.GOOD,
        "The certificate was issued by Let's Encrypt, R11 and is valid for 26 days.",
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "is not valid yet"),
        (10, "has expired"),
        (62, "of another host"),
        (20, "by an authority that is unknown here"),
        (None, "handshake with gateway.example failed"),
    ],
)
def test_each_refusal_of_a_certificate_has_its_words_and_a_step(code: int | None, words: str) -> None:
    reply = HostReply(problem="ConnectError", refused_by_tls=True, verify_code=code)
    found = network._judge_tls(reply, urlsplit("https://gateway.example/api"), AT)
    assert (found.state, found.is_unreached) == (FindingState.BAD, True)
    assert words in found.sentence
    assert found.step


def test_a_certificate_that_cannot_be_seen_is_not_judged() -> None:
    found = network._judge_tls(HostReply(status=200), urlsplit("https://gateway.example/api"), AT)
    assert found.state is FindingState.SKIPPED


@pytest.mark.parametrize("proxy", ["http://user:se/cret@proxy.example", "ftp://proxy.example", "http://"])
async def test_a_proxy_that_is_no_url_is_named_without_a_word_of_it(proxy: str) -> None:
    found = await check_proxy(proxy)
    assert (found.state, found.is_unreached) == (FindingState.BAD, False)
    assert "secret" not in found.sentence + found.step


async def test_a_proxy_that_lets_nobody_through_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    def serve(listener: socket.socket) -> None:
        # The first only looks whether it is there.
        listener.accept()[0].close()
        answering(refusal)(listener)

    with serving(serve) as (port, _future):
        monkeypatch.setenv("HTTPS_PROXY", f"http://teller:hunter2@127.0.0.1:{port}")
        proxy, name, connection, *others = await check_gateway("https://gateway.invalid/api")
    assert (proxy.state, name.state) == (FindingState.GOOD, FindingState.SKIPPED)
    assert (connection.state, connection.is_unreached) == (FindingState.BAD, True)
    assert "The proxy opens no way to gateway.invalid" in connection.sentence
    assert {other.state for other in others} == {FindingState.SKIPPED}
    assert "hunter2" not in repr((proxy, name, connection, others))


async def test_a_gateway_that_fails_is_a_warning() -> None:
    reply = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nDate: %s\r\n\r\n" % DATE.encode()
    with serving(answering(reply)) as (port, _future):
        found = await check_gateway(f"http://127.0.0.1:{port}/api", now=lambda: AT)
    assert [(finding.name, finding.state.value) for finding in found] == [
        ("proxy", "good"),
        ("dns", "good"),
        ("connection", "warning"),
        ("tls", "skipped"),
        ("clock", "good"),
    ]


async def test_a_name_is_not_waited_for_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PATIENCE", 0.0)
    found = await check_dns(urlsplit("https://gateway.invalid/api"))
    assert (found.state, found.is_unreached) == (FindingState.BAD, True)
    assert await find_refusal("127.0.0.1", 1) == "TimeoutError"


async def test_a_name_with_many_addresses_shows_two(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(None, None, None, "", (f"192.0.2.{number}", 0)) for number in range(4)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: entries)
    found = await check_dns(urlsplit("https://gateway.example/api"))
    assert "192.0.2.0, 192.0.2.1, …" in found.sentence


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        (HostReply(status=405), "good", "only an SMS tells"),
        (HostReply(status=404), "bad", "knows no such path"),
        (HostReply(status=302), "warning", "sends elsewhere"),
        (HostReply(status=502), "warning", "fails"),
        (HostReply(problem="ConnectError"), "bad", "Nobody answers"),
        (HostReply(problem="ConnectError", refused_by_tls=True), "bad", "certificate"),
    ],
)
async def test_what_a_receiver_answers_is_judged(
    reply: HostReply, state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch(url: str, **_options: object) -> HostReply:
        return reply

    monkeypatch.setattr("vavasms.doctor.inbound.fetch_head", fetch)
    found = await check_inbound(Secret("https://user:hunter2@receiver.example/token-of-it?a=b"))
    assert found.state == state
    assert words in found.sentence
    assert "https://receiver.example/…" in found.sentence
    assert "token-of-it" not in found.sentence + found.step
