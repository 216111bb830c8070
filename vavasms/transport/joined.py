"""A request in one write.

httpcore writes a request's headers and its body apart: two system calls, and on TLS two records. Here the
headers wait for the body's first bytes, which httpcore asks for next. They hold neither credentials nor text,
so what the body tells of a send that failed is as true as without this.
"""

from __future__ import annotations

from ssl import SSLContext
from typing import Any, Protocol

from anyio.lowlevel import checkpoint_if_cancelled


class Stream(Protocol):
    """A connection, as httpcore's `AsyncNetworkStream` describes it."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...

    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...

    async def aclose(self) -> None: ...

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream: ...

    def get_extra_info(self, info: str) -> Any: ...


class OneWriteStream:
    """Hold the headers of a POST back until its body is written, or a reply is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._held = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, once nothing is held back any more."""
        if self._held:
            await self.write(b"", timeout)
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, or hold back what begins a POST: a CONNECT and what SOCKS says have no body behind them."""
        held, self._held = self._held, b""
        if not held and buffer.startswith(b"POST "):
            # A cancellation that is due comes now, as it would in a write: before the body is asked for.
            await checkpoint_if_cancelled()
            self._held = buffer
        else:
            await self._stream.write(held + buffer, timeout)

    async def aclose(self) -> None:
        """Close; headers that are held back go nowhere."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream:
        """Go on over TLS."""
        return OneWriteStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Look through."""
        return self._stream.get_extra_info(info)


class OneWriteBackend:
    """Open the connections of httpcore's `AsyncNetworkBackend` so that each request leaves in one write."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> Stream:
        """Connect."""
        return OneWriteStream(await self._backend.connect_tcp(*args, **kwargs))
