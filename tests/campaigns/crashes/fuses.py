"""Fuses: a process that kills itself at a named point of a batch's way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from sqlite3 import Connection
from typing import Any

import httpx

from vavasms.ledger.sqlite.claims import SQL


def say(**words: object) -> None:
    """Write one line; short enough for a pipe to keep it whole."""
    os.write(1, (json.dumps({"pid": os.getpid(), **words}) + "\n").encode())


class Fuse:
    """Kill this very process at the n-th time that it comes past a point."""

    def __init__(self, point: str, nth: int) -> None:
        self._point, self._left = point, nth
        #: What the latest commit wrote: an outcome and the next intent may share one.
        self.carried: list[str] = []

    def __call__(self, point: str) -> None:
        """Come past a point."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            say(carried=self.carried)
            os.kill(os.getpid(), signal.SIGKILL)


class FusedConnection(Connection):
    """A connection with a fuse before and after each commit, by what the transaction wrote."""

    fuse: Fuse

    def execute(self, sql: str, *args: Any) -> Any:
        """Note the intents and outcomes of a transaction, and burn at its commit."""
        if sql.startswith("BEGIN"):
            self._written: set[str] = set()
        elif sql in (SQL["claim_batch"], SQL["settle_batch"]):
            self._written.add("tx1" if sql == SQL["claim_batch"] else "tx2")
        elif sql == "COMMIT":
            return self._commit()
        return super().execute(sql, *args)

    def _commit(self) -> Any:
        if self._written:
            self.fuse.carried = sorted(self._written)
        for name in self._written:
            self.fuse(f"before_{name}")
        done = super().execute("COMMIT")
        for name in self._written:
            self.fuse(f"after_{name}")
        return done


class FusedBody(httpx.AsyncByteStream):
    """A body with a fuse where its first byte is asked for, and after its last was written."""

    def __init__(self, body: httpx.AsyncByteStream, fuse: Fuse) -> None:
        self._body, self._fuse = body, fuse

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._fuse("body_start")
        async for chunk in self._body:
            yield chunk
        self._fuse("body_end")


class FusedTransport(httpx.AsyncBaseTransport):
    """httpx's own transport, with a fuse at each stage of a send."""

    def __init__(self, fuse: Fuse) -> None:
        # Nothing is kept alive: each request connects.
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
        self._inner, self._fuse = httpx.AsyncHTTPTransport(limits=limits, trust_env=False), fuse

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/text/single"):
            return await self._inner.handle_async_request(request)
        assert isinstance(request.stream, httpx.AsyncByteStream)
        fused = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=FusedBody(request.stream, self._fuse),
            extensions={**request.extensions, "trace": self._trace},
        )
        response = await self._inner.handle_async_request(fused)
        await response.aread()
        self._fuse("reply")
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content, request=request
        )

    async def _trace(self, event: str, _info: object) -> None:
        if event.startswith("connection.connect_tcp."):
            self._fuse(f"connect_{event.rpartition('.')[2]}")

    async def aclose(self) -> None:
        await self._inner.aclose()
