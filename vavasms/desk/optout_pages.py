"""The opt-out list: searched, added to, taken from, and fed with a file."""

from __future__ import annotations

from io import BytesIO
from urllib.parse import unquote

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vavasms.campaigns.opt_out_import import OptOutImport, write_ranges
from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.desk.drafts import MAX_LIST
from vavasms.desk.page import Pages, go, typed
from vavasms.desk.words import describe_error
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
from vavasms.ledger.models import OptOut
from vavasms.numbers import Msisdn, parse_msisdn

#: What a ledger has of a number that was added here.
_SOURCE = "desk"
_SHOWN = 50
_RANGES = 20


@define(eq=False)
class OptOutPages:
    """The handlers. A number is never part of an address: browsers keep those."""

    pages: Pages

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/optouts", self.show, methods=["GET"]),
            Route("/optouts", self.change, methods=["POST"]),
            Route("/optouts/import", self.import_list, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Return the beginning of the list."""
        listed = await self.pages.desk.ledger.opt_outs(limit=_SHOWN + 1)
        return self._render(request, listed[:_SHOWN], has_more=len(listed) > _SHOWN)

    def _render(self, request: Request, listed: object, *, has_more: bool, number: str = "") -> Response:
        return self.pages.render(request, "optouts.html", listed=listed, has_more=has_more, number=number)

    async def change(self, request: Request) -> Response:
        """Search a number, put it on the list, or take it off."""
        text, desk = typed(request, "number"), self.pages.desk
        try:
            number = parse_msisdn(text, default_region=desk.client.account.region)
            if typed(request, "do") == "search":
                return await self._search(request, number)
            if typed(request, "do") == "remove":
                await desk.ledger.remove_opt_outs([number])
                sentence = _("{number} is not on the list any more.", number=number.e164)
            else:
                await desk.ledger.add_opt_outs([number], source=_SOURCE, now=await desk.now())
                sentence = _("{number} is on the list: no campaign sends to it.", number=number.e164)
        except VavaSMSError as error:
            self.pages.say(request, describe_error(error), is_error=True)
        else:
            self.pages.say(request, sentence)
        return go("/optouts")

    async def _search(self, request: Request, number: Msisdn) -> Response:
        listed = await self._find(number)
        if not listed:
            self.pages.say(request, _("{number} is not on the list.", number=number.e164))
        return self._render(request, listed, has_more=False, number=number.e164)

    async def _find(self, number: Msisdn) -> list[OptOut]:
        before = Msisdn(str(int(number) - 1).zfill(len(number)))
        listed = await self.pages.desk.ledger.opt_outs(after=before, limit=1)
        return [one for one in listed if one.recipient == number]

    async def import_list(self, request: Request) -> Response:
        """Put the numbers of a file on the list."""
        name = unquote(request.headers.get("x-file-name", ""))[:100] or _SOURCE
        try:
            data = await self.pages.read_upload(request, MAX_LIST)
            with read_contacts(BytesIO(data)) as contacts:
                work = OptOutImport(contacts=contacts, judge=Judge(), source=name)
                await work.run(self.pages.desk.ledger)
        except VavaSMSError as error:
            return JSONResponse({"error": describe_error(error)}, 400)
        self.pages.say(request, _describe(work), is_error=bool(work.refused_rows))
        return JSONResponse({"location": "/optouts"})


def _describe(work: OptOutImport) -> str:
    counts = work.counts
    sentence = ngettext(
        "{n} number added to the list; {known} on it already.",
        "{n} numbers added to the list; {known} on it already.",
        counts["added"],
        known=counts["known"],
    )
    if not work.refused_rows:
        return sentence
    ranges = write_ranges(work.refused_rows)
    rows = ", ".join(ranges[:_RANGES]) + (", …" if len(ranges) > _RANGES else "")
    unread = _("Not read, and so not on the list: row {rows}", rows=rows)
    return f"{sentence} {unread}"
