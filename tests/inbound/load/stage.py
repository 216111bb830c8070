"""What the load and kill tests stand on: receivers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from vavasms.inbound.tokens import make_token

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class ReceiverServer:
    """Forks receivers; see `receiver_process.py`."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("receiver_process.py")
        # With its protocol named, asyncio turns Nagle's delay off for what is accepted.
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(1024)
        self.port: int = self._sock.getsockname()[1]
        self.token = make_token()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(script), str(self._sock.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._sock.fileno()],
            # The package under test, wherever else one is installed.
            env={**os.environ, "PYTHONPATH": str(script.parents[3])},
        )
        self._living: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._sock.close()
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)

    def start(
        self,
        journal: Path,
        seen: Path | None,
        *,
        point: str | None = None,
        nth: int = 1,
        pause: float = 0.0,
    ) -> int:
        """Start a receiver that dies at a point, when it comes there for the nth time; give its pid."""
        pid = self._order(
            journal=str(journal),
            seen=None if seen is None else str(seen),
            point=point,
            nth=nth,
            pause=pause,
            token=self.token,
        )
        self._living.add(pid)
        return pid

    def kill(self, pid: int) -> int:
        """Kill a receiver and wait; give its exit code."""
        return self.wait(pid, signal.SIGKILL)

    def wait(self, pid: int, number: int = 0) -> int:
        """Wait for the end of a receiver; give its exit code."""
        self._living.discard(pid)
        return self._order(end=pid, signal=number)

    def clear(self) -> None:
        """Kill what a test left behind."""
        for pid in [*self._living]:
            self.kill(pid)

    def _order(self, **words: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write((json.dumps(words) + "\n").encode())
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def resident(pid: int) -> int:
    """Return the memory of a process that is in RAM, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
