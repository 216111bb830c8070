"""Who is let in: this machine's browser, by the printed link, from the desk's own pages, with its token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.campaigns.staging import connect
from tests.desk.visitor import ORIGIN, PORT, Visitor, visiting, write_list
from vavasms.desk.access import Sessions
from vavasms.desk.app import create_app
from vavasms.desk.desk import Desk
from vavasms.desk.page import Pages
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: Of each kind one: a page, a part of one, a file, and an action.
PLACES = ("/", "/optouts", "/sends", "/drafts/x", "/drafts/x/plan", "/drafts/x/refused.csv", "/campaigns/x")


@pytest.fixture
async def visitor(sandbox: SandboxServer) -> AsyncIterator[Visitor]:
    async with MemoryLedger() as ledger, visiting(sandbox, ledger) as visitor:
        yield visitor


def stranger(visitor: Visitor) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=visitor.http._transport, base_url=ORIGIN)


@pytest.mark.parametrize("path", PLACES)
async def test_without_the_cookie_there_is_nothing_to_see(visitor: Visitor, path: str) -> None:
    for cookies in (
        {},
        {f"vavasms_desk_{PORT}": "wrong"},
        {"vavasms_desk_1": next(iter(visitor.http.cookies.values()))},
    ):
        client = stranger(visitor)
        client.cookies.update(cookies)
        reply = await client.get(path)
        assert reply.status_code == 401
        assert "Open the link" in reply.text
        assert visitor.token not in reply.text


async def test_the_link_opens_once(visitor: Visitor) -> None:
    token = visitor.sessions.entry_token
    first, second = stranger(visitor), stranger(visitor)
    reply = await first.get("/open", params={"token": token})
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await first.get("/")).status_code == 200
    assert (await second.get("/open", params={"token": token})).status_code == 403
    assert (await second.get("/")).status_code == 401
    assert visitor.sessions.entry_token != token
    # Who is in stays in.
    assert (await visitor.http.get("/")).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_another_token_opens_nothing(visitor: Visitor, token: str) -> None:
    reply = await stranger(visitor).get("/open", params={"token": token})
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:80",
        f"127.0.0.1.evil.example:{PORT}",
        "",
        f"[::1]:{PORT}",
    ],
)
async def test_a_rebound_name_is_refused(visitor: Visitor, host: str) -> None:
    for path in ("/", "/open", "/static/desk.css"):
        reply = await visitor.http.get(path, headers={"Host": host})
        assert reply.status_code == 403
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        f"https://127.0.0.1:{PORT}",
        "http://127.0.0.1",
        f"http://localhost:{PORT}",
        None,
    ],
)
async def test_a_page_of_another_site_is_refused(visitor: Visitor, origin: str | None) -> None:
    headers = FORM | ({} if origin is None else {"Origin": origin})
    reply = await visitor.http.post(
        "/optouts", content=f"token={visitor.token}&number=0700000001&do=add", headers=headers
    )
    assert reply.status_code == 403
    assert not await visitor.desk.ledger.opt_outs(limit=1)


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_form_without_its_token_is_refused(visitor: Visitor, token: str) -> None:
    own, visitor.token = visitor.token, token
    reply = await visitor.post("/optouts", number="0700000001", do="add")
    assert reply.status_code == 403
    assert (
        await visitor.http.post("/lists", content=write_list(["0700000001"]), headers={"Origin": ORIGIN})
    ).status_code == 403
    assert not await visitor.desk.ledger.opt_outs(limit=1)
    visitor.token = own
    assert "is on the list" in await visitor.press("/optouts", number="0700000001", do="add")


async def test_the_token_of_another_browser_is_no_good(visitor: Visitor) -> None:
    other = Visitor(stranger(visitor), visitor.desk, visitor.sessions)
    await other.enter()
    assert other.token != visitor.token
    other.token = visitor.token
    assert (await other.post("/optouts", number="0700000001", do="add")).status_code == 403


async def test_a_form_is_bounded(visitor: Visitor) -> None:
    assert (await visitor.post("/lists", numbers="0" * (1 << 20))).status_code == 413
    assert (await visitor.post("/lists", numbers="0700000001")).status_code == 303


async def test_a_list_is_bounded(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.desk.draft_pages.MAX_LIST", 1000)
    reply = await visitor.upload(b"0" * 1001)
    assert reply.status_code == 400
    assert "larger than" in reply.json()["error"]
    assert visitor.desk.drafts.open() == []


@pytest.mark.parametrize("path", ["/", "/open", "/static/desk.js", "/nowhere"])
async def test_a_browser_is_told_what_pages_may_do(visitor: Visitor, path: str) -> None:
    headers = (await visitor.http.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    if not path.startswith("/static"):
        assert headers["cache-control"] == "no-store"


async def test_no_page_has_a_number_in_an_address(visitor: Visitor) -> None:
    await visitor.press("/optouts", number="0700000017", do="add")
    reply = await visitor.post("/optouts", number="0700000017", do="search")
    assert "+2250700000017" in reply.text
    assert "location" not in reply.headers
    links = [part.partition('"')[0] for part in reply.text.split('href="')[1:]]
    assert not any("0700000017" in link for link in links)


@pytest.mark.parametrize(
    "path", ["/drafts/none", "/drafts/none/plan", "/campaigns/none", "/campaigns/none/report", "/elsewhere"]
)
async def test_what_is_not_there_is_said(visitor: Visitor, path: str) -> None:
    assert "nothing at this address" in await visitor.see(path, 404)


@pytest.mark.parametrize(
    ("path", "words"), [("/?lang=fr", "Nouvelle campagne"), ("/?lang=en", "A new campaign")]
)
async def test_a_page_speaks_the_language_that_was_chosen_and_keeps_to_it(
    visitor: Visitor, path: str, words: str
) -> None:
    assert words in await visitor.see(path)
    assert words in await visitor.see("/")


async def test_a_browser_leaves_out_the_port_of_http(sandbox: SandboxServer) -> None:
    async with MemoryLedger() as ledger, connect(sandbox, ledger=ledger, trust_env=False) as sms:
        desk, sessions = Desk(client=sms, ledger=ledger), Sessions()
        app = create_app(Pages(desk=desk, ledger_name=""), sessions, port=80)
        transport = httpx.ASGITransport(app=app)
        async with (
            desk.opened(),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser,
        ):
            assert (await browser.get("/open", params={"token": sessions.entry_token})).status_code == 200
            assert (await browser.get("/")).status_code == 200
            assert (await browser.get("/", headers={"Host": "evil.example"})).status_code == 403
