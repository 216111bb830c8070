"""The same over REST, for tests of other programs: list, search, wait, faults, balance."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.sandbox.inbox import OTHER, PHONE, SCRIPT, send, send_otp
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, SandboxServer, create_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def rest(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.origin}/sandbox/", trust_env=False, timeout=10) as opened:
        yield opened


@pytest.fixture
async def inner(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(gateway, FaultPlan()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/sandbox/") as client:
        yield client


def texts(reply: httpx.Response) -> list[str]:
    return [one["text"] for one in reply.json()["messages"]]


def test_messages_are_listed_and_searched(rest: httpx.Client, gateway: Gateway) -> None:
    send(gateway, f"{PHONE},{OTHER}", "Prêt")
    send(gateway, PHONE, SCRIPT)
    assert texts(rest.get("messages", params={"to": f"+{PHONE}"})) == [SCRIPT, "Prêt"]
    # Typed into a URL as it is, the plus sign is a space.
    assert texts(rest.get(f"messages?to=+{PHONE}")) == [SCRIPT, "Prêt"]
    assert texts(rest.get("messages", params={"text": "PRÊT", "to": OTHER})) == ["Prêt"]
    assert texts(rest.get("messages", params={"text": "<script>"})) == [SCRIPT]
    assert texts(rest.get("messages", params={"after": 1})) == [SCRIPT]
    assert texts(rest.get("messages", params={"limit": 2})) == [SCRIPT, "Prêt"]
    assert texts(rest.get("messages", params={"to": "225"})) == []
    message = rest.get("messages", params={"to": OTHER}).json()["messages"][0]
    assert (message["sequence"], message["price"], message["encoding"], message["otp"]) == (
        1,
        "10",
        "ucs2",
        None,
    )


def test_what_is_there_already_is_not_waited_for(rest: httpx.Client, gateway: Gateway) -> None:
    send(gateway)
    assert texts(rest.get("messages/wait", params={"to": PHONE, "timeout": 0})) == ["Bonjour"]


def test_a_message_to_a_number_is_waited_for(rest: httpx.Client, gateway: Gateway) -> None:
    send(gateway, PHONE, "old")

    def work() -> None:
        gateway.journal.signal.add(ready.set)  # any change; the waiting call listens as well
        while gateway.journal.signal.listeners < 2:
            threading.Event().wait(0.002)
        send(gateway, OTHER, "not this one")
        send(gateway, PHONE, "new")

    ready = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    began = time.monotonic()
    reply = rest.get("messages/wait", params={"to": PHONE, "after": 1, "timeout": 9})
    thread.join()
    assert texts(reply) == ["new"]
    assert time.monotonic() - began < 8


def test_a_wait_has_an_end(rest: httpx.Client, gateway: Gateway) -> None:
    send(gateway)
    reply = rest.get("messages/wait", params={"to": PHONE, "after": 1, "timeout": 0})
    assert (reply.status_code, reply.json()) == (404, {"error": "no such message within 0 s"})
    assert gateway.journal.signal.listeners == 0
    assert rest.get("messages/wait?timeout=61").status_code == 400
    assert rest.get("messages/wait?timeout=x").status_code == 400


def test_a_waiting_call_does_not_hold_a_stopping_server(gateway: Gateway) -> None:
    failures: list[type[Exception]] = []

    def work(url: str) -> None:
        try:
            httpx.get(url, params={"timeout": 60}, trust_env=False, timeout=30)
        except httpx.HTTPError as error:
            failures.append(type(error))

    with SandboxServer(gateway) as server:
        thread = threading.Thread(target=work, args=[f"{server.origin}/sandbox/messages/wait"])
        thread.start()
        deadline = time.monotonic() + 30
        while gateway.journal.signal.listeners == 0 and time.monotonic() < deadline:
            threading.Event().wait(0.002)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    thread.join()
    assert len(failures) == 1
    assert gateway.journal.signal.listeners == 0


async def test_waiting_works_in_process_under_both_event_loops(
    inner: httpx.AsyncClient, gateway: Gateway
) -> None:
    replies: list[httpx.Response] = []

    async def wait() -> None:
        replies.append(await inner.get("messages/wait", params={"to": PHONE, "timeout": 5}))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        with anyio.fail_after(30):
            while gateway.journal.signal.listeners == 0:
                await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(send, gateway)
    assert texts(replies[0]) == ["Bonjour"]


async def test_the_page_is_served_in_process_too(inner: httpx.AsyncClient, gateway: Gateway) -> None:
    send_otp(gateway)
    page = await inner.get("http://127.0.0.1/", params={"to": PHONE})
    assert str(gateway.latest_otp(PHONE)) in page.text
    style = await inner.get("inbox/static/inbox.css")
    assert style.headers["content-type"].startswith("text/css")


# --- faults and balance


def test_faults_are_planned_one_by_one(rest: httpx.Client, server: SandboxServer) -> None:
    assert rest.get("faults").json() == {"pending": 0, "script": [], "rates": []}
    rest.post("faults", json={"when": "next", "kind": "stall", "seconds": 2})
    rest.post("faults", json={"when": "rate", "kind": "html", "rate": 0.25})
    planned = rest.post("faults", json={"when": "rate", "kind": "status", "status": 500, "rate": 0.5}).json()
    assert planned["script"] == [{"kind": "stall", "moment": "after_reading", "seconds": 2}]
    assert [(one["kind"], one["rate"]) for one in planned["rates"]] == [("html", 0.25), ("status", 0.5)]
    always = rest.post("faults", json={"when": "always", "kind": "cut"}).json()
    assert always["rates"] == [{"kind": "cut", "moment": "after_accepting", "rate": 1}]
    assert server.faults.pending == 1
    rest.request("DELETE", "faults", headers={"Content-Type": "application/json"})
    assert rest.get("faults").json()["rates"] == []


def test_a_long_script_is_shown_by_its_beginning(rest: httpx.Client, server: SandboxServer) -> None:
    server.faults.script(*[None] * 30, Fault(kind=FaultKind.HTML))
    server.faults.script(None, path="/v1/otp/send")
    shown = rest.get("faults").json()
    assert (shown["pending"], len(shown["script"]), shown["script"][0]) == (32, 20, None)
    server.faults.clear()
    server.faults.script(None, Fault(kind=FaultKind.BOM), path="/v1/otp/send")
    script = rest.get("faults").json()["script"]
    assert script == [
        {"path": "/v1/otp/send"},
        {"kind": "bom", "moment": "after_accepting", "path": "/v1/otp/send"},
    ]


def test_a_fault_can_be_planned_for_one_call(rest: httpx.Client, server: SandboxServer) -> None:
    reply = rest.post("faults", json={"when": "next", "kind": "html", "path": "/v1/text/single"})
    assert reply.status_code == 200
    assert server.faults.steps() == [(Fault(kind=FaultKind.HTML), "/v1/text/single")]


def test_whoever_names_no_kind_or_a_wrong_one_is_told_all_of_them(rest: httpx.Client) -> None:
    for body in ({"when": "next"}, {"when": "always", "kind": "boom"}):
        assert "close_after_accepting, status" in rest.post("faults", json=body).json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "html"},
        {"when": "later", "kind": "html"},
        {"when": "next"},
        {"when": "next", "kind": "html", "path": 1},
        {"when": "next", "path": "/v1/text/single"},
        {"when": "next", "kind": "boom"},
        {"when": "next", "kind": "bom", "moment": "before_reading"},
        {"when": "rate", "kind": "html"},
        {"when": "rate", "kind": "html", "rate": 1.5},
    ],
)
def test_a_fault_that_cannot_be_read_changes_nothing(
    rest: httpx.Client, server: SandboxServer, body: object
) -> None:
    reply = rest.post("faults", json=body)
    assert (reply.status_code, server.faults.pending, server.faults.rates) == (400, 0, {})


def test_the_balance_is_refilled(rest: httpx.Client, gateway: Gateway) -> None:
    assert rest.put("balance", json={"add": "1.5"}).status_code == 200
    assert str(gateway.balance) == "100001.5"
    assert rest.put("balance", json={"add": "much"}).status_code == 400
    assert rest.put("balance", json={"add": "1e999"}).status_code == 400
