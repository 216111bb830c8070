"""The workers of the demonstration: processes of `vavasms worker`, as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from anyio import to_thread
from attrs import define, field

from vavasms.cli import show
from vavasms.cli.signals import undisturbed
from vavasms.errors import VavaSMSError

#: Requests that each has under way at once.
CONCURRENCY = 4


@define(kw_only=True)
class Worker:
    """One process."""

    #: From 1.
    no: int
    process: subprocess.Popen[str]
    #: What it says on standard error.
    messages: Path
    #: Killed on stage, and gone.
    killed: bool = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def kill(self) -> None:
        """Kill it as nothing else does (SIGKILL), and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self.killed = True

    def check(self) -> None:
        """Raise `VavaSMSError` where it ended by itself."""
        code = self.process.poll()
        if code is None or self.killed:
            return
        lines = self.messages.read_text(encoding="utf-8", errors="replace").splitlines()
        why = f": {show.clean(lines[-1])}" if lines else ""
        error = VavaSMSError(f"Worker {self.no} of the demo ended by itself (exit code {code}){why}")
        # For VAVASMS_DEBUG, which they have too.
        error.add_note("\n".join(lines))
        raise error

    async def ready(self) -> None:
        """Wait until it is ready for campaigns. Raises `VavaSMSError` where it never is."""
        assert self.process.stdout is not None
        if not await to_thread.run_sync(self.process.stdout.readline, abandon_on_cancel=True):
            await to_thread.run_sync(self.process.wait)
            self.check()


@define(kw_only=True)
class Crew:
    """All of them. A context manager: none outlives it."""

    #: Where their messages go, and where they run: no `.env` is read there.
    folder: Path
    #: Whose account and which ledger: no argument of a process, which everybody could read.
    settings: Mapping[str, str]
    #: Seconds for them to finish what is under way.
    patience: float = 8.0
    workers: list[Worker] = field(factory=list, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def start(self, count: int) -> None:
        """Start so many."""
        for no in range(1, count + 1):
            with undisturbed():
                self.workers.append(self._start(no))

    def _start(self, no: int) -> Worker:
        messages = self.folder / f"worker-{no}.txt"
        with messages.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603  nothing of it was typed by anybody
                [sys.executable, "-m", "vavasms", "worker", "--json", "--concurrency", str(CONCURRENCY)],
                cwd=self.folder,
                env={**_environment(), **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                # Ctrl-C is for the stage, which ends them.
                start_new_session=True,
            )
        return Worker(no=no, process=process, messages=messages)

    def check(self) -> None:
        """Raise `VavaSMSError` where one ended by itself."""
        for worker in self.workers:
            worker.check()

    def end(self) -> None:
        """Let them finish what is under way, and wait until all are gone. May be called twice."""
        with undisturbed():
            for worker in self.workers:
                worker.process.terminate()
            deadline = time.monotonic() + self.patience
            for worker in self.workers:
                _wait(worker.process, deadline)


def _wait(process: subprocess.Popen[str], deadline: float) -> None:
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _environment() -> dict[str, str]:
    """Give the environment without another account, and without proxies: the sandbox is on this machine."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == "VAVASMS_DEBUG" or not (name.startswith("VAVASMS_") or name.upper().endswith("_PROXY"))
    }
