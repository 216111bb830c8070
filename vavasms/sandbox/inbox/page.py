"""The page: the newest conversations are in its HTML, its script takes it from there."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from attrs import define
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from vavasms.i18n import format_moment, format_number, language_set
from vavasms.i18n import gettext as _
from vavasms.sandbox.faults import MOMENTS, FaultKind, FaultPlan
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.api import data_routes, is_phone
from vavasms.sandbox.inbox.guide import guide_routes
from vavasms.sandbox.inbox.handset import Inbound
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.inbox.words import FAULTS, make_script_words, say_count
from vavasms.sandbox.magic import MAGIC_NUMBERS
from vavasms.web.language import keep_language, request_language
from vavasms.web.templates import make_environment

# Which fields of the panel mean something for a kind.
_FIELDS: Mapping[FaultKind, str] = {
    FaultKind.STALL: "seconds",
    FaultKind.REFUSE: "seconds",
    FaultKind.STATUS: "status",
}


@cache
def _make_environment() -> Environment:
    """Return the templates, compiled once for all sandboxes of a process."""
    environment = make_environment("vavasms.sandbox.inbox", {"amount": _amount, "when": _show_time})
    environment.globals["say_count"] = say_count
    return environment


def _amount(value: str) -> str:
    """Group the thousands as the language does."""
    amount = Decimal(value)
    whole = amount == amount.to_integral_value()
    return format_number(int(amount) if whole else amount.quantize(Decimal("0.01")))


def _show_time(seconds: float) -> str:
    """Return a time of today as hours and minutes, any other with its date, in this machine's zone."""
    then, now = (datetime.fromtimestamp(at, UTC).astimezone() for at in (seconds, time.time()))
    return f"{then:%H:%M}" if then.date() == now.date() else format_moment(then)


def _kinds() -> list[dict[str, str]]:
    """Return the kinds of faults with what can be chosen for each."""
    return [
        {
            "value": kind.value,
            "words": _(said),
            "moments": " ".join(moment.value for moment in MOMENTS[kind]),
            "field": _FIELDS.get(kind, ""),
        }
        for kind, said in FAULTS.items()
    ]


def _words() -> dict[str, object]:
    words = make_script_words()
    return {
        "words": words,
        "script_words": json.dumps(words),
        "kinds": _kinds(),
        "magic_numbers": {phone: _(magic.sentence) for phone, magic in MAGIC_NUMBERS.items()},
    }


@define(eq=False)
class _Page:
    inbox: Inbox
    environment: Environment

    async def show(self, request: Request) -> Response:
        """Return the page for `?to=` (a conversation), `?q=` (a search), `?lang=`."""
        query = request.query_params
        language = request_language(request)
        to = query.get("to", "").strip().removeprefix("+")
        data = await self._read(query.get("q", ""), to if is_phone(to) else "")
        settings = self.inbox.gateway.client_settings(f"{request.base_url}api")
        template = self.environment.get_template("inbox.html")
        with language_set(language):
            html = template.render(language=language, settings=settings, **_words(), **data)
        response = HTMLResponse(html, headers={"Cache-Control": "no-store", "Content-Language": language})
        if query.get("lang") == language:
            keep_language(response, language)
        return response

    async def _read(self, wanted: str, to: str) -> dict[str, object]:
        """Return what the page shows, the same in every language."""
        inbox = self.inbox
        listed = await inbox.conversations(wanted)
        thread = await inbox.thread(to) if to else None
        inbound = inbox.handset.inbound
        return {
            "wanted": wanted,
            "to": to,
            "thread": thread,
            "version": str(inbox.index.version),
            "totals": inbox.index.totals,
            "inbound": "" if inbound is None else inbound.place,
            **listed,
            **inbox.state(),
        }


def inbox_routes(gateway: Gateway, faults: FaultPlan, inbound: Inbound | None) -> list[BaseRoute]:
    """Return the routes: the page, the guide, and the page's files and data under `/sandbox/inbox/`."""
    inbox = Inbox(gateway, faults, inbound)
    page = _Page(inbox, _make_environment())
    static = StaticFiles(packages=[("vavasms.sandbox.inbox", "static"), ("vavasms.web", "static")])
    return [
        Route("/", page.show, methods=["GET"]),
        *data_routes(inbox),
        *guide_routes(page.environment),
        Mount("/sandbox/inbox/static", static),
    ]
