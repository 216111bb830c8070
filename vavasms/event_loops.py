"""Whether an event loop of asyncio or trio is still at work: what waits in one is of no use to another."""

from __future__ import annotations

from typing import Any

import anyio

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _


def current_loop() -> Any:
    """Return what stands for the event loop of this task: asyncio's own object, trio's token."""
    return anyio.lowlevel.current_token().native_token


def _is_running(loop: Any) -> bool:
    """Return whether a loop runs, in this thread or another one."""
    return bool(loop.is_running()) if hasattr(loop, "is_running") else _takes_calls(loop)


def has_ended(loop: Any) -> bool:
    """Return whether a loop will never run again."""
    return bool(loop.is_closed()) if hasattr(loop, "is_closed") else not _takes_calls(loop)


def check_loop(latest: Any) -> Any:
    """Return the loop of this task, for something that `latest` used before it; None where nothing did.

    Raises `ConfigurationError` where `latest` is another one and still runs: what both wait with belongs to
    one of them, so that both would wait for ever.
    """
    loop = current_loop()
    if latest is not None and loop is not latest and _is_running(latest):
        raise misconfigured(
            _("The ledger is used in another event loop: open one for each."), "config.event_loop"
        )
    return loop


def _takes_calls(token: Any) -> bool:
    """Return whether trio's loop is there: its token tells it only by what becomes of a call."""
    try:
        token.run_sync_soon(_do_nothing)
    except RuntimeError:
        return False
    return True


def _do_nothing() -> None:
    """Return at once."""
