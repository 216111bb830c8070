"""The pages of a campaign that is being prepared: its list, its text, its limits, its plan, the go."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.desk.drafts import MAX_LIST, Draft
from vavasms.desk.form import CampaignForm, read_count
from vavasms.desk.page import Pages, go, typed
from vavasms.desk.preview import Preview, make_preview
from vavasms.desk.words import describe_error
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.numbers.faults import REPAIRABLE
from vavasms.profile.models import GatewayProfile

#: Characters of a file's name that are shown.
_MAX_NAME = 100
#: Campaigns whose recipients may be left out.
_EXCLUDABLE = 6


@define(eq=False)
class DraftPages:
    """The handlers."""

    pages: Pages

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        draft = "/drafts/{draft_id}"
        return [
            Route("/lists", self.add_list, methods=["POST"]),
            Route(draft, self.show, methods=["GET"]),
            Route(draft, self.save, methods=["POST"]),
            Route(f"{draft}/preview", self.preview, methods=["POST"]),
            Route(f"{draft}/refused.csv", self.save_refused, methods=["GET"]),
            Route(f"{draft}/plan", self.show_plan, methods=["GET"]),
            Route(f"{draft}/test", self.try_out, methods=["POST"]),
            Route(f"{draft}/go", self.give_go, methods=["POST"]),
            Route(f"{draft}/drop", self.drop, methods=["POST"]),
        ]

    def _find(self, request: Request) -> Draft | None:
        return self.pages.desk.drafts.find(request.path_params["draft_id"])

    async def add_list(self, request: Request) -> Response:
        """Take a list: a file as a script sends it, or numbers that were typed."""
        numbers = typed(request, "numbers")
        try:
            if request.state.form:
                draft = self.pages.desk.add_list(_("typed numbers"), numbers.encode())
                return go(f"/drafts/{draft.id}")
            name = unquote(request.headers.get("x-file-name", ""))[:_MAX_NAME]
            data = await self.pages.read_upload(request, MAX_LIST)
            draft = self.pages.desk.add_list(name or _("list"), data)
        except VavaSMSError as error:
            if not request.state.form:
                return JSONResponse({"error": describe_error(error)}, 400)
            self.pages.say(request, describe_error(error), is_error=True)
            return go("/")
        return JSONResponse({"location": f"/drafts/{draft.id}"})

    async def show(self, request: Request) -> Response:
        """Return the page on which a campaign is written."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        if draft.campaign_id is not None:
            return go(f"/campaigns/{draft.campaign_id}")
        desk = self.pages.desk
        return self.pages.render(
            request,
            "draft.html",
            draft=draft,
            form=draft.form,
            repairable=_count_repairable(draft.rows),
            campaigns=await desk.list_campaigns(_EXCLUDABLE),
            **await self._look_ahead(draft, draft.form),
        )

    async def save(self, request: Request) -> Response:
        """Take what was typed; then to the plan, or back to the page."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        if draft.is_going or draft.campaign_id is not None:
            return go(f"/drafts/{draft.id}/plan")
        form, desk = CampaignForm.read(request.state.form), self.pages.desk
        if typed(request, "do") == "fold":
            # Columns stay as they are: their names have to be found in the list.
            form = CampaignForm.read({**request.state.form, "fold": ["on"]})
        desk.change(draft, form)
        if typed(request, "do") != "plan":
            return go(f"/drafts/{draft.id}")
        try:
            form.policy(now=time.time(), profile=desk.profile)
        except VavaSMSError as error:
            self.pages.say(request, describe_error(error), is_error=True)
            return go(f"/drafts/{draft.id}")
        desk.plan(draft)
        return go(f"/drafts/{draft.id}/plan")

    async def preview(self, request: Request) -> Response:
        """Return how the text that is being typed looks on the first phones; nothing is kept."""
        draft = self._find(request)
        if draft is None:
            return Response(status_code=404)
        form = CampaignForm.read(request.state.form)
        ahead = await self._look_ahead(draft, form)
        return self.pages.render_part("preview.html", draft=draft, form=form, **ahead)

    async def _look_ahead(self, draft: Draft, form: CampaignForm) -> dict[str, Any]:
        """Return the text on the first phones and about what it costs, or why it cannot be sent."""
        preview: Preview | None = None
        objection = ""
        if draft.head is not None and form.message.strip():
            url = self.pages.desk.opt_out_url
            try:
                preview = make_preview(draft.head, form.message, fold=form.fold, opt_out_url=url)
            except VavaSMSError as error:
                objection = describe_error(error)
        recipients = 0 if draft.rows is None else draft.rows.recipients
        segments = 0 if preview is None else preview.estimate(recipients)
        price = _read_price(form, self.pages.desk.profile)
        return {
            "preview": preview,
            "objection": objection,
            "segments": segments,
            "cost": None if price is None else price * segments,
            "balance": await self.pages.desk.balance(),
        }

    async def save_refused(self, request: Request) -> Response:
        """Return the rows that are left out, as a file to mend."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        headers = {"Content-Disposition": "attachment; filename=refused.csv", "Cache-Control": "no-store"}
        return Response(draft.refused, media_type="text/csv; charset=utf-8", headers=headers)

    async def show_plan(self, request: Request) -> Response:
        """Return what the campaign would do and cost, with the go."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        if draft.campaign_id is not None:
            return go(f"/campaigns/{draft.campaign_id}")
        if draft.plan is None and draft.error is None and not draft.is_busy:
            return go(f"/drafts/{draft.id}")
        policy = _read_policy(draft.form, self.pages.desk.profile)
        return self.pages.render(
            request,
            "plan.html",
            draft=draft,
            plan=draft.plan,
            policy=policy,
            sender=draft.form.sender_id or self.pages.desk.client.account.sender_id or "",
            opens_at=None if policy is None else _find_opening(policy),
        )

    async def try_out(self, request: Request) -> Response:
        """Send the first text to the number that was typed."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        number = typed(request, "number")
        return await self.pages.act(
            request,
            f"/drafts/{draft.id}/plan#test",
            lambda: self.pages.desk.try_out(draft, number),
        )

    async def give_go(self, request: Request) -> Response:
        """Begin the campaign where the number was typed that it is for."""
        draft = self._find(request)
        if draft is None:
            return self.pages.missing(request)
        try:
            self.pages.desk.give_go(draft, read_count(typed(request, "count")), typed(request, "plan"))
        except VavaSMSError as error:
            self.pages.say(request, describe_error(error), is_error=True)
        return go(f"/drafts/{draft.id}/plan")

    async def drop(self, request: Request) -> Response:
        """Forget a campaign that is being prepared."""
        draft = self._find(request)
        if draft is not None and not draft.is_going:
            self.pages.desk.drafts.drop(draft)
            self.pages.say(request, _("The draft is forgotten. Nothing was sent."))
        return go("/")


def _count_repairable(rows: CampaignPlan | None) -> int:
    """Count the numbers that are refused, and of which a repair may make right ones."""
    refusals = {} if rows is None else rows.refusals
    return sum(refusals[fault].count for fault in REPAIRABLE if fault in refusals)


def _read_price(form: CampaignForm, profile: GatewayProfile) -> Decimal | None:
    try:
        return form.price(profile)
    except VavaSMSError:
        return None


def _read_policy(form: CampaignForm, profile: GatewayProfile) -> Policy | None:
    try:
        return form.policy(now=time.time(), profile=profile)
    except VavaSMSError:
        return None


def _find_opening(policy: Policy) -> float | None:
    """Return when messages may leave; None where they may at once."""
    now = time.time()
    return None if policy.is_open(now) else policy.opens_at(now)
