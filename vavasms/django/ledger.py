"""The ledger of the settings for pages and views: opened when it is first needed, where the clients work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from vavasms.config import misconfigured
from vavasms.django.client import find_ledger
from vavasms.django.process import ProcessValue
from vavasms.django.settings import read_settings
from vavasms.i18n import gettext as _
from vavasms.inbound.optout.lazy_ledger import LazyLedger
from vavasms.inbound.seen.portal import PortalLease
from vavasms.ledger.base import Ledger
from vavasms.tracebacks import hide_frames

T = TypeVar("T")

_lease = PortalLease()


def _make() -> LazyLedger:
    place = find_ledger(read_settings())
    if place is None:
        raise misconfigured(
            _("VAVASMS names no ledger: `LEDGER` is a file, `DATABASE` one of `DATABASES`."),
            "config.no_ledger",
        )
    return LazyLedger(place)


_ledger = ProcessValue(_make, lambda ledger: _lease.close(ledger.aclose))


@hide_frames
def run_on_ledger(work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Return what `work` does of the ledger; for a thread without an event loop.

    Raises `ConfigurationError` where the settings name none, and what opening it raises.
    """
    return _lease.run(partial(_work, _ledger.get(), work))


async def run_on_ledger_async(work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Do so from an event loop, which goes on meanwhile."""
    return await asyncio.wrap_future(_lease.start(partial(_work, _ledger.get(), work)))


async def _work(ledger: LazyLedger, work: Callable[[Ledger], Awaitable[T]]) -> T:
    return await work(await ledger.get())


def create_ledger(*, using: str, **_signal: Any) -> None:
    """Create the ledger in a database that was just migrated, if the settings have it there.

    It is closed again: what holds a connection would keep a test from dropping its database.
    """
    if read_settings().get("DATABASE") != using:
        return
    try:
        run_on_ledger(_ask_time)
    finally:
        _ledger.close()


async def _ask_time(ledger: Ledger) -> float:
    return await ledger.now()
