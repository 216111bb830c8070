"""A real uvicorn in a thread of the tests."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


class Server(uvicorn.Server):
    """A server in a thread that says when it listens."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app on loopback."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            assert server.is_up.wait(20)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def access_log_kept() -> Iterator[io.StringIO]:
    """Keep what uvicorn writes into its access log, in its own form.

    The logger may have others: those of the servers of other tests, and pytest's own where it does not propagate.
    """
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(
        uvicorn.logging.AccessFormatter('%(client_addr)s - "%(request_line)s" %(status_code)s')
    )
    logger = logging.getLogger("uvicorn.access")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield handler.stream
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
