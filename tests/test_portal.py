"""The thread of those who cannot await: it begins, is leased, and ends, whatever comes between."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import NoReturn

import pytest

from vavasms.portal import Lease, PortalThread, SharedPortal, mark_asyncio


@pytest.fixture
def portal() -> SharedPortal:
    return SharedPortal("portal")


def ends(thread: PortalThread) -> bool:
    """Wait for the end of a thread; return whether it came."""
    thread._thread.join(10)
    return thread.ended and not thread._thread.is_alive()


async def name_thread() -> str:
    return threading.current_thread().name


def test_a_thread_that_is_stopped_before_it_runs_ends_by_itself() -> None:
    thread = PortalThread("portal")
    thread.stop()
    thread.start()
    assert ends(thread)


def test_after_its_end_nobody_has_a_lease_and_nothing_is_run(portal: SharedPortal) -> None:
    lease = portal.lease()
    thread, ran = lease.thread, list[bool]()
    lease.release()
    assert ends(thread)
    assert thread.lease() is None
    # As of somebody who asked just before.
    assert not Lease(thread).acquire()
    assert thread.leases == set()
    thread.post(lambda: ran.append(True))
    assert ran == []
    again = portal.lease()
    assert again.thread is not thread
    assert again.start(name_thread).result(10) == "portal"
    again.release()


def test_a_lease_that_is_released_twice_at_once_ends_the_thread_once(portal: SharedPortal) -> None:
    lease, busy, go_on = portal.lease(), threading.Event(), threading.Event()

    def hold_up() -> None:
        busy.set()
        assert go_on.wait(10)

    lease.thread.post(hold_up)
    assert busy.wait(10)
    lease.release()
    lease.release()
    go_on.set()
    assert ends(lease.thread)


def test_a_thread_that_somebody_else_uses_goes_on(portal: SharedPortal) -> None:
    lease, other = portal.lease(), portal.lease()
    lease.release()
    lease.thread.join_unless_used()
    assert other.start(name_thread).result(10) == "portal"
    assert not other.thread.ended
    other.release()


def test_a_lease_that_is_dropped_ends_the_thread(portal: SharedPortal) -> None:
    thread = portal.lease().thread
    gc.collect()
    assert ends(thread)


def test_a_thread_that_cannot_begin_raises_where_it_was_asked_for(
    portal: SharedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NoReturn:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "Runner", fail)
        with pytest.raises(OSError, match="Too many open files"):
            portal.lease()
    lease = portal.lease()
    assert lease.start(name_thread).result(10) == "portal"
    lease.release()


def test_a_task_is_marked_where_there_is_somebody_to_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sniffio = pytest.importorskip("sniffio")

    async def read() -> str | None:
        mark_asyncio()
        found: str | None = sniffio.current_async_library_cvar.get()
        return found

    token = sniffio.current_async_library_cvar.set("trio")
    try:
        assert asyncio.run(read()) == "asyncio"
        monkeypatch.delitem(sys.modules, "sniffio")
        assert asyncio.run(read()) == "trio"
    finally:
        sniffio.current_async_library_cvar.reset(token)
