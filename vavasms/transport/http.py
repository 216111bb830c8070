"""The only module that knows httpx.

The credentials join a request here, as the last thing before its bytes leave, and no error of this
module holds them: an httpx exception holds its request and the request its body, so ours are raised
after the `except` block is over.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from http.cookiejar import CookieJar
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import httpx
from attrs import define

from vavasms.config import Secret, Settings, Timeouts, misconfigured
from vavasms.errors import GatewayError, Outcome
from vavasms.transport.outcome import Failure, Policy, Problem, Reply, judge_problem, judge_reply
from vavasms.transport.pools import Pools
from vavasms.transport.proxy import proxy_from_environment
from vavasms.transport.retry import RetryBudget, again, read_retry_after
from vavasms.transport.scrub import scrub
from vavasms.transport.telling import Hook, tell
from vavasms.transport.trust import TLS, build_context, check_context, is_refusal
from vavasms.version import __version__
from vavasms.wire.replies import Envelope
from vavasms.wire.requests import Kind, Request, encode_credentials

AsyncBaseTransport = httpx.AsyncBaseTransport

logger = logging.getLogger("vavasms")

#: Seconds an idle connection is kept. Apache and httpx both say 5: reusing a connection at the very
#: instant the server closes it makes an unknown outcome, 2 never did.
KEEPALIVE_EXPIRY = 2.0
#: The most bytes of a reply that are read. A lot of 10,000 message ids is a quarter of a MiB.
MAX_REPLY_BYTES = 8 * 1024 * 1024
#: The most lengths of bodies whose headers are kept.
MAX_LENGTHS = 256


@define
class Attempt:
    """Tells the caller of a call that was cancelled how far it came."""

    _body: _Body | None = None
    _blind: bool = False

    @property
    def outcome(self) -> Outcome:
        """`NOT_SENT` before the body was asked for, `UNKNOWN` from then on."""
        begun = self._body is not None and (self._body.asked or self._blind)
        return Outcome.UNKNOWN if begun else Outcome.NOT_SENT

    def forget(self) -> None:
        """Begin anew, after an attempt that is known to have sent nothing."""
        self._body = None

    def watch(self, body: _Body, *, blind: bool) -> None:
        """Look at `body` from now on; `blind` where its transport cannot tell."""
        self._body, self._blind = body, blind


class _Body(httpx.AsyncByteStream):
    """A body that notes the moment it is asked for.

    httpcore asks after the headers, and never for a proxy's CONNECT. aiohttp takes the iterator
    early and its first chunk late: what counts is the chunk.
    """

    def __init__(self, credentials: Secret, form: str) -> None:
        self.asked = False
        self._revoked = False
        self._credentials = credentials
        self._form = form

    def __len__(self) -> int:
        # Both halves are ASCII, being form-encoded.
        return len(self._credentials.reveal()) + (len(self._form) + 1 if self._form else 0)

    def __aiter__(self) -> AsyncIterator[bytes]:
        # No async generator: one that a failed connection leaves behind warns when it is collected.
        return self

    async def __anext__(self) -> bytes:
        if self._revoked:
            # The attempt is over and judged: a writer that comes late must not send what nobody awaits.
            raise OSError("the request was given up")
        if self.asked:
            raise StopAsyncIteration
        self.asked = True
        return "&".join(filter(None, (self._credentials.reveal(), self._form))).encode("ascii")

    def revoke(self) -> None:
        """Hand out nothing from now on."""
        self._revoked = True


class _Spread(httpx.AsyncBaseTransport):
    """Hand each request to the pool that was taken for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool: httpx.AsyncBaseTransport = request.extensions["vavasms.pool"]
        return await pool.handle_async_request(request)


_NO_AUTH = httpx.Auth()


class _NoCookies(CookieJar):
    """Keeps nothing: no cookie is ever sent back, and looking for them costs at every reply."""

    def extract_cookies(self, response: object, request: object) -> None:
        pass


class HttpTransport:
    """Carry requests to the gateway and say what became of them."""

    def __init__(
        self,
        settings: Settings,
        *,
        timeouts: Timeouts | None = None,
        policy: Policy | None = None,
        max_connections: int = 32,
        transport: httpx.AsyncBaseTransport | None = None,
        backend: Literal["httpx", "aiohttp"] = "httpx",
        proxy: str | None = None,
        tls: TLS = None,
        trust_env: bool = True,
        on_request: Hook | None = None,
        on_response: Hook | None = None,
    ) -> None:
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise misconfigured("max_connections must be a whole number, 1 or more.")
        self.max_connections = max_connections
        self._timeouts = timeouts or Timeouts()
        self._policy = policy or Policy()
        self._budget = RetryBudget()
        self._credentials = Secret(encode_credentials(settings.username, settings.password.reveal()))
        self._password = settings.password
        self._base_url = settings.base_url
        self._headers = _headers(settings.base_url)
        self._headers_by_length: dict[int, httpx.Headers] = {}
        self._urls: dict[str, httpx.URL] = {}
        self._on_request, self._on_response = on_request, on_response
        # Of a transport that once answered without asking for the body nothing can be told.
        self._blind = False
        if transport is None:
            proxy = proxy or (proxy_from_environment(settings.base_url) if trust_env else None)
            secure = urlsplit(settings.base_url).scheme == "https"
            context = _trust(tls, secure=secure, trust_env=trust_env)
            if proxy is not None and not secure:
                raise misconfigured("A proxy for a gateway on plain HTTP would see the password.")
            options = _transport_options(proxy, context)
            if backend == "httpx":
                make = _small_pools(options)
            else:
                transport = _aiohttp_transport(backend, options, max_connections)
        if transport is not None:
            make = _one_for_all(transport)
        self._given = transport
        self._closed = False
        self._pid = os.getpid()
        self._pools: Pools[httpx.AsyncBaseTransport] = Pools(make, self._close_pool, max_connections)
        self._client = httpx.AsyncClient(transport=_Spread(), trust_env=False, cookies=_NoCookies())
        self._timeout_extensions = {kind: self._timeout_for(kind) for kind in Kind}

    async def exchange(self, request: Request, attempt: Attempt | None = None) -> Envelope:
        """Call the gateway; give the envelope of a success or raise the one error that fits.

        READ and VERIFY calls are attempted anew where the outcome table allows it, a SEND only
        where its body was never asked for. `attempt` tells the caller of a cancelled call how far it came.
        """
        self._check_usable(request)
        attempt = attempt or Attempt()
        result = await self._once(request, attempt)
        if isinstance(result, Failure) and result.attempts > 1:
            result = await again(result, lambda: self._once(request, attempt), self._budget)
        if isinstance(result, Failure):
            raise result.error
        return result

    def _check_usable(self, request: Request) -> None:
        why = "The client is closed: make a new one." if self._closed else None
        if os.getpid() != self._pid:
            # Its connections are shared with the parent: each would read the other's replies.
            why = "The client was made before a fork: make a new one in the child process."
        if why is not None:
            error = misconfigured(why)
            error.outcome = None if request.call.kind is Kind.READ else Outcome.NOT_SENT
            raise error

    async def aclose(self) -> None:
        """Close every connection. A transport that was given is closed with it, as httpx does."""
        self._closed = True
        if os.getpid() != self._pid:
            return
        await self._pools.aclose()
        if self._given is not None:
            await self._given.aclose()
        await self._client.aclose()

    async def _once(self, request: Request, attempt: Attempt) -> Envelope | Failure:
        started = time.monotonic()
        tell(self._on_request, request)
        reply = await self._attempt(request, attempt)
        if isinstance(reply, Problem):
            result: Envelope | Failure = judge_problem(request, reply)
            status = None
        else:
            result = judge_reply(request, reply, self._policy)
            status = reply.status
        error = result.error if isinstance(result, Failure) else None
        if isinstance(error, GatewayError):
            scrub(error, request, self._password.reveal())
        elapsed = time.monotonic() - started
        if logger.isEnabledFor(logging.DEBUG):
            ending = type(error).__name__ if error else "ok"
            what, count = request.call.value, len(request.recipients)
            logger.debug("%s to %d recipient(s): HTTP %s in %.3f s, %s", what, count, status, elapsed, ending)
        tell(self._on_response, request, http_status=status, elapsed=elapsed, error=error)
        return result

    async def _attempt(self, request: Request, attempt: Attempt) -> Reply | Problem:
        try:
            pool = await self._pools.take(self._timeouts.pool)
        except TimeoutError:
            return Problem(name="PoolTimeout", asked=False, crowded=True)
        body = _Body(self._credentials, request.form)
        attempt.watch(body, blind=self._blind)
        failed = True
        try:
            reply = await self._post(request, body, pool)
            failed = isinstance(reply, Problem) or not _is_quiet(pool)
            self._blind = self._blind or not (isinstance(reply, Problem) or body.asked)
            return reply
        finally:
            body.revoke()
            # Once the client is closed nobody else would close it.
            if failed or self._closed:
                await self._pools.discard(pool)
            else:
                self._pools.give_back(pool)

    async def _post(self, request: Request, body: _Body, pool: httpx.AsyncBaseTransport) -> Reply | Problem:
        extensions, deadline = self._timeout_extensions[request.call.kind]
        try:
            with anyio.fail_after(deadline):
                response = await self._client.send(
                    httpx.Request(
                        "POST",
                        self._url(request.path),
                        headers=self._headers_for(len(body)),
                        stream=body,
                        extensions={"timeout": extensions, "vavasms.pool": pool},
                    ),
                    stream=True,
                    # Asked for nothing, httpx looks for a user in the URL at each request.
                    auth=_NO_AUTH,
                )
                return await _read(response)
        except Exception as error:  # noqa: BLE001  httpx's types do not cover what leaks: raw ssl.SSLError for one
            body.revoke()
            return _problem(error, asked=body.asked or self._blind)

    def _headers_for(self, length: int) -> httpx.Headers:
        # Bulk bodies have few lengths; httpx copies the headers it is given.
        found = self._headers_by_length.get(length)
        if found is None:
            found = httpx.Headers([*self._headers, (b"Content-Length", b"%d" % length)])
            if len(self._headers_by_length) < MAX_LENGTHS:
                self._headers_by_length[length] = found
        return found

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._base_url + path)
        return url

    def _timeout_for(self, kind: Kind) -> tuple[dict[str, float], float]:
        """Give httpx's timeouts, each for one read or write, and the deadline of the whole attempt."""
        t = self._timeouts
        read = t.send if kind is Kind.SEND else t.read
        parts = {"connect": t.connect, "write": t.write, "pool": t.pool, "read": read}
        return parts, t.connect + t.write + read

    async def _close_pool(self, pool: httpx.AsyncBaseTransport) -> None:
        if pool is not self._given:
            await pool.aclose()


def _is_quiet(pool: httpx.AsyncBaseTransport) -> bool:
    """Say whether a connection holds nothing beyond the reply that was read.

    A second reply in the same segment would be taken for the next request's. It waits in h11's buffer, which
    neither httpx nor httpcore shows; where it cannot be found the connection is not used again.
    """
    if not isinstance(pool, httpx.AsyncHTTPTransport):
        return True
    try:
        connections: list[Any] = list(pool._pool.connections)  # noqa: SLF001
        return not any(each._connection._h11_state.trailing_data[0] for each in connections)  # noqa: SLF001
    except AttributeError:
        return False


async def _read(response: httpx.Response) -> Reply:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in _chunks_of(response):
            size += len(chunk)
            if size <= MAX_REPLY_BYTES:
                chunks.append(chunk)
            elif not response.is_closed:
                # A reply without end: what it says is of no use, its status may be. Reading on from what is
                # closed fails, which ends httpx's generators: trio warns of those that are left behind.
                chunks.clear()
                await response.aclose()
    except Exception:
        if size <= MAX_REPLY_BYTES:
            raise
    finally:
        await response.aclose()
    return Reply(
        status=response.status_code,
        retry_after=read_retry_after(response.headers.get("retry-after")),
        body=b"".join(chunks),
        whole=size <= MAX_REPLY_BYTES,
    )


def _chunks_of(response: httpx.Response) -> AsyncIterable[bytes]:
    # Nothing asks for an encoding; without one httpx's decoding layers only cost.
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    return response.stream


def _problem(error: BaseException, *, asked: bool) -> Problem:
    return Problem(
        name=type(error).__name__,
        asked=asked,
        tls=is_refusal(error),
        crowded=isinstance(error, httpx.PoolTimeout),
        misconfigured=isinstance(
            error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL
        ),
    )


def _headers(base_url: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", urlsplit(base_url).netloc.encode("ascii")),
        (b"Content-Type", b"application/x-www-form-urlencoded"),
        (b"Accept", b"application/json"),
        (b"User-Agent", f"vavasms/{__version__}".encode("ascii")),
    ]


def _trust(tls: TLS, *, secure: bool, trust_env: bool) -> ssl.SSLContext:
    if tls is None and secure:
        # Reads SSL_CERT_FILE and SSL_CERT_DIR where the environment is trusted.
        return build_context(lambda: httpx.create_ssl_context(trust_env=trust_env))
    return check_context(tls)


def _transport_options(proxy: str | None, context: ssl.SSLContext) -> dict[str, Any]:
    try:
        given = None if proxy is None else httpx.Proxy(proxy)
        fit = given is None or bool(given.url.host)
    except (TypeError, ValueError, httpx.InvalidURL):
        fit = False
    if not fit:
        # Outside the except block: a proxy's URL may hold a password of its own.
        raise misconfigured("The proxy must be a URL such as http://proxy.example:3128.")
    if given is not None and given.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise misconfigured("A SOCKS proxy needs one more package: pip install 'httpx[socks]'.")
    return {"verify": context, "proxy": given, "trust_env": False, "retries": 0}


def _small_pools(options: dict[str, Any]) -> Callable[[], httpx.AsyncBaseTransport]:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY)
    return lambda: httpx.AsyncHTTPTransport(limits=limits, **options)


def _aiohttp_transport(backend: str, options: dict[str, Any], limit: int) -> httpx.AsyncBaseTransport:
    """Build the one transport of the `aiohttp` extra, whose own pool scales."""
    if backend != "aiohttp":
        raise misconfigured("backend is 'httpx' or 'aiohttp'.")
    if find_spec("httpx_aiohttp") is None:
        raise misconfigured("backend='aiohttp' needs the extra: pip install 'vavasms[aiohttp]'.")
    from aiohttp import ClientSession, DummyCookieJar, TCPConnector
    from httpx_aiohttp import AiohttpTransport

    def open_session() -> ClientSession:
        connector = TCPConnector(limit=limit, keepalive_timeout=KEEPALIVE_EXPIRY, ssl=options["verify"])
        # Left to itself, aiohttp sends cookies back and asks for encodings that httpx may not know.
        return ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), skip_auto_headers=("Accept-Encoding",)
        )

    return AiohttpTransport(client=open_session, **options)


def _one_for_all(transport: httpx.AsyncBaseTransport) -> Callable[[], httpx.AsyncBaseTransport]:
    if not isinstance(transport, httpx.AsyncBaseTransport):
        raise misconfigured("transport must be an httpx.AsyncBaseTransport.")
    return lambda: transport
