"""What a forked child must not use of its parent's: connections, threads, loops."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

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


T = TypeVar("T")

_living: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def forget_at_fork(resource: T, forget: Callable[[T], None]) -> None:
    """Register what drops, without closing it, what only the parent can use of a resource.

    It is called with the resource in every forked child, before anything else runs there.
    """
    _living[resource] = forget


def _forget_all() -> None:
    for resource, forget in list(_living.items()):
        forget(resource)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=_forget_all)
