"""The health of `vavasms worker`, served where `--health` says."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any

import anyio

from vavasms.cli import output
from vavasms.cli.sockets import bind, name_host
from vavasms.config import is_loopback, misconfigured
from vavasms.endpoints import HasAccount
from vavasms.errors import InvalidInputError, name_error
from vavasms.health.monitor import HealthMonitor
from vavasms.health.opentelemetry import GaugeObserver
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.telemetry import make_meter
from vavasms.transport.hooks import CallInfo

logger = logging.getLogger("vavasms")

_LOOPBACK = "127.0.0.1"
_BACKLOG = 32
#: Seconds that a scrape which is being answered has at the end.
_GRACE = 2
_PORTS = range(65536)
_read_address = re.compile(r"(?:(?P<host>[^:\[\]]*|\[[0-9a-fA-F:.]+\]):)?(?P<port>\d{1,5})").fullmatch


class WorkerHealth:
    """What a worker tells of itself; without an address nothing is served and nothing counted."""

    #: Where it is served; None where it is not.
    url: str | None = None

    def count_request(self, info: CallInfo) -> None:
        """Count an attempt of the worker's client."""

    def count_wait(self, seconds: float) -> None:
        """Count a wait for the rate."""

    def then(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Return what stops the worker, and has nobody wait for it to be ready."""
        return stop

    @asynccontextmanager
    async def served(self, client: HasAccount, ledger: Ledger) -> AsyncIterator[None]:
        """Serve while the block runs, and have OpenTelemetry export it where a program has loaded that."""
        meter = make_meter()
        if meter is None:
            yield
            return
        monitor = HealthMonitor(account=client.account, ledger=ledger)
        observer = GaugeObserver(monitor=monitor, meter=meter)
        async with running_beside(monitor.run, observer.run):
            yield


@contextmanager
def open_health(address: str | None) -> Iterator[WorkerHealth]:
    """Reserve the port, before any work, and return what serves there; None serves nothing.

    Raises `InvalidInputError` for what is no address and for a port that is taken, `ConfigurationError` where
    the extra is not installed.
    """
    if address is None:
        yield WorkerHealth()
        return
    host, port = parse_address(address)
    if find_spec("uvicorn") is None or find_spec("prometheus_client") is None:
        raise misconfigured(_("Metrics need their extra: pip install 'vavasms[metrics]'."), "config.extra")
    # Else Python prints what uvicorn complains of: broken requests, clients that are gone.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    with bind(host, port) as sock:
        yield ServedHealth(sock, host)


def parse_address(address: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; a port alone is this machine's."""
    match = _read_address(address.strip())
    if match is None or int(match["port"]) not in _PORTS:
        raise InvalidInputError(
            _("{option} is an address such as 127.0.0.1:8428.", option="--health"),
            error_code="usage.value",
            outcome=None,
        )
    return (match["host"] or _LOOPBACK).strip("[]"), int(match["port"])


class ServedHealth(WorkerHealth):
    """The health of a worker behind a socket of its own."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        # They need an extra, and a worker without --health needs neither.
        from vavasms.health.prometheus import WorkerMetrics

        self._sock, self._host = sock, host
        self._metrics = WorkerMetrics()
        self._monitor: HealthMonitor | None = None
        self.url = f"http://{name_host(host)}:{sock.getsockname()[1]}"

    def count_request(self, info: CallInfo) -> None:
        self._metrics.count_request(info)

    def count_wait(self, seconds: float) -> None:
        self._metrics.count_wait(seconds)

    def then(self, stop: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            if self._monitor is not None:
                self._monitor.stop()
            stop()

        return act

    @asynccontextmanager
    async def served(self, client: HasAccount, ledger: Ledger) -> AsyncIterator[None]:
        from vavasms.health.asgi import HealthApp
        from vavasms.web.server import QuietServer

        monitor = self._monitor = HealthMonitor(account=client.account, ledger=ledger)
        is_local = is_loopback(self._host)
        app = HealthApp(monitor=monitor, metrics=self._metrics, is_local=is_local)
        server = QuietServer(app, grace=_GRACE, for_strangers=True)
        if not is_local:
            output.warn(
                _("Others can reach the worker's health by plain HTTP: it holds no number and no text")
            )
        # Whoever reads the URL may call it: what calls before the loop runs waits.
        self._sock.listen(_BACKLOG)
        ended = anyio.Event()

        async def serve() -> None:
            await server.serve(sockets=[self._sock])
            ended.set()

        meter = make_meter()
        observers = [] if meter is None else [GaugeObserver(monitor=monitor, meter=meter).run]
        async with running_beside(monitor.run, serve, *observers):
            yield
            server.should_exit = True
            with anyio.move_on_after(_GRACE + 1):
                await ended.wait()


@asynccontextmanager
async def running_beside(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Do these beside the block, and end them with it: what they fail of does not end the block.

    What the block raises comes out by itself, not in a group.
    """
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        for work in works:
            tasks.start_soon(_log_failure, work)
        try:
            yield
        except Exception as error:  # noqa: BLE001  raised below
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


async def _log_failure(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001  raised, it would cut off what the worker has under way
        logger.warning(
            N_("The health of a worker is told no more (%s); its work goes on."), name_error(error)
        )
