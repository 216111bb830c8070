"""Somebody who posts to a receiver over bare sockets: the platform, or no friend of ours."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import frozen

from tests.inbound.load.stage import ReceiverServer

#: Seconds after which a receiver that answers nothing is taken for stuck.
PATIENCE = 60.0
_PART = 16_384
_GONE = (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead, ConnectionError)


@frozen(kw_only=True)
class Post:
    """One request."""

    #: None for a token that is wrong.
    message_id: str | None
    #: Bytes by which the body is longer than that of an SMS.
    padding: int = 0
    #: Without a length, so that nobody can tell beforehand.
    chunked: bool = False

    def body(self) -> bytes:
        """Return the form."""
        name = quote(self.message_id or "SM-X")
        form = f"message_id={name}&form=%2B2250700000101&content=Bonjour+{name}&sms_date=2026-03-01+10%3A20"
        return form.encode() + b"&x=" + b"x" * self.padding


class Line:
    """A connection to the receiver, kept while that goes well."""

    def __init__(self, server: ReceiverServer) -> None:
        self._server = server
        self._stream: SocketStream | None = None

    async def post(self, post: Post) -> int | None:
        """Post once; give the status, or None where there was no answer."""
        try:
            with anyio.fail_after(PATIENCE):
                return await self._post(post)
        except _GONE:
            await self.aclose()
            return None

    async def post_slowly(self, *, trickles: bool) -> int:
        """Send a body that has no end, or not a byte of one, until there is an answer."""
        stream = await self._open()
        await stream.send(_head(self._server.token, 60_000))
        status = 0

        async def trickle() -> None:
            while trickles:
                await stream.send(b"x")
                await anyio.sleep(0.5)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(trickle)
                status, _ = await _read_answer(stream)
                tasks.cancel_scope.cancel()
        await self.aclose()
        return status

    async def aclose(self) -> None:
        """Hang up."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await anyio.aclose_forcefully(stream)

    async def _open(self) -> SocketStream:
        if self._stream is None:
            self._stream = await anyio.connect_tcp("127.0.0.1", self._server.port)
        return self._stream

    async def _post(self, post: Post) -> int:
        token, body = self._server.token, post.body()
        stream = await self._open()
        head = _head(
            "0" * len(token) if post.message_id is None else token, None if post.chunked else len(body)
        )
        parts = [body[start : start + _PART] for start in range(0, len(body), _PART)]
        if post.chunked:
            parts = [b"%x\r\n%b\r\n" % (len(each), each) for each in [*parts, b""]]
        # As one where it is small, as everybody does.
        await stream.send(head + parts[0])
        for part in parts[1:]:
            await stream.send(part)
        status, closes = await _read_answer(stream)
        if closes:
            await self.aclose()
        return status


async def pour(server: ReceiverServer, posts: Iterable[Post], lines: int) -> list[tuple[Post, int | None]]:
    """Post over so many connections at once; give what became of each."""
    waiting, results = iter(posts), list[tuple[Post, int | None]]()

    async def work() -> None:
        line = Line(server)
        for post in waiting:
            results.append((post, await line.post(post)))
        await line.aclose()

    async with anyio.create_task_group() as tasks:
        for _ in range(lines):
            tasks.start_soon(work)
    return results


def _head(token: str, length: int | None) -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST /{token} HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n\r\n".encode()


async def _read_answer(stream: SocketStream) -> tuple[int, bool]:
    """Read an answer whole; give its status, and whether it is the last of its connection."""
    buffered = BufferedByteReceiveStream(stream)
    head = (await buffered.receive_until(b"\r\n\r\n", 65_536)).lower()
    status, _, lines = head.partition(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines.split(b"\r\n"))
    await buffered.receive_exactly(int(fields[b"content-length"]))
    assert buffered.buffer == b""
    return int(status.split()[1]), fields.get(b"connection") == b"close"
