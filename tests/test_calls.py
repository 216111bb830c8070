"""Calls of a thread that cannot await: what comes of one that is interrupted, closed or forsaken at the wrong moment."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from vavasms.calls import CallGroup, PortalCall, Session, Step, finish_interrupted, run
from vavasms.errors import ConfigurationError, NotSentError, Outcome
from vavasms.portal import SharedPortal


@pytest.fixture
def group() -> Iterator[CallGroup]:
    lease = SharedPortal("portal").lease()
    yield CallGroup(lease)
    lease.release()
    lease.thread._thread.join(10)
    assert lease.thread.ended


@contextmanager
def busy(group: CallGroup) -> Iterator[None]:
    """Keep the loop from everything that is posted in the block until its end."""
    is_held, go_on = threading.Event(), threading.Event()

    def hold_up() -> None:
        is_held.set()
        assert go_on.wait(10)

    group.lease.thread.post(hold_up)
    assert is_held.wait(10)
    try:
        yield
    finally:
        go_on.set()


class Work:
    """What a call does; counts how often."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> str:
        self.times += 1
        return "done"


def refused(call: PortalCall[str]) -> None:
    """Wait for a call, and see that it never began."""
    call.wait(seconds=10)
    with pytest.raises(NotSentError, match="the call had not begun") as raised:
        call.result()
    assert raised.value.outcome is Outcome.NOT_SENT


def test_a_call_that_is_interrupted_before_its_first_step_never_begins(group: CallGroup) -> None:
    work, acted = Work(), list[bool]()
    call = PortalCall(group, work)
    with busy(group):
        call.start()
        call.interrupt(lambda: acted.append(True))
    refused(call)
    assert (work.times, acted, group.running) == (0, [], set())


def test_a_call_that_is_interrupted_before_it_was_started_is_not_started_any_more(group: CallGroup) -> None:
    work = Work()
    call = PortalCall(group, work)
    with busy(group):
        call.interrupt(call.cancel)
        call.start()
    refused(call)
    assert work.times == 0


def test_an_interrupt_after_the_end_changes_nothing(group: CallGroup) -> None:
    acted: list[bool] = []
    call = PortalCall(group, Work())
    assert run(call, ()) == "done"
    call.interrupt(lambda: acted.append(True))
    # Whatever was posted before is over by then.
    assert run(PortalCall(group, Work()), ()) == "done"
    assert (acted, call.result()) == ([], "done")


def test_a_call_that_comes_as_the_client_closes_is_refused(group: CallGroup) -> None:
    work = Work()
    group.closing = True
    with pytest.raises(ConfigurationError, match="The client is closed"):
        run(PortalCall(group, work), ())
    assert work.times == 0


def test_a_call_whose_thread_ends_does_not_wait_for_ever(
    group: CallGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second in earnest.
    monkeypatch.setattr("vavasms.calls.WAIT_SLICE", 0.02)
    work = Work()
    call = PortalCall(group, work)
    with busy(group):
        group.lease.thread.stop()
    group.lease.thread._thread.join(10)
    with pytest.raises(ConfigurationError, match="The client is closed"):
        run(call, ())
    assert work.times == 0


def test_an_interrupt_of_the_last_wait_is_raised_once_there_is_no_further_step(group: CallGroup) -> None:
    told: list[str] = []

    def annotate(interrupt: BaseException) -> None:
        told.append(repr(interrupt))
        raise SystemExit(len(told))

    call = PortalCall(group, Work())
    assert run(call, ()) == "done"
    with pytest.raises(SystemExit) as raised:
        finish_interrupted(call, KeyboardInterrupt(), [Step(call.cancel), Step(call.cancel)], annotate)
    assert told == ["KeyboardInterrupt()", "SystemExit(1)"]
    assert raised.value.code == 2


def hold(trace: list[str]) -> Callable[[], object]:
    @asynccontextmanager
    async def hold() -> AsyncIterator[str]:
        trace.append("entered")
        yield "value"
        trace.append("left")

    return hold


def test_a_session_that_is_left_before_its_task_began_is_not_entered(group: CallGroup) -> None:
    trace: list[str] = []
    session: Session[str] = Session(group, hold(trace))  # type: ignore[arg-type]
    with busy(group):
        session._call.start()
        group.lease.thread.post(session._leave)
        # As an interrupt of entering has it: the task begins after it.
    session._call.wait(seconds=10)
    assert session.is_over
    assert trace == ["entered", "left"]
    assert not session.was_closed
