"""Connections belong to the process that opened them."""

from __future__ import annotations

import os

from vavasms.config import misconfigured


class Process:
    """The process that something was opened in."""

    def __init__(self) -> None:
        self._id = os.getpid()

    @property
    def is_this(self) -> bool:
        """False in a forked child: what was opened must be neither used nor closed there."""
        return self._id == os.getpid()

    def check(self) -> None:
        """Raise `ConfigurationError` in a forked child."""
        if not self.is_this:
            raise misconfigured("The database was opened before a fork: open it in the child process.")
