"""The body of a request, up to a size."""

from __future__ import annotations

from starlette.requests import Request


async def read_bounded(request: Request, most: int) -> bytes | None:
    """Return a whole body; None where it has more bytes than that.

    One that is too long is read to its end all the same, and thrown away: a browser that is still sending
    would see a broken connection in place of the answer.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            chunks.clear()
        else:
            chunks.append(chunk)
    return None if size > most else b"".join(chunks)
