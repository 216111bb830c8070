"""The application without a server, its guard, and the controls for other processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, Moment, SandboxError, create_app

TEXT = "/api/v1/text/single"
JSON = {"Content-Type": "application/json"}
Fields = Callable[..., dict[str, str]]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
async def inner(gateway: Gateway, plan: FaultPlan) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that calls the application in-process."""

    def inbox(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("inbox")

    app = create_app(gateway, plan, allowed_hosts=["Sandbox.Test"], routes=[Route("/inbox", inbox)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8425") as client:
        yield client


async def test_the_calls_are_answered_in_process(inner: httpx.AsyncClient, text: Fields) -> None:
    reply = await inner.post(TEXT, data=text())
    assert reply.json()["code"] == 0
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


async def test_what_is_no_post_is_405_and_what_is_no_call_404(inner: httpx.AsyncClient) -> None:
    reply = await inner.get(TEXT)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert (await inner.post("/api/v1/none", data={"username": "x"})).status_code == 404
    assert (await inner.post("/none")).status_code == 404
    assert (await inner.get("/inbox")).text == "inbox"


async def test_only_a_form_has_fields(inner: httpx.AsyncClient, text: Fields) -> None:
    assert "INVALID_CREDENTIALS" in (await inner.post(TEXT, json=text())).text
    assert "INVALID_CREDENTIALS" in (await inner.post(TEXT)).text


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.REFUSE),
        Fault(kind=FaultKind.CLOSE_BEFORE_READING),
        Fault(kind=FaultKind.CLOSE_AFTER_READING),
        Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
        Fault(kind=FaultKind.CUT),
        Fault(kind=FaultKind.RESET),
    ],
)
async def test_a_fault_of_the_socket_is_refused_in_process_before_anything_is_accepted(
    inner: httpx.AsyncClient, gateway: Gateway, plan: FaultPlan, text: Fields, fault: Fault
) -> None:
    plan.script(fault)
    with pytest.raises(SandboxError, match=f"'{fault.kind.value}' happens to a connection"):
        await inner.post(TEXT, data=text())
    assert len(gateway.journal) == 0


async def test_a_magic_number_that_needs_a_socket_is_refused_in_process(
    inner: httpx.AsyncClient, gateway: Gateway, text: Fields
) -> None:
    with pytest.raises(SandboxError, match="use SandboxServer"):
        await inner.post(TEXT, data=text("2250700000444"))
    assert len(gateway.journal) == 0


@pytest.mark.parametrize("moment", list(Moment))
async def test_time_can_pass_in_process_under_any_loop(
    inner: httpx.AsyncClient, plan: FaultPlan, text: Fields, moment: Moment
) -> None:
    plan.script(Fault(kind=FaultKind.STALL, moment=moment, seconds=0.001), Fault(kind=FaultKind.BOM))
    assert (await inner.post(TEXT, data=text())).json()["code"] == 0
    assert (await inner.post(TEXT, data=text())).content.startswith(b"\xef\xbb\xbf")


# --- guard


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "localhost:8425", "[::1]:9", "[::1]", "sandbox.test"]
)
async def test_own_hosts_are_answered(inner: httpx.AsyncClient, host: str) -> None:
    assert (await inner.get("/sandbox/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "localhost:x", "", "::1"])
@pytest.mark.parametrize("path", [TEXT, "/sandbox/health", "/inbox"])
async def test_other_hosts_are_refused_and_nothing_is_accepted(
    inner: httpx.AsyncClient, gateway: Gateway, text: Fields, host: str, path: str
) -> None:
    reply = await inner.post(path, data=text(), headers={"Host": host})
    assert (reply.status_code, "this Host is none of them" in reply.text) == (403, True)
    assert len(gateway.journal) == 0


@pytest.mark.parametrize(
    "origin", ["https://example.com", "null", "http://localhost:8425", "https://127.0.0.1:8425"]
)
async def test_a_form_of_another_page_is_refused(
    inner: httpx.AsyncClient, gateway: Gateway, text: Fields, origin: str
) -> None:
    reply = await inner.post(TEXT, data=text(), headers={"Origin": origin})
    assert (reply.status_code, "this Origin is not its own" in reply.text) == (403, True)
    assert len(gateway.journal) == 0


async def test_a_page_of_the_sandbox_itself_may_call_it(inner: httpx.AsyncClient, text: Fields) -> None:
    reply = await inner.post(TEXT, data=text(), headers={"Origin": "http://127.0.0.1:8425"})
    assert reply.json()["code"] == 0


async def test_the_guard_lets_the_lifespan_through(gateway: Gateway) -> None:
    sent: list[str] = []
    messages = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await create_app(gateway)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# --- controls


async def test_the_journal_is_read_whole_or_from_a_point(inner: httpx.AsyncClient, text: Fields) -> None:
    await inner.post(TEXT, data=text("2250709000001,2250709000002"))
    await inner.post(TEXT, data=text("2250709000001", "Salut"))
    journal = (await inner.get("/sandbox/journal")).json()
    assert (journal["requests"], journal["recipients"]) == (2, 3)
    assert journal["accepted"] == {"2250709000001": 2, "2250709000002": 1}
    first = journal["entries"][0]
    assert first["phones"] == ["2250709000001", "2250709000002"]
    assert (first["kind"], first["cost"], first["segments"]) == ("text", "20", 1)
    later = (await inner.get("/sandbox/journal", params={"after": 1, "limit": 5})).json()
    assert [entry["message"] for entry in later["entries"]] == ["Salut"]
    assert "accepted" not in later
    assert (await inner.delete("/sandbox/journal", headers=JSON)).json() == {"ok": True}
    assert (await inner.get("/sandbox/journal")).json()["entries"] == []


async def test_a_journal_of_thousands_is_read_at_once(
    inner: httpx.AsyncClient, gateway: Gateway, text: Fields
) -> None:
    gateway.set_balance(10**9)
    for _ in range(3000):
        gateway.handle("/v1/text/single", text())
    journal = (await inner.get("/sandbox/journal")).json()
    assert (len(journal["entries"]), journal["accepted"]) == (3000, {"2250709000001": 3000})


async def test_messages_and_codes_are_read(inner: httpx.AsyncClient, text: Fields) -> None:
    await inner.post(TEXT, data=text())
    await inner.post("/api/v1/otp/send", data=text("2250709000009", "<##OTP##>"))
    reply = await inner.get("/sandbox/messages", params={"to": "2250709000001", "limit": 3})
    (message,) = reply.json()["messages"]
    assert (message["text"], message["status"], message["phone"]) == ("Bonjour", "pending", "2250709000001")
    otp = (await inner.get("/sandbox/otp/+2250709000009")).json()
    assert otp["phone"] == "2250709000009"
    assert len((await inner.get("/sandbox/messages")).json()["messages"]) == 2
    newest = (await inner.get("/sandbox/messages", params={"limit": 1})).json()["messages"]
    assert newest[0]["text"] == f"<{otp['otp']}>"
    assert (await inner.get("/sandbox/otp/2250709000001")).status_code == 404


async def test_faults_are_planned_from_another_process(
    inner: httpx.AsyncClient, plan: FaultPlan, text: Fields
) -> None:
    script = [
        None,
        {"path": "/v1/otp/send"},
        {"kind": "raw", "body": "é", "headers": {"X-One": "1"}, "path": "/v1/text/single"},
        {"kind": "stall", "seconds": 0, "moment": "after_accepting"},
    ]
    wanted = {"script": script, "rates": [{"kind": "html", "rate": 1}], "seed": 3}
    reply = await inner.put("/sandbox/faults", json=wanted)
    assert reply.json() == {"ok": True, "pending": 4}
    bodies = [await inner.post(TEXT, data=text()) for _ in range(4)]
    assert bodies[1].text == "é"
    assert bodies[1].headers["x-one"] == "1"
    assert bodies[3].text.startswith("<!DOCTYPE html>")
    assert plan.pending == 1
    assert (await inner.request("DELETE", "/sandbox/faults", headers=JSON)).json() == {"ok": True}
    assert plan.pending == 0


@pytest.mark.parametrize(
    ("plan_json", "sentence"),
    [
        ([], "one JSON object"),
        ({"script": {}}, "script is a list"),
        ({"script": [1]}, "null or a fault"),
        ({"script": [{"kind": "html", "path": 1}]}, "path of a step"),
        ({"script": [{"status": 500}]}, 'with a "kind"'),
        ({"script": [{"kind": "nope"}]}, "no kind 'nope'"),
        ({"script": [{"kind": "html", "moment": "never"}]}, "no moment 'never'"),
        ({"script": [{"kind": "status", "status": True}]}, "no 'status' like True"),
        ({"script": [{"kind": "html", "colour": "red"}]}, "no 'colour'"),
        ({"script": [{"kind": "status", "status": 99}]}, "200 to 599"),
        ({"rates": [{"kind": "html"}]}, 'with a "rate"'),
        ({"rates": [{"kind": "html", "rate": 2}]}, "probabilities"),
        ({"rates": [{"kind": "html", "rate": 10**400}]}, "probabilities"),
        ({"rates": [{"kind": "html", "rate": True}]}, 'with a "rate"'),
        ({"script": [{"kind": "html", "path": "\ud800"}]}, "path of a step"),
        ({"script": [{"kind": "stall", "seconds": -1}]}, "seconds"),
        ({"script": [{"kind": "stall", "seconds": 10**400}]}, "seconds"),
        ({"script": [{"kind": "raw", "body": "\ud800"}]}, "no body"),
        ({"script": [{"kind": "raw", "headers": {"X-Name": 1}}]}, "no headers"),
        ({"script": [{"kind": "raw", "headers": {"X-Name": "€"}}]}, "a header of a reply"),
        ({"script": [{"kind": "raw", "headers": {"X-Name": "a\r\nX-Other: b"}}]}, "a header of a reply"),
        ({"script": [{"kind": "raw", "headers": {"X Name": "a"}}]}, "a header of a reply"),
        ({"script": [{"kind": "rate_limit", "retry_after": "demain à 8 h €"}]}, "a header of a reply"),
        ({"script": [{"kind": "redirect", "location": "https://x.invalid/\n"}]}, "a header of a reply"),
        ({"seed": "x"}, "seed is a whole number"),
        ({"seed": True}, "seed is a whole number"),
        ({"scripts": []}, "no 'scripts', only script, rates, seed"),
    ],
)
async def test_a_plan_that_cannot_be_read_changes_nothing(
    inner: httpx.AsyncClient, plan: FaultPlan, plan_json: object, sentence: str
) -> None:
    plan.script(Fault(kind=FaultKind.HTML))
    reply = await inner.put("/sandbox/faults", content=json.dumps(plan_json), headers=JSON)
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]
    assert plan.pending == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="deeper than any reader goes"),
        pytest.param(b'{"when": "next", "kind": "stall", "seconds": NaN}', id="NaN, which is no JSON"),
        pytest.param(b'{"when": "next", "kind": "stall", "seconds": 1e999}', id="a number beyond any"),
        pytest.param(b'{"when": "next", "kind": "html", "path": "\\ud800"}', id="half a character"),
    ],
)
async def test_a_body_that_cannot_be_meant_is_refused_and_the_faults_stay_readable(
    inner: httpx.AsyncClient, body: bytes
) -> None:
    assert (await inner.post("/sandbox/faults", content=body, headers=JSON)).status_code == 400
    assert (await inner.get("/sandbox/faults")).json() == {"pending": 0, "script": [], "rates": []}


async def test_a_whole_number_may_be_written_with_a_point(inner: httpx.AsyncClient) -> None:
    body = b'{"when": "next", "kind": "status", "status": 502.0}'
    assert (await inner.post("/sandbox/faults", content=body, headers=JSON)).status_code == 200
    assert (await inner.put("/sandbox/balance", content=b'{"amount": 5.0}', headers=JSON)).status_code == 200
    assert (await inner.get("/sandbox/health")).json()["balance"] == "5"


@pytest.mark.parametrize(("amount", "balance"), [(25540, "25540"), ("99.5", "99.5")])
async def test_the_balance_is_set(inner: httpx.AsyncClient, amount: object, balance: str) -> None:
    assert (await inner.put("/sandbox/balance", json={"amount": amount})).json() == {"ok": True}
    assert (await inner.get("/sandbox/health")).json() == {"ok": True, "requests": 0, "balance": balance}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount": True},
        {"amount": "much"},
        {"amount": "inf"},
        {"amount": "1E-999999"},
        {"amount": 10**15},
        {"amount": 1, "add": 1},
        {"amounts": 1},
    ],
)
async def test_a_balance_that_is_no_amount_is_refused(inner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await inner.put("/sandbox/balance", json=body)).status_code == 400
    assert (await inner.put("/sandbox/balance", content=b"{", headers=JSON)).status_code == 400


@pytest.mark.parametrize("query", ["after=x", "limit=-1", "after=" + "9" * 20])
async def test_a_query_that_is_no_number_is_refused(inner: httpx.AsyncClient, query: str) -> None:
    assert (await inner.get(f"/sandbox/journal?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "journal"), ("PUT", "faults"), ("DELETE", "faults"), ("PUT", "balance")]
)
async def test_what_changes_anything_needs_json_which_no_form_can_send(
    inner: httpx.AsyncClient, method: str, path: str
) -> None:
    form = {"Content-Type": "text/plain"}
    reply = await inner.request(method, f"/sandbox/{path}", content=b'{"amount": 1}', headers=form)
    assert reply.status_code == 415


async def test_a_delete_needs_no_content_type_since_no_form_can_send_one(
    inner: httpx.AsyncClient, plan: FaultPlan
) -> None:
    plan.script(Fault(kind=FaultKind.HTML))
    assert (await inner.delete("/sandbox/faults")).json() == {"ok": True}
    assert plan.pending == 0
    assert (await inner.delete("/sandbox/journal", headers={"Content-Type": ""})).status_code == 415


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("faults", {"DELETE", "GET", "HEAD", "POST", "PUT"}),
        ("journal", {"DELETE", "GET", "HEAD"}),
        ("balance", {"PUT"}),
    ],
)
async def test_a_wrong_method_is_told_all_the_right_ones(
    inner: httpx.AsyncClient, path: str, allowed: set[str]
) -> None:
    reply = await inner.request("PATCH", f"/sandbox/{path}", headers=JSON)
    assert reply.status_code == 405
    assert set(reply.headers["allow"].split(", ")) == allowed


async def test_a_head_is_answered_as_a_get_without_its_body(inner: httpx.AsyncClient) -> None:
    reply = await inner.head("/sandbox/journal")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")


async def test_each_answer_is_dated_by_the_gateways_clock() -> None:
    app = create_app(Gateway(clock=lambda: 1_782_907_200.0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for reply in (await client.post("/api/v1/check/balance"), await client.get("/sandbox/nothing")):
            assert reply.headers.get_list("date") == ["Wed, 01 Jul 2026 12:00:00 GMT"]
