"""Mounted in Starlette and in FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tests.inbound.posting import TOKEN
from vavasms.inbound.asgi import InboundApp
from vavasms.models import InboundMessage

pytestmark = pytest.mark.anyio

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}


def in_starlette(app: InboundApp) -> ASGIApp:
    return Starlette(routes=[Mount("/sms", app)])


def in_fastapi(app: InboundApp) -> ASGIApp:
    api = FastAPI()

    @api.get("/sms-status")
    async def status() -> str:
        return "fine"

    api.mount("/sms", app)
    return api


def behind_a_proxy(app: InboundApp) -> ASGIApp:
    """Which cuts its prefix off, and of which only the server was told."""
    return FastAPI(routes=[Mount("/sms", app)])


@pytest.mark.parametrize("mount", [in_starlette, in_fastapi, behind_a_proxy])
async def test_mounted_it_does_the_same(mount: Callable[[InboundApp], ASGIApp], tmp_path: Path) -> None:
    inbox: list[InboundMessage] = []
    inbound = InboundApp(inbox.append, token=TOKEN, seen=tmp_path / "seen.db")
    app = mount(inbound)
    transport = httpx.ASGITransport(app=app, root_path="/api" if mount is behind_a_proxy else "")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answers = [
            await http.post(f"/sms/{TOKEN}", data=FIELDS),
            await http.post(f"/sms/{TOKEN}", data=FIELDS),
            await http.get(f"/sms/{TOKEN}"),
            await http.post(f"/sms/{TOKEN}x", data=FIELDS),
            await http.post(f"/sms/{TOKEN}", content=b"x" * 65_537),
            await http.post(f"/{TOKEN}", data=FIELDS),
        ]
    assert [each.status_code for each in answers] == [200, 200, 405, 404, 413, 404]
    assert [each.text for each in inbox] == ["Bonjour"]
    await inbound.aclose()
