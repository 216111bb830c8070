"""What a forked child must not use of its parent's: connections, threads, loops."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _


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
            raise misconfigured(
                _("The database was opened before a fork: open it in the child process."), "config.fork"
            )


class ForkAware(Protocol):
    """Something that can begin afresh."""

    def forget(self) -> None:
        """Drop what only the parent can use, without closing it."""
        ...


_living: WeakSet[ForkAware] = WeakSet()


def forget_at_fork(resource: ForkAware) -> None:
    """Register a resource to begin afresh in every forked child, before anything else runs there."""
    _living.add(resource)


def _forget_all() -> None:
    for resource in list(_living):
        resource.forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=_forget_all)
