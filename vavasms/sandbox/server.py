"""The sandbox as a server in a thread of its own, under whatever event loop the caller has, or none."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from starlette.routing import BaseRoute

from vavasms.i18n import gettext as _
from vavasms.sandbox.app import BASE_PATH, create_app
from vavasms.sandbox.faults import FaultPlan, SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox import Inbound
from vavasms.sandbox.listener import Listener, bind

_DEADLINE = 10.0


class SandboxServer:
    """A gateway that is served on loopback while the `with` block runs.

    `port=0` takes any free one. With `ssl_certfile` and `ssl_keyfile` (paths) it speaks TLS. `routes` are
    served beside the API and the inbox page; `inbound` is where the page's handsets reply to. After the
    block everything is closed; the journal can still be read. One block per instance.
    """

    def __init__(
        self,
        gateway: Gateway | None = None,
        faults: FaultPlan | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
        allowed_hosts: Iterable[str] = (),
        routes: Sequence[BaseRoute] = (),
        inbound: Inbound | None = None,
    ) -> None:
        self.gateway = Gateway() if gateway is None else gateway
        self.faults = FaultPlan() if faults is None else faults
        self._app = create_app(
            self.gateway, self.faults, allowed_hosts=allowed_hosts, routes=routes, inbound=inbound
        )
        self._host = host
        self._port = port
        self._files = (ssl_certfile, ssl_keyfile)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._listener: Listener | None = None
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="vavasms-sandbox", daemon=True)
        self._sock: socket.socket | None = None

    @property
    def port(self) -> int:
        """Return the port; 0 before the block is entered where any free one was asked for."""
        return self._port

    @property
    def origin(self) -> str:
        """Return scheme, host and port: `http://127.0.0.1:8425`."""
        scheme = "http" if self._files[0] is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}"

    @property
    def url(self) -> str:
        """Return the base URL for a client: `http://127.0.0.1:8425/api`."""
        return self.origin + BASE_PATH

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings by which a client reaches the sandbox."""
        return self.gateway.client_settings(self.url)

    @property
    def connections(self) -> int:
        """Count the open connections."""
        return 0 if self._listener is None else self._listener.connections

    def __enter__(self) -> Self:
        """Listen; `SandboxError` says why that is not possible."""
        self._sock = bind(self._host, self._port)
        self._port = self._sock.getsockname()[1]
        self._thread.start()
        try:
            self._ready.result(_DEADLINE)
        except (OSError, ssl.SSLError) as error:
            self._sock.close()
            raise SandboxError(
                _("the sandbox cannot start: {why}", why=str(error)), error_code="sandbox.start"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close everything and wait (10 s at most) for the thread to end."""
        if self._loop is not None and self._done is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(_DEADLINE)

    @contextmanager
    def refuse(self) -> Iterator[None]:
        """Refuse connections while the block runs, drop those there are; then listen on the port again."""
        listener = self._running()
        self._run(listener.close())
        try:
            yield
        finally:
            self._run(listener.open())

    def drop_connections(self) -> None:
        """Close all connections, idle ones too, as a gateway does whose keep-alive has run out."""
        listener = self._running()

        async def drop() -> None:
            listener.drop()

        self._run(drop())

    def _running(self) -> Listener:
        if self._listener is None:
            raise SandboxError(
                _("the sandbox is not running: enter its `with` block first"),
                error_code="sandbox.not_running",
            )
        return self._listener

    def _run(self, work: Coroutine[None, None, None]) -> None:
        """Do something in the server's loop and wait for it."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_DEADLINE)

    def _work(self) -> None:
        # Windows' own kind of loop cannot stop accepting without closing, which the listener needs.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        try:
            listener = Listener(self._app, certfile=self._files[0], keyfile=self._files[1])
            await listener.open(self._sock)
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that waits for us
            self._ready.set_exception(error)
            return
        self._listener = listener
        self._ready.set_result(None)
        await self._done.wait()
        self._listener = None
        await listener.stop()


def serve(
    host: str = "127.0.0.1",
    port: int = 8425,
    *,
    gateway: Gateway | None = None,
    faults: FaultPlan | None = None,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
    routes: Sequence[BaseRoute] = (),
    inbound: Inbound | None = None,
    ready: Callable[[SandboxServer], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve until `stop` is set or the program is interrupted; `ready` is called once it listens.

    `SandboxError` where the host is not a loopback address or the port is taken.
    """
    stop = stop or threading.Event()
    with SandboxServer(
        gateway,
        faults,
        host=host,
        port=port,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        routes=routes,
        inbound=inbound,
    ) as server:
        if ready is not None:
            ready(server)
        # On Windows an endless wait cannot be interrupted: wait in pieces.
        while not stop.wait(0.5):
            continue
