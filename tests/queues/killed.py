"""Beside a task of the guide: kills its process with the first SMS, and notes each call."""

from __future__ import annotations

import os
import signal
from functools import wraps
from pathlib import Path
from typing import Any

from vavasms import AsyncVavaSMS

#: Written before each send; the sandbox kills the process of the first one with its SMS in hand.
STARTED = Path("started")
#: Written after each send.
ENDED = Path("ended")

_send = AsyncVavaSMS.send


@wraps(_send)
async def _note(self: AsyncVavaSMS, *arguments: Any, **options: Any) -> Any:
    _write(STARTED, os.getpid())
    try:
        lot = await _send(self, *arguments, **options)
    except Exception as error:
        _write(ENDED, type(error).__name__)
        raise
    _write(ENDED, "replayed" if lot.replayed else "sent")
    if not lot.replayed:
        os.kill(os.getpid(), signal.SIGKILL)
    return lot


def _write(path: Path, value: object) -> None:
    with path.open("a") as file:
        print(value, file=file)


AsyncVavaSMS.send = _note  # type: ignore[method-assign]
