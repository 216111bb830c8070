"""A reply read from the wire, whatever its length."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Mapping
from typing import Protocol

from vavasms.transport.outcome import Reply
from vavasms.transport.retry import read_retry_after

#: By the names of `Content-Encoding`, the ways of zlib to read them: gzip's, its own, and the bare one.
_WINDOWS = {
    "gzip": (zlib.MAX_WBITS + 16,),
    "x-gzip": (zlib.MAX_WBITS + 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


def decode(body: bytes, encodings: str | None, limit: int) -> bytes | None:
    """Return a body decoded; None where it is cut, broken, too long, or followed by anything.

    What zlib does not know stays as it is: PHP sites name charsets there.
    """
    for name in reversed((encodings or "").lower().split(",")):
        windows = _WINDOWS.get(name.strip())
        if windows is None or not body:
            continue
        decoded = [plain for window in windows if (plain := _inflate(body, window, limit)) is not None]
        if not decoded:
            return None
        body = decoded[0]
    return body


def _inflate(body: bytes, window: int, limit: int) -> bytes | None:
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, limit)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None


#: The most bytes of a reply that are read. A lot of 10,000 message ids is a quarter of a MiB.
MAX_REPLY_BYTES = 8 * 1024 * 1024


class Response(Protocol):
    """What is asked of httpx's response."""

    status_code: int
    is_closed: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by names in any case."""
        ...

    async def aclose(self) -> None:
        """Release the connection."""
        ...


async def read(response: Response, chunks: AsyncIterable[bytes]) -> Reply:
    """Read the body's `chunks` to the end, as they were sent, and close `response`, whatever comes.

    Of a body that is too long or cannot be decoded nothing is kept, and the connection of a long one is
    closed.
    """
    kept: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size <= MAX_REPLY_BYTES:
                kept.append(chunk)
            elif not response.is_closed:
                # A reply without end: what it says is of no use, its status may be. Reading on from what is
                # closed fails, which ends httpx's generators: trio warns of those that are left behind.
                kept.clear()
                await response.aclose()
    except Exception:
        if size <= MAX_REPLY_BYTES:
            raise
    finally:
        await response.aclose()
    body = decode(b"".join(kept), response.headers.get("content-encoding"), MAX_REPLY_BYTES)
    return Reply(
        status=response.status_code,
        retry_after=read_retry_after(response.headers.get("retry-after")),
        body=body or b"",
        whole=size <= MAX_REPLY_BYTES and body is not None,
    )
