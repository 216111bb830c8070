"""Where a command listens: the address, and the socket that reserves it."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  told apart, not listened at


def bind(host: str, port: int) -> socket.socket:
    """Reserve a port (0: any free one) without listening on it yet."""
    numeric = "127.0.0.1" if host == "localhost" else host
    addresses = []
    with suppress(OSError, UnicodeError):
        # No name server is asked.
        addresses = socket.getaddrinfo(numeric, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    if not addresses:
        raise InvalidInputError(
            _("{host} is no IP address.", host=repr(host)), error_code="inbound.port", outcome=None
        )
    family, _kind, _protocol, _name, address = addresses[0]
    # asyncio turns Nagle's delay off only where the protocol is named: 40 ms a reply otherwise.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # pragma: no branch - elsewhere the option lets two programs share a port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        return sock
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EADDRINUSE
    values = {"port": str(port), "host": host}
    sentence = _("Port {port} of {host} cannot be used.", **values)
    if taken:
        sentence = _(
            "Port {port} of {host} is taken by another program: choose another, or 0 for any free one.",
            **values,
        )
    raise InvalidInputError(sentence, error_code="inbound.port", outcome=None)


def name_host(host: str) -> str:
    """Return a host as a URL that is called from this machine has it."""
    host = _EVERYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host
