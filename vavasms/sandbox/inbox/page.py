"""The page: the newest conversations are in its HTML, its script takes it from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from attrs import define, field
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from vavasms.sandbox.faults import MOMENTS, FaultKind, FaultPlan
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.api import data_routes, is_phone
from vavasms.sandbox.inbox.handset import Inbound
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.inbox.translations import FAULTS, MAGIC_WORDS, MOMENT_WORDS, WORDS, choose_language
from vavasms.sandbox.inbox.views import show_time

_COOKIE = "vavasms_language"
_YEAR = 365 * 24 * 3600
# Which fields of the panel mean something for a kind.
_FIELDS: Mapping[FaultKind, str] = {
    FaultKind.STALL: "seconds",
    FaultKind.REFUSE: "seconds",
    FaultKind.STATUS: "status",
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vavasms.sandbox.inbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"amount": _amount, "when": show_time}
    return environment


def _amount(value: str, language: str) -> str:
    """Group the thousands as the language does."""
    amount = Decimal(value)
    text = f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"
    return text.translate({ord(","): "\u202f", ord("."): ","}) if language == "fr" else text


def _kinds(language: str) -> list[dict[str, str]]:
    """Return the kinds of faults with what can be chosen for each."""
    return [
        {
            "value": kind.value,
            "words": words,
            "moments": " ".join(moment.value for moment in MOMENTS[kind]),
            "field": _FIELDS.get(kind, ""),
        }
        for kind, words in FAULTS[language].items()
    ]


@define(eq=False)
class _Page:
    inbox: Inbox
    environment: Environment = field(factory=_environment)

    async def show(self, request: Request) -> Response:
        """Return the page for `?to=` (a conversation), `?q=` (a search), `?lang=`."""
        query = request.query_params
        language = choose_language(
            query.get("lang", ""),
            request.cookies.get(_COOKIE, ""),
            accepted=request.headers.get("accept-language", ""),
        )
        to = query.get("to", "").strip().removeprefix("+")
        context = await self._context(language, query.get("q", ""), to if is_phone(to) else "")
        settings = self.inbox.gateway.client_settings(f"{request.base_url}api")
        html = self.environment.get_template("inbox.html").render(settings=settings, **context)
        response = HTMLResponse(html, headers={"Cache-Control": "no-store", "Content-Language": language})
        if query.get("lang") == language:
            response.set_cookie(_COOKIE, language, max_age=_YEAR, httponly=True, samesite="strict")
        return response

    async def _context(self, language: str, wanted: str, to: str) -> dict[str, object]:
        inbox = self.inbox
        listed = await inbox.conversations(wanted)
        thread = await inbox.thread(to) if to else None
        inbound = inbox.handset.inbound
        kinds = {kind.value: label for kind, label in FAULTS[language].items()}
        moments = {moment.value: label for moment, label in MOMENT_WORDS[language].items()}
        return {
            "language": language,
            "words": WORDS[language],
            "script_words": json.dumps({**WORDS[language], "kinds": kinds, "moments": moments}),
            "kinds": _kinds(language),
            "moments": moments,
            "magic_numbers": MAGIC_WORDS[language],
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
    """Return the routes: the page at `/`, its static files and its data under `/sandbox/inbox/`."""
    inbox = Inbox(gateway, faults, inbound)
    static = StaticFiles(packages=[("vavasms.sandbox.inbox", "static")])
    return [
        Route("/", _Page(inbox).show, methods=["GET"]),
        *data_routes(inbox),
        Mount("/sandbox/inbox/static", static),
    ]
