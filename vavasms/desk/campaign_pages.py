"""The pages of campaigns in the ledger: the list, how far each is, what is unknown, the report."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import Any, TypeVar

from attrs import define, field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from vavasms.campaigns.policy import load_policy
from vavasms.campaigns.report import csv_columns, csv_line, format_csv, kept_columns, read_report
from vavasms.campaigns.report_page import format_html
from vavasms.campaigns.summary import CampaignSummary, read_summary
from vavasms.campaigns.workbook import write_workbook
from vavasms.desk.desk import is_new
from vavasms.desk.form import read_amount, read_count, read_percent
from vavasms.desk.pace import Pace
from vavasms.desk.page import Pages, go, typed
from vavasms.desk.words import describe_error
from vavasms.errors import InvalidInputError
from vavasms.i18n import current_language, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.models import Campaign, CampaignStatus, StoredBatch
from vavasms.ledger.rows import OVER_BUDGET
from vavasms.ledger.states import CampaignState
from vavasms.web.headers import CONTENT_POLICY

#: Unknown batches that one page shows, and campaigns.
_SHOWN, _CAMPAIGNS = 30, 100
#: Campaigns of which something is remembered, and seconds for which a report is not read anew.
_REMEMBERED, _FRESH = 50, 5.0
_ENDED = (CampaignState.DONE, CampaignState.CANCELLED)
T = TypeVar("T")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@define(eq=False)
class _Summed:
    """The figures of a campaign, None while they are read."""

    #: What they are the figures of.
    status: CampaignStatus
    summary: CampaignSummary | None = None
    read_at: float = 0.0

    def is_old(self, status: CampaignStatus) -> bool:
        """Return whether they are to be read anew; a campaign that is sent has others in each moment."""
        is_other = self.summary is not None and self.status != status
        return is_other and time.monotonic() - self.read_at > _FRESH


@define(eq=False)
class CampaignPages:
    """The handlers."""

    pages: Pages
    _paces: dict[str, Pace] = field(factory=dict, init=False)
    _summaries: dict[str, _Summed] = field(factory=dict, init=False)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        campaign = "/campaigns/{campaign_id}"
        actions: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            "start": self.start,
            "pause": self.pause,
            "go-on": self.go_on,
            "cancel": self.cancel,
            "discard": self.discard,
            "decide": self.decide,
        }
        return [
            Route("/", self.show_all, methods=["GET"]),
            Route(campaign, self.show, methods=["GET"]),
            Route(f"{campaign}/live", self.show_live, methods=["GET"]),
            Route(f"{campaign}/report", self.show_report, methods=["GET"]),
            Route(f"{campaign}/report.csv", self.save_csv, methods=["GET"]),
            Route(f"{campaign}/report.xlsx", self.save_workbook, methods=["GET"]),
            *(Route(f"{campaign}/{name}", handler, methods=["POST"]) for name, handler in actions.items()),
        ]

    async def show_all(self, request: Request) -> Response:
        """Return the list of campaigns, and where a list is dropped."""
        desk = self.pages.desk
        campaigns = await desk.list_campaigns(_CAMPAIGNS)
        return self.pages.render(
            request, "home.html", campaigns=campaigns, drafts=desk.drafts.open(), balance=await desk.balance()
        )

    async def _read(self, request: Request) -> tuple[Campaign, CampaignStatus] | None:
        campaign_id, desk = request.path_params["campaign_id"], self.pages.desk
        try:
            return await desk.ledger.campaign(campaign_id), await desk.counts.status(campaign_id)
        except InvalidInputError:
            return None

    async def show(self, request: Request) -> Response:
        """Return how far a campaign is, and what can be done."""
        found = await self._read(request)
        if found is None:
            return self.pages.missing(request)
        campaign, status = found
        batches = await self.pages.desk.ledger.unknown(campaign.id) if status.unknown else ()
        error = self.pages.desk.errors.get(campaign.id)
        return self.pages.render(
            request,
            "campaign.html",
            campaign=campaign,
            error="" if error is None else describe_error(error),
            batches=batches[:_SHOWN],
            more_batches=max(len(batches) - _SHOWN, 0),
            is_purged=bool(batches) and not any(batch.recipients for batch in batches),
            count_people=_count_people,
            shown_as=_write_shown,
            is_new=is_new(campaign),
            **await self._describe(campaign, status),
        )

    async def show_live(self, request: Request) -> Response:
        """Return the part of the page that changes while a campaign is sent."""
        found = await self._read(request)
        if found is None:
            return Response(status_code=404)
        return self.pages.render_part("live.html", **await self._describe(*found))

    async def _describe(self, campaign: Campaign, status: CampaignStatus) -> dict[str, Any]:
        policy, now = load_policy(campaign.policy), time.time()
        settled = status.recipients - status.queued - status.sending
        pace = self._paces.get(campaign.id, Pace())
        _keep(self._paces, campaign.id, pace)
        pace.note(time.monotonic(), settled)
        rate = pace.rate() if status.state is CampaignState.RUNNING else 0.0
        is_going = status.state is CampaignState.RUNNING
        return {
            "status": status,
            "policy": policy,
            "key": f"{status.state.value} {bool(status.unknown)} {status.reason or ''}",
            "settled": settled,
            "rate": rate,
            "seconds_left": (status.queued + status.sending) / rate if rate else None,
            "opens_at": policy.opens_at(now) if is_going and not policy.is_open(now) else None,
            "cost": policy.cost(status.segments),
            "balance": await self.pages.desk.balance(),
            "is_ended": status.state in _ENDED,
            "over_budget": status.reason == OVER_BUDGET,
            "waits_for_workers": self.pages.desk.ledger.is_shared,
        }

    async def _act(
        self, request: Request, work: Callable[[str], Awaitable[object]], sentence: str = "", target: str = ""
    ) -> Response:
        campaign_id = request.path_params["campaign_id"]
        return await self.pages.act(
            request, target or f"/campaigns/{campaign_id}", partial(work, campaign_id), sentence
        )

    async def start(self, request: Request) -> Response:
        """Begin a campaign that waits in the ledger for its go."""
        count = read_count(typed(request, "count"))
        return await self._act(request, lambda campaign_id: self.pages.desk.start(campaign_id, count))

    async def pause(self, request: Request) -> Response:
        """Pause a campaign."""
        return await self._act(request, self.pages.desk.pause)

    async def go_on(self, request: Request) -> Response:
        """Go on with a campaign, with the limits that were typed."""

        async def work(campaign_id: str) -> None:
            floor, share = typed(request, "balance_floor"), typed(request, "min_delivery")
            await self.pages.desk.go_on(
                campaign_id,
                revision=read_count(typed(request, "revision")),
                budget=read_amount(_("Budget"), typed(request, "budget")),
                balance_floor=read_amount(_("What must stay on the account"), floor),
                min_delivery=read_percent(_("Share that must arrive"), share),
            )

        return await self._act(request, work)

    async def cancel(self, request: Request) -> Response:
        """End a campaign for good."""
        return await self._act(request, self.pages.desk.cancel)

    async def discard(self, request: Request) -> Response:
        """Forget a campaign that was never begun."""
        return await self._act(
            request, self.pages.desk.discard, _("The campaign is forgotten. Nothing of it was sent."), "/"
        )

    async def decide(self, request: Request) -> Response:
        """Decide on the unknown batches that were shown."""
        desk = self.pages.desk
        shown = _read_shown(request.state.form.get("batch", ()))
        is_sent, is_again = (typed(request, "decision") == word for word in ("sent", "again"))
        if not is_sent and not (is_again and typed(request, "sure")):
            sentence = _("Tick the box first: who has the SMS gets a second one. Nothing was changed.")
            self.pages.say(request, sentence, is_error=True)
            return go(f"/campaigns/{request.path_params['campaign_id']}")

        async def work(campaign_id: str) -> None:
            decide = desk.mark_sent if is_sent else desk.send_again
            n = await decide(campaign_id, shown)
            if is_sent:
                sentence = ngettext("Marked as sent: {n} batch.", "Marked as sent: {n} batches.", n)
            else:
                sentence = ngettext(
                    "Queued again: {n} batch. It leaves once the campaign goes on.",
                    "Queued again: {n} batches. They leave once the campaign goes on.",
                    n,
                )
            self.pages.say(request, sentence)

        return await self._act(request, work)

    async def show_report(self, request: Request) -> Response:
        """Return the report as a page; of a large campaign, a page that waits for it first."""
        found = await self._read(request)
        if found is None:
            return self.pages.missing(request)
        campaign, status = found
        known = self._summaries.get(campaign.id)
        if known is None or known.is_old(status):
            known = _Summed(status=status)
            _keep(self._summaries, campaign.id, known)
            self.pages.desk.work_on(partial(self._summarize, campaign.id, known))
        if known.summary is None:
            return self.pages.render(request, "waiting.html", campaign=campaign)
        html = format_html(known.summary)
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": current_language(),
            "Content-Security-Policy": _allow_styles(html),
        }
        return HTMLResponse(html, headers=headers)

    async def _summarize(self, campaign_id: str, summed: _Summed) -> None:
        try:
            summed.summary = await read_summary(self.pages.desk.ledger, campaign_id, now=time.time())
            summed.read_at = time.monotonic()
        finally:
            if summed.summary is None:
                # Whoever waits for it asks again.
                self._summaries.pop(campaign_id, None)

    async def save_csv(self, request: Request) -> Response:
        """Return a line for each recipient, as it is read."""
        found = await self._read(request)
        if found is None:
            return self.pages.missing(request)
        kept = kept_columns(found[0])

        async def write() -> AsyncIterator[str]:
            # Excel takes a CSV for UTF-8 by its mark only.
            yield "\ufeff" + csv_line(csv_columns(kept))
            async for recipient in read_report(self.pages.desk.ledger, found[0].id):
                yield format_csv(recipient)

        headers = _name_file(found[0], "csv")
        return StreamingResponse(write(), media_type="text/csv; charset=utf-8", headers=headers)

    async def save_workbook(self, request: Request) -> Response:
        """Return a spreadsheet with a row for each recipient."""
        found = await self._read(request)
        if found is None:
            return self.pages.missing(request)
        file = BytesIO()
        rows = read_report(self.pages.desk.ledger, found[0].id)
        await write_workbook(file, rows, kept=kept_columns(found[0]))
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return Response(file.getvalue(), media_type=kind, headers=_name_file(found[0], "xlsx"))


def _keep(kept: dict[str, T], campaign_id: str, value: T) -> None:
    """Keep something of a campaign; what was not asked for the longest goes."""
    kept.pop(campaign_id, None)
    kept[campaign_id] = value
    while len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]


def _allow_styles(html: str) -> str:
    """Return a content policy that allows the styles in a page, which stand in it to be kept as one file."""
    styles = (b64encode(sha256(style.encode()).digest()).decode() for style in _STYLE.findall(html))
    hashes = " ".join(f"'sha256-{style}'" for style in styles)
    return f"{CONTENT_POLICY}; style-src {hashes}"


def _name_file(campaign: Campaign, form: str) -> Mapping[str, str]:
    name = f"campaign-{campaign.id}.{form}"
    return {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"}


def _count_people(batch: StoredBatch) -> int:
    return sum(exclusion is None for _number, exclusion in batch.recipients)


def _write_shown(batch: StoredBatch) -> str:
    """Write which attempt of a batch is shown, exactly."""
    return f"{batch.number} {'' if batch.sending_at is None else batch.sending_at.hex()}"


def _read_shown(texts: Any) -> Mapping[int, float | None]:
    shown: dict[int, float | None] = {}
    for text in texts:
        number, _blank, sent_at = text.partition(" ")
        try:
            shown[int(number)] = float.fromhex(sent_at) if sent_at else None
        except (ValueError, OverflowError):
            continue
    return shown
