"""Whether tests run, as Django has it, and the files that stand in there for those of the settings."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from django.core import mail


def in_test() -> bool:
    """Return whether tests run: between Django's `setup_test_environment` and `teardown_test_environment`.

    `mail.outbox` is no sign of it: a live process that keeps its mails in memory has one too.
    """
    # Whoever set it up has imported this module, and a live process need not.
    module = sys.modules.get("django.test.utils")
    if module is not None and not hasattr(module, "_TestState"):
        # A later Django may have it elsewhere: rather no SMS than one of a test.
        return hasattr(mail, "outbox")
    return hasattr(getattr(module, "_TestState", None), "saved_data")


def find_test_process() -> int:
    """Return this process's number where tests run, else 0: what belongs to one is not to be another's."""
    return os.getpid() if in_test() else 0


class StandIns:
    """A folder of this process, with a file for each place that tests are to leave alone."""

    def __init__(self) -> None:
        self._process, self._path = 0, Path()
        self._places: dict[str, int] = {}

    def find_file(self, place: str) -> Path:
        """Return the file that stands in for a place."""
        if self._process != os.getpid():
            # A fork's is in its parent's, which is removed by an end that a fork may not come to.
            parent = self._path if self._process and self._path.is_dir() else None
            self._path = Path(tempfile.mkdtemp(prefix="vavasms", dir=parent))
            self._process = os.getpid()
        return self._path / f"{self._places.setdefault(place, len(self._places))}.db"

    def remove(self) -> None:
        """Remove the folder, if this process has made one."""
        if self._process == os.getpid():
            shutil.rmtree(self._path, ignore_errors=True)
            self._process = 0


stand_ins = StandIns()
