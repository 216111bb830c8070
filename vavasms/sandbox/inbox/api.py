"""What the page's own script asks for: conversations, threads, the stream, replies."""

from __future__ import annotations

import re

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.faults import SandboxError
from vavasms.sandbox.http_json import make_routes, read_json, read_number
from vavasms.sandbox.inbox.events import EventStream
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.inbox.views import show_reply

#: Characters.
LONGEST_REPLY = 5_000


def is_phone(text: str) -> bool:
    """Return whether a text can be a number the sandbox accepted: 8 to 15 digits."""
    return re.fullmatch(r"[1-9][0-9]{7,14}", text) is not None


@define(eq=False)
class _Data:
    inbox: Inbox

    async def conversations(self, request: Request) -> Response:
        """Return those that fit `?q=` (all), of those under `?below=`: 50, newest first."""
        wanted = request.query_params.get("q", "")
        return JSONResponse(await self.inbox.conversations(wanted, read_number(request, "below")))

    async def thread(self, request: Request) -> Response:
        """Return what `{phone}` received, of what is under `?below=`: the newest 50, oldest first."""
        phone = request.path_params["phone"].removeprefix("+")
        if not is_phone(phone):
            raise SandboxError("a number is 8 to 15 digits")
        return JSONResponse(await self.inbox.thread(phone, read_number(request, "below")))

    async def reply(self, request: Request) -> Response:
        """Post `{"phone": ..., "text": ...}` to the inbound URL, and tell what came back."""
        body = await read_json(request, "phone", "text")
        phone, text = body.get("phone"), body.get("text")
        if not isinstance(phone, str) or not is_phone(phone.removeprefix("+")):
            raise SandboxError("phone is a number of 8 to 15 digits, as text")
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_REPLY:
            raise SandboxError(f"text is a text of {LONGEST_REPLY} characters at most")
        # Half of a character, as JSON may hold it, can be written nowhere.
        whole = text.encode("utf-8", "replace").decode()
        return JSONResponse(show_reply(await self.inbox.reply(phone.removeprefix("+"), whole)))

    async def events(self, request: Request) -> EventStream:
        """Stream from `Last-Event-ID`, else from `?since=`, else from now on."""
        seen = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return EventStream(self.inbox, seen)


def data_routes(inbox: Inbox) -> list[Route]:
    """Return the routes under `/sandbox/inbox/`."""
    data = _Data(inbox)
    routes = make_routes(
        ("GET", "inbox/conversations", data.conversations),
        ("GET", "inbox/conversations/{phone}", data.thread),
        ("POST", "inbox/reply", data.reply),
    )
    return [*routes, Route("/sandbox/inbox/events", data.events, methods=["GET"])]
