"""The two places where httpx's own transport is looked into, for want of an argument or an answer."""

from __future__ import annotations

from typing import Any

from vavasms.transport.joined import JoinedBackend


def join_writes(transport: Any) -> None:
    """Let each request leave in one write. Where httpcore is not as it is known, nothing is changed."""
    pool = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if pool is not None and hasattr(backend, "connect_tcp"):
        pool._network_backend = JoinedBackend(backend)  # noqa: SLF001


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
