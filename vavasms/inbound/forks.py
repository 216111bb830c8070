"""What a forked child must not use of its parent's: threads, loops, connections."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """Something that can begin afresh."""

    def forget(self) -> None:
        """Let go of what only the parent can use, without closing it."""
        ...


_living: WeakSet[Forgetful] = WeakSet()


def forget_at_fork(thing: Forgetful) -> None:
    """Have something begin afresh in every forked child, before anything else runs there."""
    _living.add(thing)


def _forget_all() -> None:
    for thing in list(_living):
        thing.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
