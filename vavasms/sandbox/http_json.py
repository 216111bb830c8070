"""What every call of the REST interface has in common: how it is read, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.faults import SandboxError

Handler = Callable[[Request], Awaitable[Response]]
#: Method, path under `/sandbox/`, handler.
Row = tuple[str, str, Handler]


def read_number(request: Request, name: str) -> int | None:
    """Read a whole number from the query; None: absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise SandboxError(f"{name} is a whole number")
    return int(text)


async def read_json(request: Request) -> Mapping[str, object]:
    """Read the body as one JSON object."""
    try:
        value = json.loads(await request.body())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SandboxError("the body is one JSON object")
    return value


def read_list(body: Mapping[str, object], name: str) -> list[object]:
    """Read a list out of the body; absent, it is empty."""
    value = body.get(name, [])
    if not isinstance(value, list):
        raise SandboxError(f"{name} is a list")
    return value


def _guarded(handler: Handler, *, changes: bool) -> Handler:
    """Answer mistakes with a sentence; let only JSON change anything: no form of another site can send it."""

    async def guarded(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if changes and content_type != "application/json":
            return JSONResponse({"error": "this call needs Content-Type: application/json"}, 415)
        try:
            return await handler(request)
        except SandboxError as error:
            return JSONResponse({"error": error.english, "code": error.error_code}, 400)

    return guarded


def make_routes(*table: Row) -> list[Route]:
    """Return the routes of a table; whatever is no GET needs JSON."""
    return [
        Route(f"/sandbox/{path}", _guarded(handler, changes=method != "GET"), methods=[method])
        for method, path, handler in table
    ]
