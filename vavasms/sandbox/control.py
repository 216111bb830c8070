"""Control of the sandbox from another process: a small REST interface under `/sandbox/`, JSON both ways."""

from __future__ import annotations

import re
from decimal import Decimal

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.fault_json import describe_faults, parse_fault, parse_path, parse_rate, parse_step
from vavasms.sandbox.faults import FaultPlan, SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.http_json import make_routes, read_json, read_list, read_number
from vavasms.sandbox.journal import Entry
from vavasms.sandbox.messages import message_routes


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


#: What no amount reaches (XOF): so bounded, adding to it stays exact.
MAX_AMOUNT = 10**15
#: How an amount is written as text.
AMOUNT_TEXT = r"-?[0-9]{1,15}(\.[0-9]{1,9})?"


def _amount(value: object) -> Decimal:
    """Read an amount: a whole number, or a number as text."""
    if type(value) is int and abs(value) < MAX_AMOUNT:
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(AMOUNT_TEXT, value):
        return Decimal(value)
    raise SandboxError("an amount is a whole number, or a number as text, under 10^15")


@define(eq=False)
class _Control:
    gateway: Gateway
    faults: FaultPlan

    async def health(self, _request: Request) -> Response:
        return JSONResponse(
            {"ok": True, "requests": len(self.gateway.journal), "balance": str(self.gateway.balance)}
        )

    async def journal(self, request: Request) -> Response:
        """Return the entries after `?after=` (all), at most `?limit=`; totals only without `after`.

        A poller asks with `after`: it shall not pay for the counts of a million recipients each time.
        """
        journal, after = self.gateway.journal, read_number(request, "after")
        entries = journal.entries_after(after or 0, read_number(request, "limit"))
        answer: dict[str, object] = {"requests": len(journal), "entries": [*map(_as_json, entries)]}
        if after is None:
            answer |= {"recipients": journal.recipients, "accepted": dict(journal.counts())}
        return JSONResponse(answer)

    async def clear_journal(self, _request: Request) -> Response:
        self.gateway.journal.clear()
        return JSONResponse({"ok": True})

    async def list_faults(self, _request: Request) -> Response:
        return JSONResponse(describe_faults(self.faults))

    async def set_faults(self, request: Request) -> Response:
        """Replace script and rates; nothing changes where anything of it cannot be read."""
        body = await read_json(request, "script", "rates", "seed")
        steps = [parse_step(step) for step in read_list(body, "script")]
        rates = dict(parse_rate(value) for value in read_list(body, "rates"))
        seed = body.get("seed")
        if isinstance(seed, bool) or not isinstance(seed, int | None):
            raise SandboxError("seed is a whole number")
        self.faults.replace(steps, rates, seed=seed)
        return JSONResponse({"ok": True, "pending": self.faults.pending})

    async def add_fault(self, request: Request) -> Response:
        """Plan one more fault: `{"when": "next", "kind": ...}`, or `always`, or `rate` with a `rate`.

        `next` adds a step to the script, for the call `path` or any; `always` takes the place of all rates,
        `rate` joins them.
        """
        body = dict(await read_json(request))
        when = body.pop("when", None)
        if when == "rate":
            fault, rate = parse_rate(body)
            self.faults.set_rates({**self.faults.rates, fault: rate})
        elif when == "always":
            self.faults.set_rates({parse_fault(body): 1})
        elif when == "next":
            path = parse_path(body.pop("path", None))
            self.faults.script(parse_fault(body), path=path)
        else:
            raise SandboxError('"when" is next, always or rate')
        return JSONResponse({"ok": True, **describe_faults(self.faults)})

    async def clear_faults(self, _request: Request) -> Response:
        self.faults.clear()
        return JSONResponse({"ok": True})

    async def set_balance(self, request: Request) -> Response:
        """Set the credit by `{"amount": 25540}` or add to it by `{"add": 100}`; decimals need a text."""
        body = await read_json(request, "amount", "add")
        if len(body) > 1:
            raise SandboxError("the balance is set by an amount or added to, not both")
        if "add" in body:
            self.gateway.refill(_amount(body["add"]))
        else:
            self.gateway.set_balance(_amount(body.get("amount")))
        return JSONResponse({"ok": True})


def control_routes(gateway: Gateway, faults: FaultPlan) -> list[Route]:
    """Return the routes: journal, faults, balance, health, and those of the messages."""
    control = _Control(gateway, faults)
    routes = make_routes(
        ("GET", "health", control.health),
        ("GET", "journal", control.journal),
        ("DELETE", "journal", control.clear_journal),
        ("GET", "faults", control.list_faults),
        ("PUT", "faults", control.set_faults),
        ("POST", "faults", control.add_fault),
        ("DELETE", "faults", control.clear_faults),
        ("PUT", "balance", control.set_balance),
    )
    return [*routes, *message_routes(gateway)]
