"""Serve the desk on loopback until it is told to end."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from attrs import define, field

from vavasms.desk.access import ENTRY, Sessions
from vavasms.desk.app import create_app
from vavasms.desk.page import Pages
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.web.server import QuietServer

_HOST = "127.0.0.1"
#: Seconds that pages which are being answered have at the end.
_GRACE = 5


@define(kw_only=True, eq=False)
class DeskServer:
    """The desk on a port of this machine. Raises `InvalidInputError` for a port that is taken."""

    pages: Pages
    #: 0: any free one.
    port: int
    #: Called with the next link when one was used.
    on_entered: Callable[[str], object] = lambda _link: None
    sessions: Sessions = field(factory=Sessions)
    _socket: socket.socket = field(init=False)
    _server: QuietServer | None = field(default=None, init=False)
    _is_stopped: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._socket = _bind(self.port)
        self.port = self._socket.getsockname()[1]

    @property
    def link(self) -> str:
        """The link that opens the desk, once."""
        return f"http://{_HOST}:{self.port}{ENTRY}?token={self.sessions.entry_token}"

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Keep the desk behind it open while the block runs: see `Desk.opened`."""
        return self.pages.desk.opened()

    async def run(self) -> None:
        """Serve until `stop`."""
        app = create_app(
            self.pages, self.sessions, port=self.port, on_entered=lambda: self.on_entered(self.link)
        )
        self._server = QuietServer(app, grace=_GRACE)
        self._server.should_exit = self._is_stopped
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Take no more requests, begin no further batch, and have `run` return once all is settled."""
        self._is_stopped = True
        if self._server is not None:
            self._server.should_exit = True
        self.pages.desk.stop()


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((_HOST, port))
        # Whoever follows the link before the first request is answered waits, and is not refused.
        sock.listen()
    except (OSError, OverflowError) as error:
        sock.close()
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = _("another program uses it") if is_taken else str(error)
    else:
        return sock
    raise InvalidInputError(
        _("The desk cannot listen on port {port}: {why}. Choose another, or 0.", port=str(port), why=why),
        error_code="desk.port",
        outcome=None,
    )
