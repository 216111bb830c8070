"""The two places where httpx's own transport is looked into, for want of an argument or an answer."""

from __future__ import annotations

import ssl
from typing import Any

from vavasms.transport.joined import OneWriteBackend


def join_writes(transport: Any) -> None:
    """Let each request leave in one write. Where httpcore is not as it is known, nothing is changed."""
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
            not connection._h11_state.trailing_data[0] and _is_drained(connection._network_stream)  # noqa: SLF001
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
            connection._h11_state.trailing_data[0] + _take(connection._network_stream)  # noqa: SLF001
            for connection in connections
        ]
    except AttributeError:
        return False
    return any(data.strip() for data in left)


def _take(stream: Any) -> bytes:
    """Take what was received and waits in `stream`, one of httpcore's, or in what it wraps, decrypted."""
    if hasattr(stream, "_protocol"):
        return b"".join(stream._protocol.read_queue)  # noqa: SLF001
    if hasattr(stream, "_ssl_object"):
        received = stream._read_bio if hasattr(stream, "_read_bio") else stream._incoming  # noqa: SLF001
        received.write(_take(stream.transport_stream))
        try:
            return bytes(stream._ssl_object.read(256))  # noqa: SLF001
        except ssl.SSLError:
            # A ticket for the next session, the end, or not yet a whole record.
            return b""
    return b"" if hasattr(stream, "setsockopt") else _take(stream._stream)  # noqa: SLF001


def _is_drained(stream: Any) -> bool:
    """Return whether nothing that was received waits in `stream`, one of httpcore's, or in what it wraps."""
    while not hasattr(stream, "_protocol"):
        if hasattr(stream, "_ssl_object"):
            # A record of its own: read from the socket with the one before, and not decrypted yet.
            received = stream._read_bio if hasattr(stream, "_read_bio") else stream._incoming  # noqa: SLF001
            if received.pending or stream._ssl_object.pending():  # noqa: SLF001
                return False
            stream = stream.transport_stream
        elif hasattr(stream, "setsockopt"):
            # trio's own, which buffers nothing.
            return True
        else:
            stream = stream._stream  # noqa: SLF001
    # asyncio reads more at once than httpcore asks for.
    return not stream._protocol.read_queue  # noqa: SLF001
