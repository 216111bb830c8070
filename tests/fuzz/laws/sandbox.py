"""Whatever is asked of the sandbox, it answers and goes on: never 500 of its own, and its books are right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import unquote_to_bytes

import trio
import trio.testing
from attrs import define, field, frozen
from starlette.types import ASGIApp, Message, Scope

from tests.fuzz.target import Target, words
from vavasms.sandbox import FaultKind, FaultPlan, Gateway, SandboxError, create_app
from vavasms.sandbox.faults import NEEDS_SERVER
from vavasms.sandbox.magic import MAGIC_NUMBERS, find_magic

#: Between the requests of an input.
_NEXT = b"\n----\n"
_MOST_REQUESTS = 6
#: Seconds, virtual ones, after which a client leaves.
_PATIENCE = 100.0
#: What no server passes on: h11 refuses it.
_NO_NAME, _NO_VALUE, _NO_TARGET = (
    re.compile(rb"[^a-z0-9-]"),
    re.compile(rb"[\x00-\x1f\x7f]"),
    re.compile(rb"[^!-~]"),
)


@frozen
class _Request:
    """One request as an ASGI server would pass it on."""

    method: str
    #: Not decoded.
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def scope(self) -> Scope:
        """The scope, its path decoded as uvicorn does."""
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8425),
        }


@define
class _Reply:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    body: bytes = b""
    complete: bool = False


def _parse(data: bytes) -> Iterator[_Request]:
    """Yield the requests of an input: a line, headers, an empty line, the body. Never fails."""
    for text in data.split(_NEXT)[:_MOST_REQUESTS]:
        head, _, body = text.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, _, target = first.partition(b" ")
        pairs = [line.lower().partition(b":")[::2] for line in lines if b":" in line]
        headers = [(_NO_NAME.sub(b"", name), _NO_VALUE.sub(b"", value).strip()) for name, value in pairs]
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", b"127.0.0.1:8425"))
        name = re.sub("[^A-Z]", "", method.decode("latin-1").upper()) or "GET"
        quoted = _NO_TARGET.sub(lambda byte: b"%%%02X" % byte[0][0], target)
        yield _Request(name, quoted if quoted.startswith(b"/") else b"/" + quoted, headers, body)


async def _call(app: ASGIApp, request: _Request) -> _Reply:
    """Send a request, and stay for some time or until the answer is complete."""
    reply, gone, pending = _Reply(), trio.Event(), [{"type": "http.request", "body": request.body}]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not reply.status, "two answers"
            reply.status = message["status"]
            reply.headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
            }
        else:
            reply.body += message.get("body", b"")
            reply.complete = not message.get("more_body", False)

    async with trio.open_nursery() as nursery:

        async def leave() -> None:
            await trio.sleep(_PATIENCE)
            gone.set()
            await trio.sleep(_PATIENCE)
            nursery.cancel_scope.cancel()

        nursery.start_soon(leave)
        await app(request.scope, receive, send)
        nursery.cancel_scope.cancel()
    return reply


def check_requests(data: bytes) -> None:
    """Send the requests of an input to a fresh sandbox, one after the other."""
    gateway, faults = Gateway(below=lambda most: most // 3), FaultPlan()
    app = create_app(gateway, faults)

    for request in _parse(data):
        # Files are read in threads, for which virtual time does not wait.
        has_file = request.scope["path"].startswith("/sandbox/inbox/static")
        clock = None if has_file else trio.testing.MockClock(autojump_threshold=0)
        trio.run(_check, app, gateway, faults, request, clock=clock)


async def _check(app: ASGIApp, gateway: Gateway, faults: FaultPlan, request: _Request) -> None:
    before, entries, taken = gateway.balance, len(gateway.journal), faults.taken
    socketless = None
    try:
        reply = await _call(app, request)
    except* SandboxError as group:
        socketless = group
    if socketless is not None:
        # Documented: there is no socket here to misbehave on, and nothing was accepted.
        assert request.target.startswith(b"/api/")
        assert (gateway.balance, len(gateway.journal)) == (before, entries)
        return
    path = request.scope["path"]
    is_faulty = faults.taken > taken or bool(gateway.recent_magic)
    if path.startswith("/api/"):
        _check_call(reply, is_faulty)
        _check_books(gateway, before, entries)
    else:
        _check_answer(path, reply)
    assert sum(gateway.journal.counts().values()) == gateway.journal.recipients


def _check_call(reply: _Reply, is_faulty: bool) -> None:
    """Hold an answer of the gateway to what is documented, where no fault wants it otherwise."""
    if is_faulty:
        assert 200 <= reply.status <= 599 or not reply.complete
        return
    assert reply.complete
    assert reply.status in {200, 403, 404, 405, 413}
    if reply.status == 200:
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        envelope = json.loads(re.sub(rb",\n}\Z", b"}", reply.body))
        assert "code" in envelope


def _check_books(gateway: Gateway, before: Decimal, entries: int) -> None:
    new = gateway.journal.entries[entries:]
    assert len(new) <= 1
    assert before - gateway.balance == sum((entry.cost for entry in new), Decimal(0))
    for entry in new:
        assert all(phone.isascii() and phone.isdigit() for phone in entry.phones)
        assert len(entry.message_ids) == entry.recipients == len(entry.phones)
        refused = find_magic(entry.to)
        assert refused is None or refused.code is None or refused.fault is not None


def _check_answer(path: str, reply: _Reply) -> None:
    assert 200 <= reply.status < 500
    assert reply.complete or path == "/sandbox/inbox/events"
    kind = reply.headers.get("content-type", "")
    if kind == "application/json":
        json.loads(reply.body)
    if path.startswith("/sandbox/") and 400 <= reply.status < 500:
        assert kind.startswith(("application/json", "text/plain"))
    if reply.status == 200 and not path.startswith(("/sandbox/inbox/static", "/guide/pictures")):
        reply.body.decode()


_LOGIN = b"username=sandbox%40example.com&password=sandbox"
_FORM = b"content-type: application/x-www-form-urlencoded\n\n" + _LOGIN
_JSON = b"content-type: application/json\n\n"
_TO = b"&sender_id=SANDBOX&phone=2250709000001"

TARGET = Target(
    check=check_requests,
    seeds=tuple(
        _NEXT.join(requests)
        for requests in (
            (
                b"POST /api/v1/text/single\n" + _FORM + _TO + b",2250709000002&message=Bonjour",
                b"GET /sandbox/journal?after=0&limit=5\n",
                b"GET /sandbox/messages?to=2250709000001&text=bon&limit=1\n",
                b"GET /sandbox/inbox/conversations?q=bon\n",
                b"GET /?to=2250709000001&lang=fr\n",
            ),
            (
                b"POST /api/v1/otp/send\n"
                + _FORM
                + _TO
                + b"&otp_length=6&otp_expiry=5&message=%23%23OTP%23%23",
                b"POST /api/v1/otp/verify\n" + _FORM + _TO + b"&otp=333333",
                b"GET /sandbox/otp/+2250709000001\n",
                b"GET /sandbox/inbox/conversations/2250709000001?below=9\n",
            ),
            (
                b"POST /sandbox/faults\n" + _JSON + b'{"when": "next", "kind": "stall", "seconds": 5}',
                b"POST /sandbox/faults\n" + _JSON + b'{"when": "always", "kind": "status", "status": 503}',
                b"GET /sandbox/faults\n",
                b"POST /api/v1/text/single\n" + _FORM + _TO + b"&message=a",
                b"DELETE /sandbox/faults\n" + _JSON,
            ),
            (
                b"PUT /sandbox/faults\n"
                + _JSON
                + b'{"script": [null, {"kind": "raw", "body": "x", "headers": {"a": "b"}}],'
                b' "rates": [{"kind": "rate_limit", "rate": 0.5, "retry_after": "1"}], "seed": 1}',
                b"POST /api/v1/check/balance\n" + _FORM,
                b"POST /api/v1/check/balance\n" + _FORM,
            ),
            (
                b"PUT /sandbox/balance\n" + _JSON + b'{"amount": "25.5"}',
                b"POST /api/v1/check/balance\n" + _FORM,
                b"PUT /sandbox/balance\n" + _JSON + b'{"add": 100}',
                b"GET /?q=x\ncookie: vavasms_language=fr\naccept-language: fr;q=0.5,en\n",
                b"GET /sandbox/health\n",
            ),
            (
                b"GET /sandbox/messages/wait?timeout=3&after=1\n",
                b"GET /sandbox/inbox/events?since=a.0.0\nlast-event-id: a.1.2\n",
                b"POST /sandbox/inbox/reply\n" + _JSON + b'{"phone": "2250709000001", "text": "STOP"}',
                b"DELETE /sandbox/journal\n" + _JSON,
            ),
            (
                b"GET /guide/fr/start.md\n",
                b"GET /sandbox/inbox/static/base.css\nif-none-match: x\nrange: bytes=0-3\n",
            ),
            # What was once taken, and answered by 500 later.
            (
                b"POST /sandbox/faults\n" + _JSON + b'{"when": "next", "kind": "stall", "seconds": -1}',
                b"POST /sandbox/faults\n" + _JSON + b'{"when": "next", "kind": "raw", "headers": {"a": "b"}}',
                b"POST /sandbox/faults\n" + _JSON + b'{"when": "rate", "rate": 1e999, "kind": "html"}',
                b"POST /api/v1/check/balance\n" + _FORM,
                b"GET /sandbox/faults\n",
            ),
            (
                b"POST /api/v1/text/single\n" + _FORM + b"&message_id=SM-20250615-1000001&lot_id=LOT-1",
                b"POST /api/v1/text/single\n" + _FORM + b"&sender_id=SANDBOX&message=a&phone=2250700000709",
                b"OPTIONS /sandbox/faults\norigin: http://127.0.0.1:8425\n",
                b"GET /guide\n",
                b"GET /guide/pictures/inbox-en.png\n",
            ),
        )
    ),
    tokens=(
        *(kind.value.encode() for kind in FaultKind if kind not in NEEDS_SERVER),
        *(phone.encode() for phone in list(MAGIC_NUMBERS)[::3]),
        _NEXT,
        _FORM,
        _JSON,
        _TO,
        *words(
            r"""
            POST\x20 GET\x20 PUT\x20 DELETE\x20 HEAD\x20 /sandbox/ /api/v1/ faults
            "when":\x20"rate",\x20"rate":\x200.5,\x20 "seconds":\x20 "status":\x20204 "status":\x20599
            "body":\x20"\\ud800" "headers":\x20{"x":\x20"y"} "retry_after":\x20"1" "location":\x20"/"
            "moment":\x20"after_accepting" "path":\x20 "\\ud800" "\\r\\nx:\x20y" NaN 1e999 -1 Infinity
            1111111111111111111111111 [[[[[[[[ "seed":\x20 null true \xff\xfe %00 %ED%A0%80 %E2%82%AC
            %F0%9F%98%80 &message= &phone= , + &otp_length= &otp_expiry= ##OTP## ?after= ?below= &limit=
            ?timeout=60 ?to= ?q= content-length:\x205\n host:\x20[::1] range:\x20bytes= last-event-id:\x20
            if-modified-since:\x20 ..%2f // .md {"amount":\x20"1E-999999"} {"add":\x20"1e14"}
            """
        ),
    ),
    smoke=40,
)
