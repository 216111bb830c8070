"""The only module that knows httpx.

The credentials join a request here, as the last thing before its bytes leave, and no error of this
module holds them: an httpx exception holds its request and the request its body, so ours are raised
after the `except` block is over.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from vavasms.config import Secret, Settings, Timeouts, misconfigured
from vavasms.errors import InvalidInputError, NotSentError, Outcome, OutcomeUnknownError, VavaSMSError
from vavasms.forks import Process, forget_at_fork
from vavasms.i18n import gettext as _
from vavasms.transport._httpcore import is_followed, is_quiet, join_writes
from vavasms.transport.body import Attempt as Attempt
from vavasms.transport.body import Body
from vavasms.transport.deadline import Deadline
from vavasms.transport.exchange import Exchange
from vavasms.transport.hooks import Hook, make_span, name_ending
from vavasms.transport.live_guard import BarredError, Gate
from vavasms.transport.outcome import OutcomePolicy, Problem, Reply
from vavasms.transport.pool import KEEPALIVE_EXPIRY, PerLoop, Pools
from vavasms.transport.proxy import proxy_from_environment
from vavasms.transport.response import read
from vavasms.transport.retry import deadlines_of
from vavasms.transport.tls import TLS, build_context, check_context, find_verify_code, is_refusal
from vavasms.version import __version__
from vavasms.wire.requests import CallKind, Request, encode_credentials
from vavasms.wire.responses import Envelope

AsyncBaseTransport = httpx.AsyncBaseTransport
ASGITransport = httpx.ASGITransport

#: The most lengths of bodies whose headers are kept: bulk bodies have few, and making them costs.
MAX_LENGTHS = 256


class _Stream(Body, httpx.AsyncByteStream):
    """The body, as httpx takes one."""


class _PooledTransport(httpx.AsyncBaseTransport):
    """The transport that passes each request to the pool acquired for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool: httpx.AsyncBaseTransport = request.extensions["vavasms.pool"]
        response = await pool.handle_async_request(request)
        # httpx logs it, and PHP may write anything there. Without it the status has its usual name.
        response.extensions.pop("reason_phrase", None)
        return response


_NO_AUTH = httpx.Auth()
_PLAIN_HEADERS = {"User-Agent": f"vavasms/{__version__}", "Accept": "*/*"}
_UNUSABLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)


class _NoCookies(httpx.Cookies):
    """Keeps nothing: no cookie is ever sent back, and looking for them costs at every reply."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class _Client(httpx.AsyncClient):
    cookies = _NoCookies()  # type: ignore[override]  # nobody sets any


class HttpTransport:
    """The HTTP transport to the gateway, which judges what became of each request."""

    def __init__(
        self,
        settings: Settings,
        *,
        timeouts: Timeouts | None = None,
        policy: OutcomePolicy | None = None,
        max_connections: int = 32,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        tls: TLS = None,
        trust_env: bool = True,
        on_request: Hook | None = None,
        on_response: Hook | None = None,
    ) -> None:
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise misconfigured(_("max_connections must be a whole number, 1 or more."), "config.argument")
        self.max_connections = max_connections
        self._timeouts = timeouts or Timeouts()
        self._credentials = Secret(encode_credentials(settings.username, settings.password.reveal()))
        self._exchange = Exchange(
            self._attempt,
            policy or OutcomePolicy(),
            settings.password,
            on_request=on_request,
            on_response=on_response,
        )
        self._gate = Gate(settings.base_url)
        self._url = lru_cache(lambda path: httpx.URL(settings.base_url + path))
        self._headers = lru_cache(MAX_LENGTHS)(partial(_build_headers, urlsplit(settings.base_url).netloc))
        # Of a transport that once answered without asking for the body nothing can be told.
        self._blind = False
        self._closed = False
        if transport is not None and (proxy is not None or tls is not None):
            raise misconfigured(
                _("A transport has its own proxy and its own TLS: give proxy and tls, or a transport."),
                "config.argument",
            )
        self._make_pool = (
            _pool_factory(_options(settings.base_url, proxy, tls, trust_env=trust_env))
            if transport is None
            else _shared_factory(transport)
        )
        self._custom = transport
        self._pools = self._make_pools()
        self._under_way: set[Attempt] = set()
        #: An embedder may fork without Python's hooks.
        self._process = Process()
        self._is_stranded = False
        #: The parent's: kept, since what collects them would close them.
        self._lost: list[object] = []
        forget_at_fork(self, HttpTransport._forget)
        self._client = _Client(transport=_PooledTransport(), trust_env=False)
        self._deadlines = {kind: deadlines_of(self._timeouts, kind) for kind in CallKind}

    async def exchange(self, request: Request, attempt: Attempt | None = None) -> Envelope:
        """Call the gateway; return the envelope of a success or raise the one error that fits.

        READ and VERIFY calls are attempted anew where the outcome table allows it, a SEND only
        where its body was never asked for. `attempt` tells the caller of a cancelled call how far it came.
        """
        attempt = attempt or Attempt()
        self._check(request.call.kind, attempt)
        self._under_way.add(attempt)
        try:
            with make_span(request, attempt) as span:
                envelope = await self._exchange.run(request, attempt)
                span.settle(name_ending(request.call, None))
                return envelope
        finally:
            self._under_way.discard(attempt)

    def _forget(self) -> None:
        """Begin afresh in a forked child: a connection of the parent's would read its replies.

        The child's copy is of no use where a call was under way, which would go on in both, or where a
        transport was given, of whose connections nothing is known: each call of it is refused.
        """
        self._is_stranded = bool(self._is_stranded or self._under_way or self._custom is not None)
        self._lost.append(self._pools)
        self._pools, self._process = self._make_pools(), Process()

    def _make_pools(self) -> PerLoop[Pools[httpx.AsyncBaseTransport]]:
        return PerLoop(
            lambda: Pools(self._make_pool, self._close_pool, self.max_connections),
            # httpx's own connections belong to the loop that opened them.
            is_bound=isinstance(self._custom, httpx.AsyncHTTPTransport),
        )

    @property
    def is_closed(self) -> bool:
        """Whether every further call is refused."""
        return self._closed

    def refuse(self) -> None:
        """Refuse every call that has not begun to be sent, those that wait for a connection as well."""
        self._closed = True

    async def aclose(self) -> None:
        """Close every connection, once what is under way has ended.

        A transport that was given is closed with it, as httpx does.
        """
        self.refuse()
        if self._belongs_to_parent:
            return
        pools = self._pools.current()
        if pools is not None:
            await pools.aclose()
        if self._custom is not None:
            await self._custom.aclose()
        await self._client.aclose()

    def _check(self, kind: CallKind, attempt: Attempt) -> None:
        """Refuse a call that cannot be made; nothing was sent then."""
        error = self._refusal(attempt)
        if error is not None:
            error.outcome = None if kind is CallKind.READ else Outcome.NOT_SENT
            raise error

    @property
    def _belongs_to_parent(self) -> bool:
        return self._is_stranded or not self._process.is_this

    def _refusal(self, attempt: Attempt) -> VavaSMSError | None:
        if self._belongs_to_parent or not attempt.process.is_this:
            return misconfigured(
                _(
                    "The client was made before a fork, and had a call under way or a transport of its own: "
                    "make a new one in the child process."
                ),
                "config.fork",
            )
        if self._closed:
            return misconfigured(_("The client is closed: make a new one."), "config.closed")
        reason = self._pools.refusal()
        return None if reason is None else misconfigured(_(reason), "config.event_loop")

    async def _attempt(self, request: Request, attempt: Attempt) -> Reply | Problem:
        if self._belongs_to_parent:
            # A call that waits to be tried again would go on in both.
            self._check(request.call.kind, attempt)
        pools = self._pools.get()
        pool = await pools.acquire()
        if self._closed:
            await pools.discard(pool)
            self._check(request.call.kind, attempt)
        body = _Stream(self._credentials, request.form)
        attempt.watch(body, blind=self._blind)
        failed = True
        try:
            reply = await self._post(request, body, pool)
            failed = isinstance(reply, Problem) or not self._is_quiet(pool)
            if failed and isinstance(reply, Reply) and _is_followed(pool):
                reply.whole = False
            self._blind = self._blind or not (isinstance(reply, Problem) or body.asked)
            return reply
        finally:
            body.revoke()
            # Once the client is closed nobody else would close it.
            if failed or self._closed:
                await pools.discard(pool)
            else:
                pools.release(pool)

    async def _post(self, request: Request, body: _Stream, pool: httpx.AsyncBaseTransport) -> Reply | Problem:
        steps, seconds = self._deadlines[request.call.kind]
        deadline = Deadline(steps, seconds)
        try:
            with deadline.scope:
                response = await self._client.send(
                    httpx.Request(
                        "POST",
                        self._url(request.path),
                        headers=self._headers(len(body)),
                        stream=body,
                        extensions={
                            "timeout": steps,
                            "vavasms.deadline": deadline,
                            "vavasms.pool": pool,
                            **self._gate.extensions,
                        },
                    ),
                    stream=True,
                    # Asked for nothing, httpx looks for a user in the URL at each request.
                    auth=_NO_AUTH,
                )
                # Not by httpx's decoding layers: they only cost, and do not say what they leave out.
                assert isinstance(response.stream, httpx.AsyncByteStream)
                return await read(response, response.stream)
        except Exception as error:  # noqa: BLE001  httpx's types do not cover what leaks: raw ssl.SSLError for one
            body.revoke()
            return _problem(error, asked=body.asked or self._blind)
        # Its time is up.
        body.revoke()
        return Problem(name=deadline.error_name, asked=body.asked or self._blind)

    def _is_quiet(self, pool: Any) -> bool:
        """Return whether a pool is fit for another request: nothing beyond the reply was received."""
        if isinstance(pool, httpx.AsyncHTTPTransport):
            return is_quiet(pool)
        # Of one that somebody gave nothing is known.
        return pool is self._custom or bool(pool.is_quiet)

    async def _close_pool(self, pool: httpx.AsyncBaseTransport) -> None:
        if pool is not self._custom:
            await pool.aclose()


async def post_form(url: str, fields: Mapping[str, str], *, timeout: float = 10.0) -> int:
    """Post a form to a URL that is not the gateway's, without credentials; return the HTTP status.

    For what pretends to be the platform. No redirect is followed, nothing is repeated, the environment is not
    read. Raises `NotSentError` where nobody listens, `OutcomeUnknownError` where no answer came in `timeout`
    seconds, `InvalidInputError` for what is no URL.
    """
    failure: VavaSMSError
    extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
    try:
        # Not by a client: it logs the URL, and with it the token.
        async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
            request = httpx.Request("POST", url, data=dict(fields), extensions=extensions)
            # httpx bounds each wait, not all of them together.
            with anyio.fail_after(timeout):
                response = await transport.handle_async_request(request)
            # Nobody needs the body, which may be long, or cut.
            await response.aclose()
            return response.status_code
    except (httpx.ConnectError, httpx.ConnectTimeout):
        failure = NotSentError(_("Nobody listens there."))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        failure = InvalidInputError(
            _("The URL must be like http://127.0.0.1:8426/token."), error_code="input.url", outcome=None
        )
    except (httpx.HTTPError, TimeoutError) as error:
        failure = OutcomeUnknownError(_("There was no answer ({name}).", name=type(error).__name__))
    raise failure


class HostReply:
    """What a host said to a request that holds no credentials, or why it said nothing."""

    def __init__(
        self,
        *,
        status: int | None = None,
        date: str | None = None,
        certificate: Mapping[str, Any] | None = None,
        problem: str | None = None,
        refused_by_tls: bool = False,
        verify_code: int | None = None,
    ) -> None:
        #: None where no reply came.
        self.status = status
        #: The header of this name.
        self.date = date
        #: As `ssl` reads it; None over plain HTTP.
        self.certificate = certificate
        #: The name of what went wrong; None where a reply came.
        self.problem = problem
        #: TLS or a certificate failed.
        self.refused_by_tls = refused_by_tls
        #: OpenSSL's number for what is wrong with the certificate.
        self.verify_code = verify_code


async def fetch_head(
    url: str, *, proxy: str | None = None, tls: TLS = None, trust_env: bool = True, timeout: float = 10.0
) -> HostReply:
    """Return the head of a host's reply to a GET of a URL, by the proxy and the trust that calls have.

    Holds no credentials, follows no redirect, repeats nothing. Raises `ConfigurationError` where the proxy or
    the trust cannot be used, nothing else: whatever goes wrong on the way is in the reply.
    """
    options = _options(url, proxy, tls, trust_env=trust_env)
    extensions = {"timeout": httpx.Timeout(timeout).as_dict(), **Gate(url).extensions}
    try:
        # Not by a client: it logs the URL.
        async with httpx.AsyncHTTPTransport(**options) as transport:
            request = httpx.Request("GET", url, headers=_PLAIN_HEADERS, extensions=extensions)
            with anyio.fail_after(timeout):
                response = await transport.handle_async_request(request)
                stream = response.extensions.get("network_stream")
                secure = None if stream is None else stream.get_extra_info("ssl_object")
                certificate = None if secure is None else secure.getpeercert()
                await response.aclose()
            return HostReply(
                status=response.status_code, date=response.headers.get("date"), certificate=certificate
            )
    except Exception as error:  # noqa: BLE001  httpx's types do not cover what leaks
        return HostReply(
            problem=type(error).__name__,
            refused_by_tls=is_refusal(error),
            verify_code=find_verify_code(error),
        )


def _build_headers(host: str, length: int) -> httpx.Headers:
    """Return the headers of a body of `length` bytes."""
    return httpx.Headers(
        {
            "Host": host,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "User-Agent": f"vavasms/{__version__}",
            "Content-Length": str(length),
        }
    )


def _problem(error: BaseException, *, asked: bool) -> Problem:
    return Problem(
        name=type(error).__name__,
        asked=asked,
        tls=is_refusal(error),
        crowded=isinstance(error, httpx.PoolTimeout),
        misconfigured=isinstance(error, _UNUSABLE),
        barred=error.args[0] if isinstance(error, BarredError) else None,
    )


def _options(base_url: str, proxy: str | None, tls: TLS, *, trust_env: bool) -> dict[str, Any]:
    """Return the options that the httpx transports share."""
    secure = urlsplit(base_url).scheme == "https"
    proxy = proxy or (proxy_from_environment(base_url) if trust_env else None)
    context = _build_tls(tls, secure=secure, trust_env=trust_env)
    if proxy is not None and not secure:
        raise misconfigured(_("A proxy for a gateway on plain HTTP would see the password."), "config.proxy")
    return {"verify": context, "proxy": _proxy(proxy), "trust_env": False, "retries": 0}


def _build_tls(tls: TLS, *, secure: bool, trust_env: bool) -> ssl.SSLContext:
    if tls is None and secure:
        # Reads SSL_CERT_FILE and SSL_CERT_DIR where the environment is trusted.
        return build_context(lambda: httpx.create_ssl_context(trust_env=trust_env))
    return check_context(tls)


def _proxy(proxy: str | None) -> httpx.Proxy | None:
    try:
        parsed = None if proxy is None else httpx.Proxy(proxy)
        is_fit = parsed is None or bool(parsed.url.host)
    except (TypeError, ValueError, httpx.InvalidURL):
        is_fit = False
    if not is_fit:
        # Outside the except block: a proxy's URL may hold a password of its own.
        raise misconfigured(_("The proxy must be a URL such as http://proxy.example:3128."), "config.proxy")
    if parsed is not None and parsed.url.scheme.startswith("socks"):
        # Few have such a proxy, and nothing else that is imported needs this module.
        from importlib.util import find_spec

        if find_spec("socksio") is None:
            raise misconfigured(
                _("A SOCKS proxy needs one more package: pip install 'httpx[socks]'."),
                "config.extra",
            )
    return parsed


def _pool_factory(options: dict[str, Any]) -> Callable[[], httpx.AsyncBaseTransport]:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY)

    def make() -> httpx.AsyncHTTPTransport:
        transport = httpx.AsyncHTTPTransport(limits=limits, **options)
        join_writes(transport)
        return transport

    if options["proxy"] is not None:
        return make

    def connect() -> httpx.AsyncBaseTransport:
        # With the first request: a client that sends nothing does not wait for what carries it.
        from vavasms.transport.connection import HttpConnection

        return HttpConnection(options["verify"], make)

    return connect


def _is_followed(pool: Any) -> bool:
    """Return whether a pool that is not quiet holds more than line ends behind the reply."""
    return is_followed(pool) if isinstance(pool, httpx.AsyncHTTPTransport) else bool(pool.is_followed)


def _shared_factory(transport: httpx.AsyncBaseTransport) -> Callable[[], httpx.AsyncBaseTransport]:
    if not isinstance(transport, httpx.AsyncBaseTransport):
        raise misconfigured(_("transport must be an httpx.AsyncBaseTransport."), "config.argument")
    return lambda: transport
