"""Work in a forked process, which may hang or be broken: only its messages come back."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

#: Sends a message to the parent.
Send = Callable[[object], None]
#: Seconds that a child has to clean up after its last message.
_CLEANUP = 10.0
#: What is waited for beyond what a step takes, in seconds: the machine may be busy.
PATIENCE = 8.0


class ChildHungError(Exception):
    """A forked process sent nothing for too long."""


def forked(work: Callable[[Send], None], patience: Callable[[object], float]) -> Iterator[Any]:
    """Yield the messages of `work`, which runs in a forked process.

    `patience` returns how many seconds may pass after a message until the next. Raises `ChildHungError`.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _run(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            yield from _read(pipe, patience)
    except ChildHungError:
        _end(pid, 0.0)
        raise
    finally:
        _end(pid, _CLEANUP)


def _end(pid: int, seconds: float) -> None:
    """Wait for a process so long, then end it with whatever it started."""
    for number, pause in ((0, seconds), (signal.SIGTERM, 1.0), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(pid, number)
        try:
            _wait(pid, pause)
        except ChildProcessError:
            return


def _wait(pid: int, seconds: float | None) -> None:
    """Wait for a process at most so long. Raises `ChildProcessError` where it has ended."""
    end = None if seconds is None else time.monotonic() + seconds
    pause = 0.001
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if end is not None and time.monotonic() > end:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    raise ChildProcessError


def _run(work: Callable[[Send], None], writing: int) -> None:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(os.devnull, "r+b") as null:  # noqa: PTH123  a device
            for stream in range(3):
                os.dup2(null.fileno(), stream)

        def send(message: object) -> None:
            data = pickle.dumps(message)
            data = len(data).to_bytes(8) + data
            while data:
                data = data[os.write(writing, data) :]

        work(send)
        status = 0
    finally:
        # No exit handler of the parent's runs here.
        os._exit(status)


def _read(pipe: BinaryIO, patience: Callable[[object], float]) -> Iterator[object]:
    last: object = None
    while True:
        head = _take(pipe, 8, patience(last))
        if not head:
            return
        last = pickle.loads(_take(pipe, int.from_bytes(head), patience(last)))
        yield last


def _take(pipe: BinaryIO, size: int, seconds: float) -> bytes:
    data = b""
    while len(data) < size:
        if not select.select([pipe], [], [], seconds)[0]:
            raise ChildHungError
        part = pipe.read(size - len(data))
        if not part:
            break
        data += part
    return data
