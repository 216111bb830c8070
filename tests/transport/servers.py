"""Servers of a test's own, on a socket, for what no gateway would do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from vavasms import AsyncVavaSMS

ONE = "2250759000001"
SUCCESS = b'{"code":0,"message":"OPERATION_SUCCES","data":{"lot_id":"L","message_id":["S"]}}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(SUCCESS), SUCCESS)


@contextmanager
def serving(serve: Callable[[socket.socket], Any]) -> Iterator[tuple[int, Future[Any]]]:
    """Pass a listening socket to `serve`, in a thread; return its port and what `serve` will return."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        listener.settimeout(10)
        future = threads.submit(serve, listener)
        yield listener.getsockname()[1], future
        assert future.exception(10) is None


def connect(port: int, *, scheme: str = "http", **settings: Any) -> AsyncVavaSMS:
    base_url = f"{scheme}://127.0.0.1:{port}/api"
    return AsyncVavaSMS(
        "user@example.com", "secret", sender_id="ACME", base_url=base_url, trust_env=False, **settings
    )


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(10)
    return connection
