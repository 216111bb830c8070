"""Everything that looks into httpcore and what it stands on, for want of an argument or an answer.

A request in one write: httpcore writes a request's headers and its body apart, two system calls, and on TLS
two records. Here the headers wait for the body's first bytes, which httpcore asks for next. They hold neither
credentials nor text, so what the body tells of a send that failed is as true as without this.

And whether something follows a reply, which neither httpx nor httpcore shows. Where what is looked into is
not as it is known, requests leave in two writes and a connection is used once; a test fails then.
"""

from __future__ import annotations

import ssl
from typing import Any

import anyio


class OneWriteStream:
    """One of httpcore's `AsyncNetworkStream`s, which holds the headers of a POST back.

    Until its body is written, or a reply is asked for.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._held = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        """Read, once nothing is held back any more."""
        if self._held:
            await self.write(b"", timeout)
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, or hold back what begins a POST: a CONNECT and what SOCKS says have no body behind them."""
        held, self._held = self._held, b""
        if not held and buffer.startswith(b"POST "):
            # A cancellation that is due comes now, as it would in a write: before the body is asked for.
            await anyio.lowlevel.checkpoint_if_cancelled()
            self._held = buffer
        else:
            await self._stream.write(held + buffer, timeout)

    async def aclose(self) -> None:
        """Close; headers that are held back go nowhere."""
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> OneWriteStream:
        """Continue over TLS."""
        return OneWriteStream(await self._stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream below has."""
        return self._stream.get_extra_info(info)


class OneWriteBackend:
    """Open the connections of httpcore's `AsyncNetworkBackend` so that each request leaves in one write."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> OneWriteStream:
        """Connect."""
        return OneWriteStream(await self._backend.connect_tcp(*args, **kwargs))


def join_writes(transport: Any) -> None:
    """Make each request leave in one write. Where httpcore is not as it is known, nothing is changed."""
    pool = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if pool is not None and hasattr(backend, "connect_tcp"):
        pool._network_backend = OneWriteBackend(backend)  # noqa: SLF001


def is_quiet(transport: Any) -> bool:
    """Return whether its connections hold nothing beyond the reply that was read.

    A second reply that came with the first would answer the next request. It waits in a buffer of
    h11, TLS or anyio, which neither httpx nor httpcore shows; where they cannot be found the connection
    is not used again. What comes afterwards httpcore sees in the socket, before it uses the connection again.
    A copy that races the next request cannot be told from its reply: HTTP/1.1 numbers neither.
    """
    try:
        connections: list[Any] = [connection._connection for connection in transport._pool.connections]  # noqa: SLF001
        return all(
            not connection._h11_state.trailing_data[0] and is_drained(connection._network_stream)  # noqa: SLF001
            for connection in connections
        )
    except AttributeError:
        return False


def is_followed(transport: Any) -> bool:
    """Return whether more than line ends came behind the reply that was read: it may not be the last word.

    Asked of connections that are not quiet and will not be used again, since it takes what waits in them.
    """
    try:
        connections: list[Any] = [connection._connection for connection in transport._pool.connections]  # noqa: SLF001
        left = [
            connection._h11_state.trailing_data[0] + drain(connection._network_stream)  # noqa: SLF001
            for connection in connections
        ]
    except AttributeError:
        return False
    return any(data.strip() for data in left)


def drain(stream: Any) -> bytes:
    """Return what was received and waits in a stream, or in what it wraps, decrypted.

    `stream` is httpcore's, anyio's or trio's; nothing of one that is not as it is known.
    """
    try:
        return _drain(stream)
    except AttributeError:
        return b""


def _drain(stream: Any) -> bytes:
    if hasattr(stream, "_protocol"):
        return b"".join(stream._protocol.read_queue)  # noqa: SLF001
    if hasattr(stream, "_ssl_object"):
        received = stream._read_bio if hasattr(stream, "_read_bio") else stream._incoming  # noqa: SLF001
        received.write(_drain(stream.transport_stream))
        try:
            return bytes(stream._ssl_object.read(256))  # noqa: SLF001
        except ssl.SSLError:
            # A ticket for the next session, the end, or not yet a whole record.
            return b""
    return b"" if _is_unbuffered(stream) else _drain(stream._stream)  # noqa: SLF001


def is_drained(stream: Any) -> bool:
    """Return whether nothing that was received waits in a stream, or in what it wraps.

    `stream` is httpcore's, anyio's or trio's. False for one that is not as it is known, and for one of
    Windows' usual loop: it reads ahead, into a place that nobody can see.
    """
    try:
        return _is_drained(stream)
    except AttributeError:
        return False


def _is_drained(stream: Any) -> bool:
    while not hasattr(stream, "_protocol"):
        if hasattr(stream, "_ssl_object"):
            # A record of its own: read from the socket with the one before, and not decrypted yet.
            received = stream._read_bio if hasattr(stream, "_read_bio") else stream._incoming  # noqa: SLF001
            if received.pending or stream._ssl_object.pending():  # noqa: SLF001
                return False
            stream = stream.transport_stream
        elif _is_unbuffered(stream):
            return True
        else:
            stream = stream._stream  # noqa: SLF001
    # asyncio reads more at once than httpcore asks for.
    return not (stream._protocol.read_queue or hasattr(stream._transport, "_pending_data_length"))  # noqa: SLF001


def _is_unbuffered(stream: Any) -> bool:
    """Return whether a stream is trio's own, or what anyio makes of trio's socket: those buffer nothing."""
    return hasattr(stream, "setsockopt") or hasattr(stream, "_trio_socket")
