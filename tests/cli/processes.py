"""Processes that do not outlive the test that started them, whether it passes or fails."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def start(
    command: Sequence[str], *, patience: float = 10.0, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a process with pipes for its output; end it where the block leaves it running.

    `Popen` alone would wait for it, for ever where an assertion in the block has failed.
    """
    given = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with subprocess.Popen(command, **given) as process:
        try:
            yield process
        finally:
            # Asked first, as it has processes of its own to end.
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
