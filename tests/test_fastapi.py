"""In FastAPI: one client of the application's life as a dependency, and inbound SMS as a router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.inbound.posting import TOKEN
from tests.uvicorn_server import access_log_kept, serving
from vavasms.client import AsyncVavaSMS
from vavasms.errors import ConfigurationError, VavaSMSError
from vavasms.fastapi import Sms, get_sms, inbound_router, sms_lifespan
from vavasms.models import InboundMessage
from vavasms.sandbox import SandboxServer

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}


@pytest.fixture
def environment(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.gateway.client_settings(sandbox.url).items():
        monkeypatch.setenv(name, value)


def make_shop(**options: Any) -> FastAPI:
    shop = FastAPI(**options)

    @shop.post("/orders/{number}/shipped")
    async def shipped(number: int, sms: Sms) -> dict[str, object]:
        lot = await sms.send(
            "+2250700000001", f"Order {number} is on its way", idempotency_key=f"order-{number}"
        )
        return {"replayed": lot.replayed}

    return shop


@pytest.mark.usefixtures("environment")
def test_a_view_that_is_posted_twice_sends_once_and_the_client_ends_with_the_application(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    made: list[AsyncVavaSMS] = []

    def make() -> AsyncVavaSMS:
        made.append(AsyncVavaSMS(ledger=tmp_path / "sms.db"))
        return made[-1]

    with serving(make_shop(lifespan=sms_lifespan(make))) as shop:
        answers = [httpx.post(f"{shop}/orders/42/shipped").json() for _ in range(2)]
        assert "sms" not in httpx.get(f"{shop}/openapi.json").text
    assert answers == [{"replayed": False}, {"replayed": True}]
    assert [entry.message for entry in sandbox.gateway.journal.entries] == ["Order 42 is on its way"]
    (client,) = made
    assert client._transport._closed


@pytest.mark.usefixtures("environment")
def test_it_stands_in_a_lifespan_of_ones_own() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with sms_lifespan()(app) as state:
            yield {**state, "shop": "Awa"}

    shop = make_shop(lifespan=lifespan)

    @shop.get("/")
    async def look(request: Request, sms: Sms) -> list[str]:
        return [request.state.shop, (await sms.balance()).currency]

    with serving(shop) as origin:
        assert httpx.get(origin).json() == ["Awa", "XOF"]


@pytest.mark.usefixtures("environment")
def test_in_starlette_a_request_has_it() -> None:
    async def credit(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await get_sms(request).balance()).currency)

    with serving(Starlette(routes=[Route("/", credit)], lifespan=sms_lifespan())) as origin:
        assert httpx.get(origin).text == "XOF"


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_without_the_lifespan_one_sentence_says_what_to_do(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan=sms_lifespan\(\)\)") as raised:
        get_sms(HTTPConnection({"type": kind, "headers": [], "state": {"shop": "Awa"}}))
    assert raised.value.error_code == "config.no_lifespan"


@pytest.mark.anyio
async def test_a_wrong_setting_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAVASMS_USERNAME", raising=False)
    shop = make_shop(lifespan=sms_lifespan())
    with pytest.raises(ConfigurationError, match="VAVASMS_USERNAME"):
        async with shop.router.lifespan_context(shop):
            pass


def test_inbound_sms_come_by_a_router_that_shows_no_token(tmp_path: Path) -> None:
    inbox: list[InboundMessage] = []
    app = FastAPI()
    app.include_router(inbound_router(inbox.append, token=TOKEN, seen=tmp_path / "seen.db"), prefix="/sms")
    with access_log_kept() as log, serving(app) as origin, httpx.Client(base_url=f"{origin}/sms/") as http:
        answers = [
            http.post(TOKEN, data=FIELDS),
            http.post(TOKEN, data=FIELDS),
            http.get(TOKEN),
            http.put(TOKEN),
            http.post(f"{TOKEN}x", data=FIELDS),
            http.post(f"more/{TOKEN}x", data=FIELDS),
            http.post(TOKEN, content=b"x" * 65_537),
        ]
        document = httpx.get(f"{origin}/openapi.json").json()
    assert [answer.status_code for answer in answers] == [200, 200, 405, 405, 404, 404, 413]
    assert [message.text for message in inbox] == ["Bonjour"]
    assert len(log.getvalue().splitlines()) == 8
    assert TOKEN not in log.getvalue()
    (path, methods), *others = document["paths"].items()
    assert (path, list(methods), others) == ("/sms/{token}", ["post"], [])
    body = methods["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert list(body["properties"]) == ["message_id", "form", "content", "sms_date"]
    assert TOKEN not in str(document)


def test_a_token_with_something_behind_it_is_in_no_log() -> None:
    inbox: list[InboundMessage] = []
    app = FastAPI()
    app.include_router(inbound_router(inbox.append, token=TOKEN), prefix="/sms")
    with access_log_kept() as log, serving(app) as origin:
        for end in ("/", "//", "/x", "%2Fx", "/x/y?a=b"):
            assert httpx.post(f"{origin}/sms/{TOKEN}{end}", data=FIELDS).status_code == 404
    assert log.getvalue().count("/sms/hidden") == 5
    assert TOKEN not in log.getvalue()
    assert inbox == []


@pytest.mark.anyio
async def test_behind_a_proxy_that_cuts_its_prefix_off_it_does_the_same() -> None:
    inbox: list[InboundMessage] = []
    app = FastAPI()
    app.include_router(inbound_router(inbox.append, token=TOKEN), prefix="/sms")
    transport = httpx.ASGITransport(app=app, root_path="/api")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        for number, path in enumerate((f"/sms/{TOKEN}", f"/api/sms/{TOKEN}")):
            answer = await http.post(path, data={**FIELDS, "message_id": f"SM-{number}"})
            assert answer.status_code == 200
    assert len(inbox) == 2


@pytest.mark.anyio
async def test_a_store_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    app = FastAPI()
    (tmp_path / "seen.db").mkdir()
    app.include_router(inbound_router(print, token=TOKEN, seen=tmp_path / "seen.db"))
    with pytest.raises(VavaSMSError):
        async with app.router.lifespan_context(app):
            pass
