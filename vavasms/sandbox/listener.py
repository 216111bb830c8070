"""A listener on loopback with uvicorn's HTTP protocol, which stops listening when a fault wants it.

uvicorn parses and writes HTTP. Its own `Server` cannot close its listener and open it again, and waits 0.2 s
at every stop: so the sockets are asyncio's here, and ours.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from vavasms.i18n import gettext as _
from vavasms.sandbox.connection import CONNECTION, ConnectionControl, abort
from vavasms.sandbox.faults import SandboxError

_STOPPING = 5.0
# asyncio announces an accepted connection three turns of the loop later: until then nobody knows of it.
_TURNS = 5


def bind(host: str, port: int) -> socket.socket:
    """Reserve a port (0: any free one) of a loopback address without listening on it yet."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise SandboxError(
            _(
                "the sandbox listens on loopback addresses only (127.0.0.1, ::1), not on {host}",
                host=repr(host),
            ),
            error_code="sandbox.host",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: 40 ms a reply otherwise.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # pragma: no branch - elsewhere the option lets two programs share a port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((str(address), port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise SandboxError(_why(error, host, port), error_code="sandbox.port") from None
    return sock


def _why(error: OSError | OverflowError, host: str, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return _(
            "port {port} of {host} is taken by another program: choose another port, or 0 for any free one",
            port=str(port),
            host=host,
        )
    return _("port {port} of {host} cannot be used: {why}", port=str(port), host=host, why=str(error))


def make_config(app: ASGIApp, *, certfile: str | None, keyfile: str | None) -> uvicorn.Config:
    """Configure uvicorn: h11, and no forwarded addresses, which would hide which connection is whose."""
    return uvicorn.Config(
        app,
        http=H11Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )


class Listener:
    """The listener of an application on one port, in one event loop; every method belongs to that loop."""

    def __init__(self, app: ASGIApp, *, certfile: str | None = None, keyfile: str | None = None) -> None:
        self._app = app
        self._config = make_config(self._call_app, certfile=certfile, keyfile=keyfile)
        self._config.load()
        self._state = ServerState()
        self._stopping = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._reserve: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Count the open connections."""
        return len(self._state.connections)

    async def open(self, sock: socket.socket | None = None) -> None:
        """Listen on `sock`, or again on the port that `close` keeps; do nothing where it listens already."""
        self._cancel_timer()
        sock = sock or self._reserve
        if sock is None or self._stopping.is_set():
            return
        self._reserve = None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, sock=sock, ssl=self._config.ssl)

    async def close(self) -> None:
        """Refuse connections and drop those there are.

        The port is kept, bound without listening: nobody else can take it meanwhile.
        """
        self._cancel_timer()
        if self._server is None:
            return
        host, port = self._server.sockets[0].getsockname()[:2]
        await self._shut(self._server)
        self._reserve = bind(host, port)

    async def close_for(self, seconds: float) -> None:
        """Refuse connections for `seconds`."""
        await self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._reopen)

    def drop(self) -> None:
        """Drop all connections without goodbye."""
        for protocol in list(self._state.connections):
            abort(cast(H11Protocol, protocol).transport)

    async def stop(self) -> None:
        """Close everything for good and wait (5 s at most) until the last request has ended."""
        self._stopping.set()
        self._cancel_timer()
        if self._opening is not None:
            await self._opening
        if self._server is not None:
            await self._shut(self._server)
        async with asyncio.timeout(_STOPPING):
            while self._state.connections or self._state.tasks:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0)
        # Last of all: a request that ends just now may be closing the listener too, which keeps the port.
        self._cancel_timer()
        if self._reserve is not None:
            self._reserve.close()

    async def _shut(self, server: asyncio.Server) -> None:
        """Stop accepting, then close, then drop all connections.

        asyncio (3.11) loses a connection that it is just taking when its server closes: the socket leaks.
        """
        self._server = None
        asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
        for _turn in range(_TURNS):
            await asyncio.sleep(0)
        server.close()
        self.drop()

    def _reopen(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self.open())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _protocol(self) -> H11Protocol:
        protocol = H11Protocol(config=self._config, server_state=self._state, app_state={})
        # The setting of this name only takes the handlers off uvicorn's logger, for the whole program: one on
        # the root logger would still get a line a request.
        protocol.access_log = False
        return protocol

    async def _call_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with control of its connection."""
        connection = ConnectionControl(
            transport=self._transport(scope["client"]),
            receive=receive,
            stopping=self._stopping,
            close_listener=self.close_for,
        )
        await self._app(cast(Scope, {**scope, "extensions": {CONNECTION: connection}}), receive, send)

    def _transport(self, client: Any) -> asyncio.Transport | None:
        """Return the connection by its client's address."""
        protocols = cast(set[H11Protocol], self._state.connections)
        return next((protocol.transport for protocol in protocols if protocol.client == client), None)
