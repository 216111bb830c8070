"""The replies that faults want in place of right ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import responses

from attrs import evolve

from vavasms.sandbox.faults import Fault, FaultKind
from vavasms.sandbox.replies import HTML, Answer

_WARNING = (
    b"<br />\n<b>Warning</b>:  Undefined array key in <b>/var/www/index.php</b> on line <b>42</b><br />\n"
)

#: Kinds whose reply does not depend on what the gateway answers.
REPLACING = frozenset(
    {
        FaultKind.STATUS,
        FaultKind.HTML,
        FaultKind.EMPTY,
        FaultKind.RATE_LIMIT,
        FaultKind.REDIRECT,
        FaultKind.RAW,
    }
)


def replace(fault: Fault) -> Answer:
    """Return the reply of a kind that does not look at the right one."""
    bare = fault.kind in {FaultKind.EMPTY, FaultKind.REDIRECT} or fault.status in {204, 205, 304}
    body = b"" if bare else fault.body
    if body is None:
        body = f"<!DOCTYPE html><title>{fault.status}</title><h1>{_phrase(fault.status)}</h1>\n".encode()
    return Answer(http_status=fault.status, body=body, content_type=HTML, headers=_headers(fault))


def alter(fault: Fault, answer: Answer) -> Answer:
    """Return the right reply changed as the fault wants; most kinds leave it as it is."""
    if fault.kind in REPLACING:
        return replace(fault)
    change = _CHANGES.get(fault.kind)
    return answer if change is None else evolve(answer, body=change(answer.body))


def raw_reply(answer: Answer) -> tuple[bytes, bytes]:
    """Return the head (to the empty line) and the body of a whole HTTP/1.1 reply."""
    headers = (
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        *answer.headers,
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {answer.http_status} {_phrase(answer.http_status)}\r\n{lines}\r\n"
    return head.encode("latin-1"), answer.body


def _headers(fault: Fault) -> tuple[tuple[str, str], ...]:
    if fault.kind is FaultKind.RATE_LIMIT and fault.retry_after is not None:
        return (*fault.headers, ("Retry-After", fault.retry_after))
    if fault.kind is FaultKind.REDIRECT:
        return (*fault.headers, ("Location", fault.location))
    return fault.headers


def _phrase(status: int) -> str:
    return responses.get(status, "Unassigned")


def _drop_an_id(body: bytes) -> bytes:
    """Return a reply without its last message id; one that holds none stays as it is."""
    try:
        envelope = json.loads(body)
    except ValueError:
        return body  # an error with its trailing comma
    data = envelope["data"]
    if isinstance(data, dict) and isinstance(data.get("message_id"), list):
        data["message_id"].pop()
    elif isinstance(data, dict):
        data.pop("message_id", None)
    return json.dumps(envelope, ensure_ascii=False).encode()


_CHANGES: Mapping[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.PHP_WARNING: lambda body: _WARNING + body,
    FaultKind.BOM: lambda body: b"\xef\xbb\xbf" + body,
    FaultKind.TOO_FEW_IDS: _drop_an_id,
}
