"""Put the barrier before the real gateway up, and down again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vavasms.transport.live_guard import REFUSED_URL, VARIABLE, barrier

_BASE_URL = "VAVASMS_BASE_URL"


@contextmanager
def bar() -> Iterator[None]:
    """Keep this process, and those it starts, from the real gateway.

    A base URL that the environment names stays: it may be a sandbox.
    """
    with pytest.MonkeyPatch.context() as patch, _barrier(is_up=True):
        patch.setenv(VARIABLE, "1")
        if not os.environ.get(_BASE_URL):
            patch.setenv(_BASE_URL, REFUSED_URL)
        yield


@contextmanager
def open_for(*, real: bool) -> Iterator[None]:
    """Open the guard for what really means it."""
    if not real:
        yield
        return
    with pytest.MonkeyPatch.context() as patch, _barrier(is_up=False):
        patch.delenv(VARIABLE, raising=False)
        if os.environ.get(_BASE_URL) == REFUSED_URL:
            patch.delenv(_BASE_URL)
        yield


@contextmanager
def _barrier(*, is_up: bool) -> Iterator[None]:
    before, barrier.is_up = barrier.is_up, is_up
    try:
        yield
    finally:
        barrier.is_up = before


def stopped() -> list[str]:
    """Return the sentence of what was stopped since the last time, once each."""
    return list(dict.fromkeys(barrier.take()))
