"""The control of a connection that an application has not: the server's, by uvicorn's transport."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import NoReturn

from attrs import frozen
from starlette.types import Receive

#: Where the server puts it, among the extensions of the ASGI scope.
CONNECTION = "vavasms.sandbox.connection"
# A peer that does not read, or a TLS peer that does not say goodbye, must not hold a closing for ever.
_CLOSING = 2.0
_NO_LINGER = struct.pack("ii", 1, 0)


class ConnectionGoneError(Exception):
    """The connection of this request is closed: there is nobody to answer."""


def abort(transport: asyncio.Transport, *, reset: bool = False) -> None:
    """Drop a connection without goodbye; `reset` makes the kernel send RST instead of FIN."""
    sock = transport.get_extra_info("socket")
    if reset and sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


@frozen(kw_only=True)
class ConnectionControl:
    """What the server can do to the connection of one request, and an application cannot."""

    #: The transport; None where the client has already left.
    transport: asyncio.Transport | None
    #: The request's channel: it ends in `http.disconnect`.
    receive: Receive
    #: Set when the server stops.
    stopping: asyncio.Event
    #: Closes the listener and all connections, for that many seconds.
    close_listener: Callable[[float], Awaitable[None]]

    async def stall(self, seconds: float) -> None:
        """Wait; a stopping server ends it by `ConnectionGoneError`."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return
        await self._gone()

    async def close(self, raw: bytes = b"") -> NoReturn:
        """Write `raw`, close, and raise `ConnectionGoneError`, as those below do."""
        if self.transport is not None:
            self.transport.write(raw)
            # Over TLS an orderly close waits for the peer's own; a connection that breaks does not.
            if (
                self.transport.get_extra_info("ssl_object") is not None
                and not self.transport.get_write_buffer_size()
            ):
                self.transport.abort()
            self.transport.close()
        await self._gone()

    async def reset(self) -> NoReturn:
        """Send a TCP RST."""
        await self._gone(reset=True)

    async def refuse(self, seconds: float) -> NoReturn:
        """Close the listener and all connections for `seconds`."""
        await self.close_listener(seconds)
        await self._gone()

    async def _gone(self, *, reset: bool = False) -> NoReturn:
        """Wait until uvicorn knows that the connection is lost.

        Before, it takes a request that ends without a reply for a mistake, and logs it.
        """
        if self.transport is None:
            raise ConnectionGoneError
        if reset:
            abort(self.transport, reset=True)
        try:
            async with asyncio.timeout(_CLOSING):
                await self._disconnected()
        except TimeoutError:
            abort(self.transport)
            await self._disconnected()
        raise ConnectionGoneError

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue
