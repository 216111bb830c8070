"""uvicorn as our commands serve by it: in a loop of their own, with signals of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

#: With a handler of its own Python prints nothing of it on standard error, where nobody configured logging.
_SILENCE = logging.NullHandler()
#: Of what strangers reach: connections at once, and seconds that one has for its next request and its answer.
STRANGERS, STRANGER_SECONDS = 32, 10.0


class StrangerProtocol(H11Protocol):
    """A connection that ends `STRANGER_SECONDS` after it, or its latest request, was begun.

    uvicorn's own limits do not: its keep-alive begins with the first answer and ends with the next byte, and
    `limit_concurrency` answers a request, where a connection that asks for nothing holds a file.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > STRANGERS:
            transport.abort()
        else:
            self._restart()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _restart(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        # Not `close`, which waits for one that does not read.
        self._deadline = self.loop.call_later(STRANGER_SECONDS, self.transport.abort)


class QuietServer(uvicorn.Server):
    """uvicorn, without its logs and its way with signals.

    An address may be asked for with anything in it: none of it is logged. At the end what is under way has
    `grace` seconds. `for_strangers` bounds connections, and is for an application that answers at once.
    """

    def __init__(self, app: ASGIApp, *, grace: int, for_strangers: bool = False) -> None:
        config = uvicorn.Config(
            app,
            http=StrangerProtocol if for_strangers else "h11",
            backlog=STRANGERS if for_strangers else 2048,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=grace,
        )
        logging.getLogger("uvicorn.error").addHandler(_SILENCE)
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them: whoever serves catches them, until after the ledger is closed."""
        yield
