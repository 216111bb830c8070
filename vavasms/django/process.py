"""What a process has one of: made when first needed, given up when the settings change and at its end."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, Generic, TypeVar

from django.db.backends.base.base import NO_DB_ALIAS

from vavasms.django import settings
from vavasms.django.environment import find_test_process, stand_ins
from vavasms.forks import forget_at_fork

T = TypeVar("T")


class ProcessValue(Generic[T]):
    """A value that all threads of a process share. What it holds must stand a fork by itself."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], object]) -> None:
        self._make, self._close = make, close
        self._made: list[T] = []
        self._test_process = 0
        self._lock = RLock()
        forget_at_fork(self, ProcessValue._forget)
        _values.append(self)

    def _forget(self) -> None:
        """Take a lock of one's own in a forked child: a thread of the parent's may have held it."""
        self._lock = RLock()

    def get(self) -> T:
        """Return the value. Raises what making it raises; the next call tries again."""
        with self._lock:
            if self._made and self._test_process != find_test_process():
                # Made while the project was loaded, or by the process that forked this one.
                self.close()
            if not self._made:
                self._test_process = find_test_process()
                self._made.append(self._make())
            return self._made[0]

    def close(self) -> None:
        """Close it; asked for again it is made anew."""
        with self._lock:
            made, self._made = self._made, []
        for value in made:
            self._close(value)


_values: list[ProcessValue[Any]] = []


def forget_settings(*, setting: str = settings.NAME, **_signal: Any) -> None:
    """Close what was made of the settings, once a test overrides them."""
    if setting in (settings.NAME, "DATABASES"):
        settings.forget()
        close_all()


def close_all() -> None:
    """Close everything that was made of the settings."""
    for value in reversed(_values):
        value.close()


def leave_databases(*, connection: Any, **_signal: Any) -> None:
    """Close everything as Django connects to no database: it is about to drop the one of the tests.

    PostgreSQL neither drops nor copies a database that anybody is connected to.
    """
    if connection.alias == NO_DB_ALIAS:
        close_all()


@atexit.register
def _close_at_exit() -> None:
    # The outcomes are in the ledger by now; what fails here would only hide what ended the process.
    with suppress(Exception):
        close_all()
    stand_ins.remove()
