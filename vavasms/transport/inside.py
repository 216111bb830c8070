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
    """Say whether its connections hold nothing beyond the reply that was read.

    A second reply in the same segment would be taken for the next request's. It waits in h11's buffer, which
    neither httpx nor httpcore shows; where it cannot be found the connection is not used again.
    """
    try:
        connections: list[Any] = list(transport._pool.connections)  # noqa: SLF001
        return not any(each._connection._h11_state.trailing_data[0] for each in connections)  # noqa: SLF001
    except AttributeError:
        return False
