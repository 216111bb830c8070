"""The stream: what changed, at once, once, and from where it broke off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from tests.sandbox.inbox import LOGIN, OTHER, PHONE, SCRIPT, listening, send
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, SandboxServer
from vavasms.sandbox.inbox.conversations import Version
from vavasms.sandbox.inbox.events import EventStream
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.long_poll import subscribed
from vavasms.sandbox.signals import Signal


def until(happened: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not happened():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def version_of(server: SandboxServer) -> str:
    html = httpx.get(server.origin, trust_env=False).text
    return html.partition('data-version="')[2].partition('"')[0]


def test_a_message_is_told_within_half_a_second_of_its_acceptance(
    server: SandboxServer, gateway: Gateway
) -> None:
    with listening(server, version_of(server)) as events:
        assert events.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert events.headers["x-content-type-options"] == "nosniff"
        events.next("faults")
        form = {**LOGIN, "sender_id": "ACME", "phone": PHONE, "message": SCRIPT}
        assert httpx.post(f"{server.url}/v1/text/single", data=form, trust_env=False).json()["code"] == 0
        accepted = time.monotonic()
        event = events.next("messages")
        # Long before it says that it is still there.
        assert time.monotonic() - accepted < 5
    (message,) = event.data["messages"]
    assert (message["text"], message["phone"], message["preview"]) == (SCRIPT, PHONE, SCRIPT)
    assert (event.data["more"], event.data["totals"]) == (False, {"messages": 1, "conversations": 1})
    assert len(gateway.journal) == 1


def test_only_what_changed_is_sent(server: SandboxServer, gateway: Gateway) -> None:
    send(gateway, OTHER)
    with listening(server, version_of(server)) as events:
        events.next("faults")
        send(gateway, PHONE)
        assert [one["phone"] for one in events.next("messages").data["messages"]] == [PHONE]
        assert events.next("balance").data == str(gateway.balance)
        gateway.refill(5)
        assert events.next("balance").data == str(gateway.balance)
        server.faults.script(Fault(kind=FaultKind.STALL, seconds=3))
        planned = events.next("faults").data
        assert planned["script"] == [{"kind": "stall", "moment": "after_reading", "seconds": 3}]
        server.faults.take("/v1/text/single")
        assert events.next("faults").data["pending"] == 0


def test_a_stream_goes_on_where_it_broke_off(server: SandboxServer, gateway: Gateway) -> None:
    with listening(server, version_of(server)) as events:
        send(gateway, message="one")
        last = events.next("messages").id
    send(gateway, message="two")
    send(gateway, message="three")
    with listening(server, "ignored", last=last) as events:
        event = events.next("messages")
    assert [one["text"] for one in event.data["messages"]] == ["two", "three"]
    assert Version.parse(event.id) > Version.parse(last)  # type: ignore[operator]


def test_a_stream_that_missed_more_than_a_page_says_so(server: SandboxServer, gateway: Gateway) -> None:
    since = version_of(server)
    send(gateway, ",".join([f"22507000{number:05d}" for number in range(60)]))
    send(gateway, message="last")
    with listening(server, since) as events:
        event = events.next("messages")
    assert (len(event.data["messages"]), event.data["more"]) == (50, True)
    assert event.data["messages"][-1]["text"] == "last"
    assert event.data["messages"][0]["phone"] == "2250700000011"


@pytest.mark.parametrize("since", ["", "x", "1.2", "a.b.c", "other.0.0", "other.0." + "9" * 30, "a.²..."])
def test_who_has_seen_another_sandbox_looks_at_everything(
    server: SandboxServer, gateway: Gateway, since: str
) -> None:
    send(gateway)
    with listening(server, since) as events:
        event = events.next("reset")
    assert event.data == {"messages": 1, "conversations": 1}
    assert event.id


def test_a_clearing_resets_whoever_looks(server: SandboxServer, gateway: Gateway) -> None:
    send(gateway)
    with listening(server, version_of(server)) as events:
        events.next("faults")
        gateway.journal.clear()
        assert events.next("reset").data == {"messages": 0, "conversations": 0}
        send(gateway, message="again")
        assert events.next("messages").data["messages"][0]["text"] == "again"


def test_who_leaves_is_forgotten(server: SandboxServer, gateway: Gateway) -> None:
    with listening(server) as events:
        events.next("reset")
        assert (gateway.journal.signal.listeners, server.faults.signal.listeners) == (1, 1)
    until(lambda: (gateway.journal.signal.listeners, server.faults.signal.listeners) == (0, 0))


def test_open_streams_do_not_hold_a_stopping_server(gateway: Gateway) -> None:
    with SandboxServer(gateway) as server:
        stack = [listening(server) for _ in range(3)]
        for one in stack:
            one.__enter__().next("reset")
        began = time.monotonic()
        server.__exit__(None, None, None)
        assert time.monotonic() - began < 10
    assert gateway.journal.signal.listeners == 0
    for one in stack:
        one.__exit__(None, None, None)


def test_other_methods_are_refused(server: SandboxServer) -> None:
    assert httpx.post(f"{server.origin}/sandbox/inbox/events", trust_env=False).status_code == 405


@pytest.mark.anyio
async def test_a_silent_stream_says_that_it_is_still_there(gateway: Gateway) -> None:
    told: list[str] = []
    gone = anyio.Event()

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send_on(message: Any) -> None:
        told.append(message.get("body", b"").decode())
        if ": still here" in told[-1]:
            gone.set()

    with anyio.fail_after(30):
        desk = Inbox(gateway, FaultPlan(), None)
        await EventStream(desk, "", silence=0.01)({"type": "http"}, receive, send_on)
    assert told[-1] == ": still here\n\n"
    assert gateway.journal.signal.listeners == 0


# --- the waiter, under both event loops


@pytest.mark.anyio
async def test_a_ring_from_another_thread_is_heard() -> None:
    signal = Signal()
    with subscribed(signal) as waiter, anyio.fail_after(30):
        for _ in range(3):
            await anyio.to_thread.run_sync(signal.emit)
            signal.emit()  # many are one
            await waiter.wait()
    assert signal.listeners == 0


def test_a_ring_after_the_end_of_the_loop_is_nobodys() -> None:
    async def listen() -> Callable[[], None]:
        with subscribed(Signal()) as waiter:
            return waiter.notify

    for backend in ("asyncio", "trio"):
        notify = anyio.run(listen, backend=backend)
        notify()
