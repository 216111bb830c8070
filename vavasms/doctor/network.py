"""The way to the gateway: proxy, name, connection, certificate, clock. Nothing that it sends is a secret."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

import anyio

from vavasms.doctor.findings import PATIENCE, Finding, caution, good, misset, skipped, unreached
from vavasms.doctor.threads import run_abandonable
from vavasms.errors import ConfigurationError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext, translate
from vavasms.transport.http import HostReply, fetch_head
from vavasms.transport.proxy import proxy_from_environment

#: Seconds by which this machine's clock may differ from the gateway's.
MAX_SKEW = 120
#: Days before the end of a certificate from which it is worth a warning.
_FEW_DAYS = 14
_DAY = 86_400.0
_PORTS = {"https": 443, "http": 80, "socks5": 1080, "socks5h": 1080}
#: OpenSSL's numbers (X509_V_ERR_…) of certificates that nobody here vouches for.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 27})
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST = 9, 10, 62


async def check_gateway(base_url: str, *, now: Callable[[], float] = time.time) -> list[Finding]:
    """Return what was found on the way to a gateway; what depends on something that failed is skipped."""
    parts = read_parts(base_url)
    if parts is None:
        bad = misset(
            "dns",
            _("The address of the gateway cannot be read."),
            _("Set {setting} to a URL such as https://vavasms.com/api.", setting="VAVASMS_BASE_URL"),
        )
        return [bad, *_skip_rest("connection", _("the address of the gateway cannot be read"))]
    proxy = proxy_from_environment(base_url)
    by_proxy = await check_proxy(proxy)
    if by_proxy.is_unreached or by_proxy.step:
        return [by_proxy, *_skip_rest("dns", _("the proxy is not to be had"))]
    if proxy is not None:
        name = skipped("dns", _("the proxy finds the gateway's address"))
    else:
        name = await check_dns(parts)
    if name.is_unreached:
        return [by_proxy, name, *_skip_rest("connection", _("the gateway's address was not found"))]
    return [by_proxy, name, *await _check_reply(base_url, parts, now, is_proxied=proxy is not None)]


def read_parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; None where its host may be a part of a password, or there is none."""
    try:
        parts = urlsplit(url)
        # Of a password with a slash in it the beginning passes for the host.
        is_fit = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if is_fit and "@" not in f"{parts.path}{parts.query}{parts.fragment}" else None


def show_host(parts: SplitResult) -> str:
    """Return the host of a URL, with its port where it names one: never a user, a path or a query."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port else host


async def check_proxy(proxy: str | None) -> Finding:
    """Return whether the proxy takes a connection."""
    if proxy is None:
        return good("proxy", _("No proxy is between this machine and the gateway."))
    parts = read_parts(proxy)
    if parts is None or parts.scheme not in _PORTS:
        return misset(
            "proxy",
            _("The environment names a proxy that is no URL."),
            _("Set HTTPS_PROXY to a URL such as http://proxy.example:3128, or unset it."),
        )
    shown = f"{parts.scheme}://{show_host(parts)}"
    why = await find_refusal(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    if why is None:
        return good("proxy", _("The proxy {proxy} takes connections.", proxy=shown))
    return unreached(
        "proxy",
        _("The proxy {proxy} takes no connection ({why}).", proxy=shown, why=why),
        _(
            "Start it, correct HTTPS_PROXY, or put the gateway into NO_PROXY if this machine reaches it "
            "without a proxy."
        ),
    )


async def find_refusal(host: str, port: int) -> str | None:
    """Return the name of why a host takes no connection, None where it takes one."""
    try:
        with anyio.fail_after(PATIENCE):
            await find_addresses(host)
            stream = await anyio.connect_tcp(host, port)
            await stream.aclose()
    except (OSError, UnicodeError) as error:
        # A refusal of each of several addresses is in a group behind it.
        cause = error.__cause__
        return type(cause if isinstance(cause, OSError) else error).__name__
    return None


async def find_addresses(host: str) -> Sequence[str]:
    """Return the addresses of a name; none where it has none. Raises `TimeoutError` where nobody says so.

    To be called before a connection, whose own search for the name cannot be left.
    """

    def find() -> Sequence[str]:
        try:
            return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None)})
        except (OSError, UnicodeError):
            return ()

    return await run_abandonable(find, patience=PATIENCE)


async def check_dns(parts: SplitResult) -> Finding:
    """Return whether the gateway's name has an address."""
    host = parts.hostname or ""
    try:
        found = await find_addresses(host)
    except TimeoutError:
        found = ()
    if found:
        more = "" if len(found) < 3 else ", …"
        return good(
            "dns", _("{host} has the address {addresses}.", host=host, addresses=", ".join(found[:2]) + more)
        )
    return unreached(
        "dns",
        _("{host} has no address: no name server answers, or none knows it.", host=host),
        _(
            "Check the network and the name servers of this machine (`nslookup {host}`), and {setting}.",
            host=host,
            setting="VAVASMS_BASE_URL",
        ),
    )


async def _check_reply(
    base_url: str, parts: SplitResult, now: Callable[[], float], *, is_proxied: bool
) -> list[Finding]:
    asked = now()
    try:
        reply = await fetch_head(base_url, timeout=PATIENCE)
    except ConfigurationError as error:
        step = _("Check HTTPS_PROXY, SSL_CERT_FILE and SSL_CERT_DIR in the environment.")
        bad = misset("connection", translate(error.args[0]), step)
        return [bad, *_skip_rest("tls", _("no connection can be made with these settings"))]
    answered = now()
    connection = _judge_connection(reply, show_host(parts), is_proxied=is_proxied)
    if connection.is_unreached:
        return [connection, *_skip_rest("tls", _("the gateway was not reached"))]
    return [connection, _judge_tls(reply, parts, answered), judge_clock(reply, asked, answered)]


def _skip_rest(first: str, why: str) -> list[Finding]:
    """Return the checks from one on, all of them skipped."""
    names = ("dns", "connection", "tls", "clock")
    return [skipped(name, why) for name in names[names.index(first) :]]


def _judge_connection(reply: HostReply, host: str, *, is_proxied: bool) -> Finding:
    if reply.status is not None:
        if reply.status >= 500:
            return caution(
                "connection",
                _("{host} answers that it fails (HTTP {status}).", host=host, status=str(reply.status)),
                _("Wait and try again; if it lasts, write to the gateway's support."),
            )
        return good("connection", _("{host} answers (HTTP {status}).", host=host, status=str(reply.status)))
    if reply.refused_by_tls:
        return good("connection", _("{host} takes connections.", host=host))
    if is_proxied:
        return unreached(
            "connection",
            _("The proxy opens no way to {host} ({why}).", host=host, why=reply.problem),
            _(
                "Check the credentials in HTTPS_PROXY, and ask whoever runs it to let {host} through.",
                host=host,
            ),
        )
    return unreached(
        "connection",
        _("{host} does not answer ({why}).", host=host, why=reply.problem),
        _(
            "Check the network, the firewall and {setting}; does this machine need a proxy (HTTPS_PROXY)?",
            setting="VAVASMS_BASE_URL",
        ),
    )


def _judge_tls(reply: HostReply, parts: SplitResult, now: float) -> Finding:
    if reply.refused_by_tls:
        sentence, step = _explain_refusal(reply.verify_code, show_host(parts))
        return unreached("tls", sentence, step)
    if parts.scheme == "http":
        return skipped("tls", _("the gateway is on this machine and speaks plain HTTP"))
    if reply.certificate is None:
        return skipped("tls", _("the certificate cannot be seen here"))
    return judge_certificate(reply.certificate, now)


def judge_certificate(certificate: Mapping[str, Any], now: float) -> Finding:
    """Return who issued a certificate that was taken, and how long it is valid."""
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - now) // _DAY)
    sentence = ngettext(
        "The certificate was issued by {authority} and is valid for {n} day.",
        "The certificate was issued by {authority} and is valid for {n} days.",
        days,
        authority=name_authority(certificate),
    )
    if days >= _FEW_DAYS:
        return good("tls", sentence)
    return caution(
        "tls", sentence, _("If it is not renewed soon, write to whoever runs the gateway or the proxy.")
    )


def name_authority(certificate: Mapping[str, Any]) -> str:
    """Return the name of whoever issued a certificate."""
    names = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    shown = [names[key] for key in ("organizationName", "commonName") if names.get(key)]
    return ", ".join(shown) or "?"


def _explain_refusal(code: int | None, host: str) -> tuple[str, str]:
    """Return what is wrong with a certificate, and what to do."""
    compare = _(
        "Compare the date of this machine with a clock; if it is right, write to the gateway's support."
    )
    if code == _EXPIRED:
        return _("The certificate of {host} has expired.", host=host), compare
    if code == _NOT_YET_VALID:
        return _("The certificate of {host} is not valid yet.", host=host), compare
    if code == _OTHER_HOST:
        return (
            _("The certificate is of another host than {host}.", host=host),
            _(
                "Check {setting}; does a proxy or a hotspot answer in the gateway's place?",
                setting="VAVASMS_BASE_URL",
            ),
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            _("The certificate of {host} was issued by an authority that is unknown here.", host=host),
            _(
                "Where a proxy opens TLS, ask whoever runs it for its authority's certificate (PEM) and name "
                "that file in SSL_CERT_FILE; in Python, in tls=…. The checks cannot be turned off."
            ),
        )
    return (
        _("The TLS handshake with {host} failed.", host=host),
        _(
            "Does something else listen there, or a proxy answer? Check {setting}.",
            setting="VAVASMS_BASE_URL",
        ),
    )


def judge_clock(reply: HostReply, asked: float, answered: float) -> Finding:
    """Return by how much this machine's clock differs from the gateway's `Date`."""
    if reply.status is None:
        return skipped("clock", _("the gateway was not asked for its date: its certificate was refused"))
    try:
        date = parsedate_to_datetime(reply.date or "")
        # Without a zone it is of UTC (RFC 9110, 5.6.7), and not of this machine's.
        theirs = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return skipped("clock", _("the gateway's answer has no date"))
    # It has whole seconds, and was written between the two.
    skew = round((asked + answered) / 2 - theirs - 0.5)
    if abs(skew) <= MAX_SKEW:
        return good(
            "clock",
            ngettext(
                "This machine's clock differs from the gateway's by {n} second.",
                "This machine's clock differs from the gateway's by {n} seconds.",
                abs(skew),
            ),
        )
    seconds = abs(skew)
    if skew > 0:
        sentence = ngettext(
            "This machine's clock is {n} second ahead of the gateway's.",
            "This machine's clock is {n} seconds ahead of the gateway's.",
            seconds,
        )
    else:
        sentence = ngettext(
            "This machine's clock is {n} second behind the gateway's.",
            "This machine's clock is {n} seconds behind the gateway's.",
            seconds,
        )
    return misset(
        "clock",
        sentence,
        _("Set the clock by NTP (`timedatectl set-ntp true`): time windows and limits go by it."),
    )
