"""uvicorn as our commands serve by it: in a loop of their own, with signals of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

#: With a handler of its own Python prints nothing of it on standard error, where nobody configured logging.
_SILENCE = logging.NullHandler()


class QuietServer(uvicorn.Server):
    """uvicorn, without its logs and its way with signals.

    An address may be asked for with anything in it: none of it is logged. At the end what is under way has
    `grace` seconds.
    """

    def __init__(self, app: ASGIApp, *, grace: int) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
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
