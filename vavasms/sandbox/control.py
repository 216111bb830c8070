"""Steer the sandbox from another process: a small REST interface under `/sandbox/`, JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.faults import Fault, FaultKind, FaultPlan, Moment, SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.journal import Entry, InboxMessage

__all__ = ["control_routes", "parse_fault"]

_WORDS: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "moment": (str,),
    "seconds": (int, float),
    "status": (int,),
    "headers": (dict,),
    "body": (str,),
    "at": (int,),
    "in_head": (bool,),
    "retry_after": (str,),
    "location": (str,),
}


def parse_fault(value: object) -> Fault:
    """Read a fault from JSON: `{"kind": "status", "status": 503, "moment": "after_accepting"}`.

    The names are those of `Fault`; `headers` is an object of texts, `body` a text.
    """
    if not isinstance(value, dict) or "kind" not in value:
        raise SandboxError('a fault is an object with a "kind"')
    for name, word in value.items():
        # `True` is an int to Python and nonsense as a number of bytes.
        if name not in _WORDS or type(word) not in _WORDS[name]:
            raise SandboxError(f"a fault has no {name!r} like {word!r}")
    return Fault(**{name: _word(name, word) for name, word in value.items()})


def _word(name: str, word: object) -> Any:
    """Turn one JSON value into what `Fault` holds."""
    try:
        if name == "kind":
            return FaultKind(word)
        if name == "moment":
            return Moment(word)
    except ValueError:
        raise SandboxError(f"a fault has no {name} {word!r}") from None
    if isinstance(word, dict):
        return tuple((str(key), str(one)) for key, one in word.items())
    return word.encode() if name == "body" and isinstance(word, str) else word


def _parse_step(step: object) -> tuple[Fault | None, str | None]:
    """Read a step of the script: null, or a fault with an optional `path`."""
    if step is None:
        return None, None
    if not isinstance(step, dict):
        raise SandboxError("a step of the script is null or a fault")
    path = step.get("path")
    if not isinstance(path, str | None):
        raise SandboxError("the path of a step is a text")
    rest = {name: word for name, word in step.items() if name != "path"}
    return (parse_fault(rest) if rest else None), path


def _parse_rate(value: object) -> tuple[Fault, float]:
    """Read a fault with its `rate`."""
    if not isinstance(value, dict) or not isinstance(value.get("rate"), int | float):
        raise SandboxError('each of the rates is a fault with a "rate"')
    return parse_fault({name: word for name, word in value.items() if name != "rate"}), float(value["rate"])


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "sequence": entry.sequence,
        "time": entry.time,
        "kind": entry.kind.value,
        "lot_id": entry.lot_id,
        "sender_id": entry.sender_id,
        "phones": entry.phones,
        "message": entry.message,
        "message_ids": entry.message_ids,
        "segments": entry.segments,
        "cost": str(entry.cost),
    }


def _message(gateway: Gateway, message: InboxMessage) -> dict[str, object]:
    return {
        "message_id": message.message_id,
        "lot_id": message.lot_id,
        "kind": message.kind.value,
        "sender_id": message.sender_id,
        "phone": message.phone,
        "text": message.text,
        "time": message.time,
        "segments": message.segments,
        "status": gateway.status_of(message.message_id),
    }


def _count(request: Request, name: str) -> int | None:
    """Read a whole number from the query; None: absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise SandboxError(f"{name} is a whole number")
    return int(text)


async def _json(request: Request) -> Mapping[str, object]:
    """Read the body as one JSON object."""
    try:
        value = json.loads(await request.body())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SandboxError("the body is one JSON object")
    return value


def _list(body: Mapping[str, object], name: str) -> list[object]:
    value = body.get(name, [])
    if not isinstance(value, list):
        raise SandboxError(f"{name} is a list")
    return value


@define(eq=False)
class _Control:
    #: The state.
    gateway: Gateway
    #: What goes wrong.
    faults: FaultPlan

    async def health(self, _request: Request) -> Response:
        return JSONResponse(
            {"ok": True, "requests": len(self.gateway.journal), "balance": str(self.gateway.balance)}
        )

    async def journal(self, request: Request) -> Response:
        """List the entries after `?after=` (all), at most `?limit=`; totals only without `after`.

        A poller asks with `after`: it shall not pay for the counts of a million recipients each time.
        """
        journal, after, limit = self.gateway.journal, _count(request, "after"), _count(request, "limit")
        entries = journal.entries_after(after or 0)[:limit]
        answer: dict[str, object] = {
            "requests": len(journal),
            "entries": [_as_json(entry) for entry in entries],
        }
        if after is None:
            answer |= {"recipients": journal.recipients, "accepted": dict(journal.counts())}
        return JSONResponse(answer)

    async def clear_journal(self, _request: Request) -> Response:
        self.gateway.journal.clear()
        return JSONResponse({"ok": True})

    async def set_faults(self, request: Request) -> Response:
        """Replace script and rates; nothing changes where anything of it cannot be read."""
        body = await _json(request)
        steps = [_parse_step(step) for step in _list(body, "script")]
        rates = dict(_parse_rate(value) for value in _list(body, "rates"))
        seed = body.get("seed")
        if not isinstance(seed, int | None):
            raise SandboxError("seed is a whole number")
        self.faults.replace(steps, rates, seed=seed)
        return JSONResponse({"ok": True, "pending": self.faults.pending})

    async def clear_faults(self, _request: Request) -> Response:
        self.faults.clear()
        return JSONResponse({"ok": True})

    async def otp(self, request: Request) -> Response:
        phone = request.path_params["phone"]
        code = self.gateway.latest_otp(phone)
        if code is None:
            return JSONResponse({"error": "no OTP was sent to this number"}, 404)
        return JSONResponse({"phone": phone.removeprefix("+"), "otp": code})

    async def messages(self, request: Request) -> Response:
        """List the messages to `?to=` (anybody), newest first, at most `?limit=`."""
        found = self.gateway.journal.messages(request.query_params.get("to"), limit=_count(request, "limit"))
        return JSONResponse({"messages": [_message(self.gateway, message) for message in found]})

    async def set_balance(self, request: Request) -> Response:
        """Set the credit: `{"amount": 25540}`, or a text where it has decimals."""
        amount = (await _json(request)).get("amount")
        try:
            credit = Decimal(amount if type(amount) in {int, str} else "no number")  # type: ignore[arg-type]
        except InvalidOperation:
            credit = Decimal("NaN")
        if not credit.is_finite():
            raise SandboxError("amount is a whole number, or a number as text")
        self.gateway.set_balance(credit)
        return JSONResponse({"ok": True})


_Handler = Callable[[Request], Awaitable[Response]]


def _guarded(handler: _Handler, *, changes: bool) -> _Handler:
    """Answer mistakes with a sentence; let only JSON change anything: no form of another site can send it."""

    async def guarded(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if changes and content_type != "application/json":
            return JSONResponse({"error": "this call needs Content-Type: application/json"}, 415)
        try:
            return await handler(request)
        except SandboxError as error:
            return JSONResponse({"error": str(error)}, 400)

    return guarded


def control_routes(gateway: Gateway, faults: FaultPlan) -> list[Route]:
    """List the routes: journal, faults, otp, messages, balance, health."""
    control = _Control(gateway, faults)
    table: tuple[tuple[str, str, _Handler], ...] = (
        ("GET", "health", control.health),
        ("GET", "journal", control.journal),
        ("DELETE", "journal", control.clear_journal),
        ("PUT", "faults", control.set_faults),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "otp/{phone}", control.otp),
        ("GET", "messages", control.messages),
        ("PUT", "balance", control.set_balance),
    )
    return [
        Route(f"/sandbox/{path}", _guarded(handler, changes=method != "GET"), methods=[method])
        for method, path, handler in table
    ]
