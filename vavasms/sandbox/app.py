"""The gateway as an ASGI application, with its faults, behind the guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl

import anyio
from attrs import frozen
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from vavasms.i18n import gettext as _
from vavasms.sandbox import middleware
from vavasms.sandbox.connection import CONNECTION, ConnectionControl, ConnectionGoneError
from vavasms.sandbox.control import control_routes
from vavasms.sandbox.fault_replies import REPLACING, alter, raw_reply, replace
from vavasms.sandbox.faults import NEEDS_SERVER, Fault, FaultKind, FaultPlan, Moment, SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox import Inbound
from vavasms.sandbox.inbox.page import inbox_routes
from vavasms.sandbox.magic import find_magic
from vavasms.sandbox.openapi.routes import document_routes
from vavasms.sandbox.replies import Answer
from vavasms.web.headers import SecurityHeaders

#: The prefix of the API's paths, as in the documented base URL.
BASE_PATH = "/api"


@frozen
class _Api:
    """The documented calls as a plain ASGI application."""

    gateway: Gateway
    faults: FaultPlan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or leave it without an answer where its connection is gone."""
        try:
            response = await self._respond(scope, receive)
        except (ConnectionGoneError, middleware.ClientLeftError):
            return
        except middleware.BodyTooLargeError:
            response = PlainTextResponse("the body is longer than 1 MiB\n", 413)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"].removeprefix(BASE_PATH)
        if scope["method"] != "POST":
            await middleware.read_body(receive)
            return PlainTextResponse("every call is a POST\n", 405, {"Allow": "POST"})
        answer = await self._answer(path, scope, receive)
        headers = {"Content-Type": answer.content_type, **dict(answer.headers)}
        return Response(answer.body, answer.http_status, headers)

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Answer:
        """Return the answer to a request, at each of whose three moments its fault may strike."""
        connection: ConnectionControl | None = scope.get("extensions", {}).get(CONNECTION)
        fault = _possible(self.faults.take(path), connection)
        await _apply(fault, Moment.BEFORE_READING, connection)
        fields = _parse(scope, await middleware.read_body(receive))
        magic = find_magic(fields.get("phone", ""))
        if magic is not None:
            self.gateway.note_magic(magic)
            fault = fault if magic.fault is None else _possible(magic.fault, connection)
        await _apply(fault, Moment.AFTER_READING, connection)
        if fault is not None and fault.moment is Moment.AFTER_READING and fault.kind in REPLACING:
            return replace(fault)
        answer = self.gateway.handle(path, fields)
        await _apply(fault, Moment.AFTER_ACCEPTING, connection, answer)
        return answer if fault is None else alter(fault, answer)


def _possible(fault: Fault | None, connection: ConnectionControl | None) -> Fault | None:
    """Refuse a fault of the socket where there is no socket, before anything is accepted."""
    if connection is None and fault is not None and fault.kind in NEEDS_SERVER:
        raise SandboxError(
            _(
                "the fault {kind} happens to a connection, and in-process there is none: use SandboxServer",
                kind=repr(fault.kind.value),
            ),
            error_code="sandbox.needs_server",
        )
    return fault


def _parse(scope: Scope, body: bytes) -> dict[str, str]:
    """Read a form as PHP does: no field of any other content type, the last of a repeated field."""
    content_type = (middleware.header(scope, b"content-type") or "").partition(";")[0]
    if content_type.strip().lower() != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def _apply(
    fault: Fault | None, moment: Moment, connection: ConnectionControl | None, answer: Answer | None = None
) -> None:
    """Do what the fault does to the connection, if this is its moment."""
    if fault is None or fault.moment is not moment:
        return
    if connection is None:
        # In-process only time can pass: `_possible` has refused whatever else would be done here.
        await anyio.sleep(fault.seconds if fault.kind is FaultKind.STALL else 0)
        return
    match fault.kind:
        case FaultKind.STALL:
            await connection.stall(fault.seconds)
        case FaultKind.RESET:
            await connection.reset()
        case FaultKind.REFUSE:
            await connection.refuse(fault.seconds)
        case FaultKind.CLOSE_BEFORE_READING | FaultKind.CLOSE_AFTER_READING | FaultKind.CLOSE_AFTER_ACCEPTING:
            await connection.close()
        case FaultKind.CUT if answer is not None:
            await connection.close(_cut(fault, answer))
        case _:
            return


def _cut(fault: Fault, answer: Answer) -> bytes:
    """Return the reply's beginning; its head still promises the whole body."""
    head, body = raw_reply(answer)
    return head[: fault.at] if fault.in_head else head + body[: fault.at]


def create_app(
    gateway: Gateway,
    faults: FaultPlan | None = None,
    *,
    allowed_hosts: Iterable[str] = (),
    routes: Sequence[BaseRoute] = (),
    inbound: Inbound | None = None,
) -> Starlette:
    """Build the application: the API under `/api`, the inbox at `/`, all else under `/sandbox/`.

    `routes` are further ones. `allowed_hosts` are names (without port) that a Host header may hold beside
    the loopback ones. `inbound` is where handsets reply to. In-process, a fault that needs a socket raises
    `SandboxError` before anything is accepted.
    """
    plan = FaultPlan() if faults is None else faults
    api = Route(f"{BASE_PATH}/{{call:path}}", _Api(gateway, plan))
    own = [
        *control_routes(gateway, plan),
        *inbox_routes(gateway, plan, inbound),
        *document_routes(gateway, BASE_PATH),
    ]
    prefix = f"{BASE_PATH}/"
    layers = [
        Middleware(middleware.Dated, clock=gateway.now),
        Middleware(SecurityHeaders, bare=prefix),
        Middleware(middleware.Guard, streams=prefix, allowed_hosts=tuple(allowed_hosts)),
    ]
    return Starlette(routes=[api, *own, *routes], middleware=layers)
