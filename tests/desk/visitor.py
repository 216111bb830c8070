"""A browser without a screen: it keeps its cookie, finds the token of a form, and follows where it is sent."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx
from attrs import define, field

from tests.campaigns.staging import connect
from vavasms.desk.access import Sessions
from vavasms.desk.app import create_app
from vavasms.desk.desk import Desk
from vavasms.desk.page import Pages
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import SandboxServer

PORT = 8426
ORIGIN = f"http://127.0.0.1:{PORT}"
_TOKEN = re.compile(r'data-token="([0-9a-f]+)"')
Typed = Mapping[str, str | Sequence[str]]


@define(eq=False)
class Visitor:
    """A browser that was let in."""

    http: httpx.AsyncClient
    desk: Desk
    sessions: Sessions
    token: str = field(default="", init=False)

    async def enter(self) -> None:
        """Come by the link."""
        reply = await self.http.get("/open", params={"token": self.sessions.entry_token})
        assert reply.status_code == 200
        await self.see("/")

    async def see(self, path: str, status: int = 200) -> str:
        """Return the words of a page, following redirects; tags are gone."""
        reply = await self.http.get(path, follow_redirects=True)
        assert reply.status_code == status, reply.text
        return self._read(reply)

    def _read(self, reply: httpx.Response) -> str:
        found = _TOKEN.search(reply.text)
        if found:
            self.token = found[1]
        text = re.sub(r"<[^>]+>", " ", reply.text)
        return " ".join(html.unescape(text).split())

    async def post(self, path: str, **typed: str | Sequence[str]) -> httpx.Response:
        """Send a form with its token, as it stands."""
        return await self.http.post(
            path,
            content=urlencode({"token": self.token, **typed}, doseq=True),
            headers={"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"},
        )

    async def press(self, path: str, **typed: str | Sequence[str]) -> str:
        """Send a form, and return the words of the page that comes of it."""
        reply = await self.post(path, **typed)
        if reply.is_redirect:
            return await self.see(reply.headers["location"].partition("#")[0])
        return self._read(reply)

    async def upload(self, data: bytes, path: str = "/lists", name: str = "contacts.csv") -> httpx.Response:
        """Send a file as the script does."""
        headers = {"Origin": ORIGIN, "X-Desk-Token": self.token, "X-File-Name": name}
        headers["Content-Type"] = "application/octet-stream"
        return await self.http.post(path, content=data, headers=headers)

    async def drop(self, data: bytes) -> str:
        """Drop a list, and return the path of its draft once it is read."""
        reply = await self.upload(data)
        assert reply.status_code == 200, reply.text
        path: str = reply.json()["location"]
        await self.idle(path)
        return path

    async def idle(self, path: str) -> None:
        """Wait until nothing of a draft is being worked out."""
        draft = self.desk.drafts.find(path.split("/")[2])
        assert draft is not None
        with anyio.fail_after(30):
            while draft.is_busy or draft.is_going:
                await anyio.sleep(0.01)

    async def plan(self, path: str, **typed: str | Sequence[str]) -> str:
        """Type a form and return the words of its plan."""
        await self.post(path, do="plan", **typed)
        await self.idle(path)
        return await self.see(f"{path}/plan")

    async def go(self, path: str, count: str | None = None) -> str:
        """Type the number for a plan that was seen; return the id of the campaign, empty where there is none."""
        draft = self.desk.drafts.find(path.split("/")[2])
        assert draft is not None
        assert draft.plan is not None
        typed = str(draft.plan.recipients) if count is None else count
        await self.press(f"{path}/go", count=typed, plan=self.plan_hash(path))
        await self.idle(path)
        return draft.campaign_id or ""

    def plan_hash(self, path: str) -> str:
        """Return what the form of the go says of the plan that was seen."""
        draft = self.desk.drafts.find(path.split("/")[2])
        return "" if draft is None else draft.seen()

    async def settled(self, campaign_id: str) -> CampaignStatus:
        """Wait until nobody sends a campaign any more."""
        with anyio.fail_after(60):
            while True:
                status = await self.desk.ledger.status(campaign_id)
                if status.state is not CampaignState.RUNNING and not status.sending:
                    return status
                await anyio.sleep(0.02)


@asynccontextmanager
async def visiting(sandbox: SandboxServer, ledger: Ledger, **options: Any) -> AsyncIterator[Visitor]:
    """Open a desk, and enter it."""
    async with connect(sandbox, ledger=ledger, trust_env=False, **options) as sms:
        desk, sessions = Desk(client=sms, ledger=ledger), Sessions()
        app = create_app(Pages(desk=desk, ledger_name="ledger.db"), sessions, port=PORT)
        transport = httpx.ASGITransport(app=app)
        async with (
            desk.opened(),
            httpx.AsyncClient(
                transport=transport, base_url=ORIGIN, headers={"Accept-Language": "en"}
            ) as http,
        ):
            visitor = Visitor(http, desk, sessions)
            await visitor.enter()
            yield visitor


def write_list(numbers: Sequence[str], *, names: Sequence[str] = ("Awa", "Koffi", "Aïcha")) -> bytes:
    """Write a list with a column to be filled in."""
    rows = (f"{names[index % len(names)]};{number}" for index, number in enumerate(numbers))
    return "\n".join(["Prénom;Téléphone", *rows]).encode()
