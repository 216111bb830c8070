"""Ask the sandbox for what handsets received: list, search, wait, the latest code."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.faults import SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.http_json import make_routes, read_number
from vavasms.sandbox.journal import InboxMessage
from vavasms.sandbox.waiting import hearing, unless_gone
from vavasms.text.segments import count_segments

__all__ = ["describe_message", "message_routes"]

_LONGEST_WAIT = 60


def describe_message(gateway: Gateway, message: InboxMessage) -> dict[str, object]:
    """Write a message as JSON: amounts as text (XOF), times in seconds; no status is null."""
    return {
        "message_id": message.message_id,
        "sequence": message.sequence,
        "lot_id": message.lot_id,
        "kind": message.kind.value,
        "sender_id": message.sender_id,
        "phone": message.phone,
        "text": message.text,
        "otp": message.otp or None,
        "time": message.time,
        "segments": message.segments,
        "encoding": count_segments(message.text).encoding.value,
        "price": str(message.price),
        "status": gateway.delivery.status(message.phone, gateway.now() - message.time),
    }


def _nothing(timeout: int) -> Response:
    return JSONResponse({"error": f"no such message within {timeout} s"}, 404)


@define(eq=False)
class _Messages:
    #: The state.
    gateway: Gateway

    def _find(self, query: Mapping[str, str], after: int, limit: int | None = None) -> list[InboxMessage]:
        journal, text, to = self.gateway.journal, query.get("text", ""), query.get("to")
        # A plus sign that nobody quoted arrives as a space.
        phone = None if to is None else to.strip().removeprefix("+")
        return list(journal.messages(phone, text=text, after=after, limit=limit))

    def _reply(self, found: list[InboxMessage]) -> Response:
        return JSONResponse({"messages": [describe_message(self.gateway, message) for message in found]})

    async def messages(self, request: Request) -> Response:
        """List the messages to `?to=` (anybody) that hold `?text=` in any case, newest first.

        `?after=` is the `sequence` of an earlier one, `?limit=` how many there are at most.
        """
        after, limit = read_number(request, "after"), read_number(request, "limit")
        return self._reply(self._find(request.query_params, after or 0, limit))

    async def wait(self, request: Request) -> Response:
        """Wait (`?timeout=` seconds, 5; 60 at most) until the list is not empty; 404 where it stays so."""
        after = read_number(request, "after") or 0
        timeout = read_number(request, "timeout")
        timeout = 5 if timeout is None else timeout
        if timeout > _LONGEST_WAIT:
            raise SandboxError(f"timeout is {_LONGEST_WAIT} seconds at most")
        found = await unless_gone(request.receive, lambda: self._arrival(request, after, timeout))
        return self._reply(found) if found else _nothing(timeout)

    async def _arrival(self, request: Request, after: int, timeout: int) -> list[InboxMessage]:
        """Return what is new at the first change that matters; an empty list where nothing came in time."""
        journal = self.gateway.journal
        with hearing(journal.bell) as ear, anyio.move_on_after(timeout):
            while True:
                newest = next((entry.sequence for entry in journal.backwards()), after)
                found = self._find(request.query_params, after)
                if found:
                    return found
                after = max(after, newest)
                await ear.wait()
        return []

    async def otp(self, request: Request) -> Response:
        phone = request.path_params["phone"]
        code = self.gateway.latest_otp(phone)
        if code is None:
            return JSONResponse({"error": "no OTP was sent to this number"}, 404)
        return JSONResponse({"phone": phone.removeprefix("+"), "otp": code})


def message_routes(gateway: Gateway) -> list[Route]:
    """List the routes: messages, messages/wait, otp."""
    calls = _Messages(gateway)
    table = (
        ("GET", "messages", calls.messages),
        ("GET", "messages/wait", calls.wait),
        ("GET", "otp/{phone}", calls.otp),
    )
    return make_routes(table)
