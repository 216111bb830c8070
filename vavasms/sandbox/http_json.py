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


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON has not."""
    raise ValueError(name)


def _read_float(text: str) -> int | float:
    """Read a number with a point: JSON has one kind of number, and 503.0 is a whole one."""
    number = float(text)
    return int(number) if number.is_integer() else number


async def read_json(request: Request, *names: str) -> Mapping[str, object]:
    """Read the body as one JSON object, of whose `names` none is misspelt; without any, of whatever names."""
    try:
        value = json.loads(await request.body(), parse_constant=_refuse_constant, parse_float=_read_float)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SandboxError("the body is one JSON object")
    strange = next((name for name in value if names and name not in names), None)
    if strange is not None:
        raise SandboxError(f"the body has no {strange!a}, only {', '.join(names)}")
    return value


def read_list(body: Mapping[str, object], name: str) -> list[object]:
    """Read a list out of the body; absent, it is empty."""
    value = body.get(name, [])
    if not isinstance(value, list):
        raise SandboxError(f"{name} is a list")
    return value


def _guarded(method: str, handler: Handler) -> Handler:
    """Answer mistakes with a sentence; let only JSON change anything: no form of another site can send it."""

    async def guarded(request: Request) -> Response:
        if not _is_welcome(method, request.headers.get("content-type")):
            return JSONResponse({"error": "this call needs Content-Type: application/json"}, 415)
        try:
            return await handler(request)
        except SandboxError as error:
            return JSONResponse({"error": error.english, "code": error.error_code}, 400)

    return guarded


def _is_welcome(method: str, content_type: str | None) -> bool:
    """Return whether a request may be read: no form can send a GET or a DELETE that changes anything."""
    if method == "GET" or (method == "DELETE" and content_type is None):
        return True
    return (content_type or "").partition(";")[0].strip().lower() == "application/json"


def _chosen(handlers: Mapping[str, Handler]) -> Handler:
    """Return the handler of a path, which calls that of the method; whatever gets a GET gets a HEAD."""

    async def chosen(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return chosen


def make_routes(*table: Row) -> list[Route]:
    """Return the routes of a table, one a path: the first of two would answer for the other's methods."""
    paths: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        paths.setdefault(path, {})[method] = _guarded(method, handler)
    return [
        Route(f"/sandbox/{path}", _chosen(handlers), methods=[*handlers]) for path, handlers in paths.items()
    ]
