"""TLS and proxies: whom the password is given to, and who never sees it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from attrs import frozen

from vavasms import AsyncVavaSMS, ConfigurationError, NotSentError, Outcome, Timeouts, VavaSMSError
from vavasms.sandbox import Gateway, SandboxServer

pytestmark = pytest.mark.anyio

ONE = "2250759123456"
HOST = "gateway.invalid"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
QUICK = Timeouts(connect=2, write=2, read=2, send=2)


@frozen
class Secured:
    """A gateway that speaks TLS, and whoever signed its certificate."""

    server: SandboxServer
    authority: trustme.CA
    bundle: Path


@pytest.fixture(scope="module")
def _secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST, "127.0.0.1", "localhost")
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as pem,
        SandboxServer(Gateway(), ssl_certfile=pem, ssl_keyfile=pem, allowed_hosts=[HOST]) as server,
    ):
        yield Secured(server, authority, bundle)


@pytest.fixture
def secured(_secured: Secured) -> Secured:
    _secured.server.gateway.journal.clear()
    return _secured


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class ConnectProxy:
    """Tunnel every CONNECT to one port of this machine, whatever host it asks for; keep what it saw."""

    def __init__(self, port: int, refuse: bytes | None = None) -> None:
        self._target = port
        self._refuse = refuse
        self.heads: list[bytes] = []
        #: What went through the tunnels, from the clients.
        self.tunnelled = b""
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listener)
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self._start(self._accept, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for holder in self._sockets:
            try:
                holder.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            holder.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Any, *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        self.heads.append(head)
        if self._refuse is not None or not head.startswith(b"CONNECT "):
            connection.sendall(self._refuse or b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
            return
        upstream = socket.create_connection(("127.0.0.1", self._target))
        self._sockets.append(upstream)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._start(self._pump, upstream, connection, False)
        self._pump(connection, upstream, True)

    def _pump(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while part := source.recv(65536):
                if keep:
                    self.tunnelled += part
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def connect(base_url: str, **settings: Any) -> AsyncVavaSMS:
    options: dict[str, Any] = {"sender_id": "ACME", "base_url": base_url, "timeouts": QUICK}
    return AsyncVavaSMS("sandbox@example.com", "sandbox", **options | settings)


async def refused(client: AsyncVavaSMS) -> VavaSMSError:
    async with client as sms:
        with pytest.raises(VavaSMSError) as caught:
            await sms.send(ONE, "x")
    assert (type(caught.value), caught.value.outcome) == (NotSentError, Outcome.NOT_SENT)
    return caught.value


# --- whom is trusted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "path", "context"])
async def test_a_private_authority_is_trusted_where_it_is_given(kind: str, secured: Secured) -> None:
    context = ssl.create_default_context()
    secured.authority.configure_trust(context)
    tls: Any = {"text": str(secured.bundle), "path": secured.bundle, "context": context}[kind]
    async with connect(secured.server.url, tls=tls) as sms:
        await sms.send(ONE, "x")
        await sms.balance()
    assert secured.server.gateway.journal.accepted_count(ONE) == 1


async def test_a_private_authority_is_trusted_where_the_environment_names_it(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.bundle))
    async with connect(secured.server.url) as sms:
        assert (await sms.balance()).currency == "XOF"
    assert (await refused(connect(secured.server.url, trust_env=False))).halts


async def test_a_scheme_in_capitals_is_as_secure(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.bundle))
    async with connect(secured.server.url.replace("https", "HTTPS")) as sms:
        assert (await sms.balance()).currency == "XOF"


async def test_a_stranger_gets_nothing_and_ends_a_campaign(secured: Secured) -> None:
    error = await refused(connect(secured.server.url))
    assert error.halts
    assert len(secured.server.gateway.journal) == 0


async def test_a_certificate_for_another_name_gets_nothing(secured: Secured) -> None:
    other = secured.authority.issue_cert("elsewhere.example")
    with (
        other.private_key_and_cert_chain_pem.tempfile() as pem,
        SandboxServer(Gateway(), ssl_certfile=pem, ssl_keyfile=pem) as server,
    ):
        assert (await refused(connect(server.url, tls=secured.bundle))).halts
        assert len(server.gateway.journal) == 0


def _careless(verify: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = verify
    return context


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        (False, "cannot be turned off"),
        (True, "cannot be turned off"),
        (_careless(ssl.CERT_NONE), "checks no certificate"),
        (_careless(ssl.CERT_OPTIONAL), "checks no certificate"),
        (_careless(ssl.CERT_REQUIRED), "checks no certificate"),
        ("/nonexistent/ca.pem", "cannot be read"),
        (Path("/nonexistent/ca.pem"), "cannot be read"),
        (Path(__file__).parent, "cannot be read"),
        (__file__, "cannot be read"),
        (os.devnull, "cannot be read"),
        ("nul\0byte", "cannot be read"),
        (5, "cannot be read"),
    ],
)
@pytest.mark.parametrize("base_url", ["https://vavasms.com/api", "http://127.0.0.1/api"])
def test_no_setting_turns_the_checks_off(tls: Any, words: str, base_url: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        connect(base_url, tls=tls)
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)


def test_a_bundle_of_the_environment_that_cannot_be_read_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        connect("https://vavasms.com/api")


# --- proxies -----------------------------------------------------------------------------------------


async def test_a_proxy_sees_the_host_and_never_the_credentials(secured: Secured) -> None:
    with ConnectProxy(secured.server.port) as proxy:
        settings: dict[str, Any] = {"tls": secured.bundle, "trust_env": False}
        proxy_url = f"http://someone:pr0xy@{proxy.address}"
        async with connect(f"https://{HOST}/api", proxy=proxy_url, **settings) as sms:
            await sms.send(ONE, "sentinel-texte")
            await sms.balance()
    assert secured.server.gateway.journal.accepted_count(ONE) == 1
    [head] = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic " in head
    assert proxy.tunnelled
    for secret in (b"sandbox", b"sentinel", ONE.encode(), b"username", b"Content-Type"):
        assert secret not in head + proxy.tunnelled


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_the_environments_proxy_is_used(
    variable: str, scheme: str, secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy(secured.server.port) as proxy:
        monkeypatch.setenv(variable, scheme + proxy.address)
        async with connect(f"https://{HOST}/api", tls=secured.bundle) as sms:
            await sms.balance()
    assert len(proxy.heads) == 1


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    ("no_proxy", "trust_env"), [(HOST, True), ("*", True), (".invalid", True), ("", False)]
)
async def test_no_proxy_and_trust_env_keep_the_environments_proxy_away(
    no_proxy: str, trust_env: bool, secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Timeouts(connect=0.1)
    with ConnectProxy(secured.server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        # Without the proxy there is no such host.
        await refused(connect(f"https://{HOST}/api", tls=secured.bundle, trust_env=trust_env, timeouts=quick))
    assert not proxy.heads


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_never_goes_through_a_proxy_of_the_environment(
    variable: str, host: str, secured: Secured, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy(secured.server.port) as proxy:
        for name in (variable, variable.lower()):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        async with connect(sandbox.url.replace("127.0.0.1", host)) as sms:
            await sms.balance()
        async with connect(secured.server.url.replace("127.0.0.1", host), tls=secured.bundle) as sms:
            await sms.balance()
    assert not proxy.heads


BAD_PROXIES = [
    "http://",
    "http://:3128",
    "http://me:pr0xy-password@",
    "http://me:pr0xy-password@[::1",
    "http://me:pr0xy-password@proxy:port",
    "ftp://me:pr0xy-password@proxy:21",
]


@pytest.mark.parametrize(
    ("proxy", "way"),
    [
        *[(proxy, way) for proxy in BAD_PROXIES for way in ("argument", "environment")],
        # In the environment a bare word is a host.
        *[(proxy, "argument") for proxy in ("pr0xy-password", "proxy:3128", 3128)],
    ],
)
def test_a_bad_proxy_is_refused_without_showing_its_password(
    proxy: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="proxy must be a URL") as caught:
        connect("https://vavasms.com/api", proxy=proxy if way == "argument" else None)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.__context__ is None
    assert "pr0xy" not in repr([str(caught.value), vars(caught.value)])


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_a_socks_proxy_says_which_package_it_needs(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = "socks5://me:pr0xy-password@127.0.0.1:1080"
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"httpx\[socks\]") as caught:
        connect("https://vavasms.com/api", proxy=proxy if way == "argument" else None)
    assert "pr0xy" not in str(caught.value)


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno",
        b"rubbish\r\n\r\n",
        b"",
    ],
    ids=lambda reply: reply[:12].decode() or "closed",
)
async def test_a_proxy_that_refuses_let_nothing_through(reply: bytes, secured: Secured) -> None:
    quick = Timeouts(connect=0.3, write=0.1, send=0.3)
    with ConnectProxy(secured.server.port, refuse=reply) as proxy:
        proxy_url = f"http://me:pr0xy@{proxy.address}"
        settings: dict[str, Any] = {"timeouts": quick, "tls": secured.bundle}
        error = await refused(connect(f"https://{HOST}/api", proxy=proxy_url, **settings))
    assert not error.halts
    assert "pr0xy" not in str(error)
    assert len(proxy.heads) == 3
    assert len(secured.server.gateway.journal) == 0
