"""A signal that something changed. Pure: what a listener does with it is its own affair."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Signal:
    """A signal that calls each listener at a change; safe between threads, free of cost while nobody listens.

    A listener is called in the thread that made the change, perhaps under its locks: it must be quick, and
    ask for nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def listeners(self) -> int:
        """Count who listens."""
        return len(self._listeners)

    def add(self, listener: Callable[[], None]) -> None:
        """Call `listener` from now on."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove(self, listener: Callable[[], None]) -> None:
        """Call `listener` no more."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)

    def emit(self) -> None:
        """Signal that something changed."""
        for listener in self._listeners:
            listener()
