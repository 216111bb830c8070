"""What handsets received, by REST: list, search, wait, the latest code."""

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
from vavasms.sandbox.long_poll import subscribed, while_connected
from vavasms.text.segments import count_segments

#: Seconds.
LONGEST_WAIT = 60


def describe_message(gateway: Gateway, message: InboxMessage) -> dict[str, object]:
    """Return a message as JSON has it: amounts as text (XOF), times in seconds; no status is null."""
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


@define(eq=False)
class _Messages:
    gateway: Gateway

    def _find(self, query: Mapping[str, str], after: int, limit: int | None = None) -> list[InboxMessage]:
        journal, text, to = self.gateway.journal, query.get("text", ""), query.get("to")
        # A plus sign that nobody quoted arrives as a space.
        phone = None if to is None else to.strip().removeprefix("+")
        return list(journal.messages(phone, text=text, after=after, limit=limit))

    def _reply(self, messages: list[InboxMessage]) -> Response:
        return JSONResponse({"messages": [describe_message(self.gateway, message) for message in messages]})

    async def messages(self, request: Request) -> Response:
        """Return the messages to `?to=` (anybody) that hold `?text=` in any case, newest first.

        `?after=` is the `sequence` of an earlier one, `?limit=` how many there are at most.
        """
        after, limit = read_number(request, "after"), read_number(request, "limit")
        return self._reply(self._find(request.query_params, after or 0, limit))

    async def wait(self, request: Request) -> Response:
        """Wait (`?timeout=` seconds, 5; 60 at most) until the list is not empty; 404 where it stays so."""
        after = read_number(request, "after") or 0
        if (timeout := read_number(request, "timeout")) is None:
            timeout = 5
        if timeout > LONGEST_WAIT:
            raise SandboxError(f"timeout is {LONGEST_WAIT} seconds at most")
        messages = await while_connected(request.receive, lambda: self._arrival(request, after, timeout))
        if messages:
            return self._reply(messages)
        return JSONResponse({"error": f"no such message within {timeout} s"}, 404)

    async def _arrival(self, request: Request, after: int, timeout: int) -> list[InboxMessage]:
        """Return what is new at the first change that matters; an empty list where nothing came in time."""
        journal = self.gateway.journal
        with subscribed(journal.signal) as waiter, anyio.move_on_after(timeout):
            while True:
                newest = next((entry.sequence for entry in journal.backwards()), after)
                if messages := self._find(request.query_params, after):
                    return messages
                after = max(after, newest)
                await waiter.wait()
        return []

    async def otp(self, request: Request) -> Response:
        phone = request.path_params["phone"]
        code = self.gateway.latest_otp(phone)
        if code is None:
            return JSONResponse({"error": "no OTP was sent to this number"}, 404)
        return JSONResponse({"phone": phone.removeprefix("+"), "otp": code})


def message_routes(gateway: Gateway) -> list[Route]:
    """Return the routes: messages, messages/wait, otp."""
    calls = _Messages(gateway)
    return make_routes(
        ("GET", "messages", calls.messages),
        ("GET", "messages/wait", calls.wait),
        ("GET", "otp/{phone}", calls.otp),
    )
