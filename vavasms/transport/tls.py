"""Whose certificates are trusted, and how a refusal is told from a cut connection. Never without checks."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from os import PathLike

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _

TLS = ssl.SSLContext | str | PathLike[str] | None

#: Signals of an unfinished or cut handshake: a matter of the network, not of trust.
_NO_REFUSAL = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLSyscallError,
)


def is_refusal(error: BaseException | None) -> bool:
    """Return whether a TLS refusal is behind an exception."""
    return _find_refusal(error) is not None


def find_verify_code(error: BaseException | None) -> int | None:
    """Return OpenSSL's number for what is wrong with a certificate; None where it is something else."""
    refusal = _find_refusal(error)
    return refusal.verify_code if isinstance(refusal, ssl.SSLCertVerificationError) else None


def _find_refusal(error: BaseException | None) -> ssl.SSLError | None:
    for _step in range(20):
        if error is None:
            break
        if isinstance(error, ssl.SSLError) and not isinstance(error, _NO_REFUSAL):
            return error
        error = error.__cause__ or error.__context__
    return None


def check_context(tls: TLS) -> ssl.SSLContext:
    """Return the context itself, or that of a CA bundle; refuse one that checks nothing."""
    if isinstance(tls, ssl.SSLContext):
        if tls.verify_mode is not ssl.CERT_REQUIRED or not tls.check_hostname:
            raise misconfigured(
                _("The given SSLContext checks no certificate, which would give the password away."),
                "config.tls",
            )
        return tls
    if tls is None:
        # Plain HTTP on loopback: trusting nobody costs nothing, reading the trust store 30 ms.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if isinstance(tls, bool):
        raise misconfigured(
            _("tls takes a CA bundle or an SSLContext; the checks cannot be turned off."), "config.tls"
        )
    return build_context(lambda: ssl.create_default_context(cafile=tls))


def build_context(build: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Build a context from files, or raise `ConfigurationError` where they cannot be read."""
    try:
        return build()
    except (OSError, TypeError, ValueError) as error:
        reason = type(error).__name__
    raise misconfigured(_("The CA bundle cannot be read ({reason}).", reason=reason), "config.tls")
