"""A fork server of receivers that can be killed: run as a script, told by lines of JSON.

Its first argument is the descriptor of the socket that all receivers listen at, one after the other: what is
sent while none lives waits for the next. An order is a line on stdin, its answer a line on stdout. Everything
is imported once, so a receiver is at work a few milliseconds after its order.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import uvicorn

from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.inbound.seen.sqlite import SqliteSeenStore
from vavasms.models import InboundMessage

Order = Mapping[str, Any]

#: Where a receiver can be ordered to die.
POINTS = ("before handling", "in the handler", "after handling", "before the commit", "after the commit")


class Fuse:
    """Kill this process when it comes to a point for the nth time."""

    def __init__(self, point: str | None, nth: int) -> None:
        self._point, self._left = point, nth

    def __call__(self, point: str) -> None:
        """Print where the process is."""
        self._left -= point == self._point
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedSeenStore(SqliteSeenStore):
    """The store as it is; a receiver may die beside its commit."""

    fuse: Fuse

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        """Commit, if the process lives so long."""
        self.fuse("before the commit")
        await super().commit(message_id, digest, owner)
        self.fuse("after the commit")


class Handler:
    """Write the ids of messages into a file, from which no crash of this process takes them."""

    def __init__(self, journal: str, pause: float, fuse: Fuse) -> None:
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pause, self._fuse = pause, fuse

    async def __call__(self, message: InboundMessage) -> None:
        self._fuse("before handling")
        await anyio.sleep(self._pause)
        self._fuse("in the handler")
        os.write(self._file, f"H {message.message_id}\n".encode())
        self._fuse("after handling")


async def serve(order: Order, sock: socket.socket) -> None:
    """Be a receiver until the end of the process."""
    fuse = Fuse(order["point"], order["nth"])
    seen: SeenStore = MemorySeenStore()
    if order["seen"] is not None:
        seen = store = await FusedSeenStore.open(order["seen"])
        store.fuse = fuse
    app = InboundApp(Handler(order["journal"], order["pause"], fuse), token=order["token"], seen=seen)
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[sock])


def fork(order: Order, sock: socket.socket) -> int:
    """Start a receiver; give its pid."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        try:
            anyio.run(partial(serve, order, sock))
        finally:
            os._exit(70)
    return pid


def end(pid: int, number: int) -> int:
    """Send a signal, if any, and wait for the end; give the exit code."""
    if number:
        os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Obey until stdin is closed."""
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        for order in map(json.loads, sys.stdin):
            answer = end(order["end"], order["signal"]) if "end" in order else fork(order, sock)
            os.write(1, f"{answer}\n".encode())


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    main()
