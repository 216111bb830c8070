"""Write the gateway's bodies in the shapes that the documentation shows, one function a shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import frozen

__all__ = ["HTML", "JSON", "NOT_FOUND", "Answer", "compact", "full", "success", "trailing"]

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@frozen(kw_only=True)
class Answer:
    """Hold an HTTP reply before it is put on a wire."""

    #: The HTTP status, 200 to 599.
    http_status: int = 200
    #: The body, as it travels.
    body: bytes
    #: The value of the `Content-Type` header.
    content_type: str = JSON
    #: Further headers.
    headers: tuple[tuple[str, str], ...] = ()


#: What a path that the documentation does not name answers: a PHP site's page, not an envelope.
NOT_FOUND = Answer(http_status=404, body=b"<!DOCTYPE html><h1>404 Not Found</h1>\n", content_type=HTML)


def success(data: Mapping[str, object] | Sequence[Mapping[str, object]]) -> Answer:
    """Write `{"code": 0, "message": "OPERATION_SUCCES", "data": ...}` (the vendor's spelling, one S)."""
    return _answer(200, {"code": 0, "message": "OPERATION_SUCCES", "data": data})


def full(code: int, name: str, description: str, *, http_status: int = 200) -> Answer:
    """Write an error as "check balance" and "verify OTP" (913) show it: a number, name under `message`."""
    return _answer(http_status, {"code": code, "message": name, "description": description, "data": []})


def compact(code: str, name: str, description: str, *, http_status: int = 200) -> Answer:
    """Write an error as "delivery status" shows 709: the code as text, the name under `message`."""
    return _answer(http_status, {"code": code, "message": name, "description": description, "data": []})


def trailing(code: str, name: str, description: str, *, http_status: int = 200) -> Answer:
    """Write an error as send, status and OTP show it: text, `status`, and a trailing comma (invalid JSON)."""
    pairs = (("code", code), ("status", name), ("description", description))
    lines = "".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in pairs)
    return Answer(http_status=http_status, body=f"{{\n{lines}}}".encode())


def _answer(http_status: int, envelope: Mapping[str, object]) -> Answer:
    """Encode an envelope as JSON in UTF-8, accents unescaped as in the documentation."""
    return Answer(http_status=http_status, body=json.dumps(envelope, ensure_ascii=False).encode())
