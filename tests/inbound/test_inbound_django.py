"""In Django, by ASGI and by WSGI."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.to_thread import run_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import clear_url_caches, path, set_urlconf

from tests.django_settings import configure_django
from tests.inbound.posting import TOKEN
from vavasms.inbound.django import inbound_view
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.inbound.seen.portal import PortalSeenStore
from vavasms.inbound.seen.sqlite import SqliteSeenStore
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.models import InboundMessage

pytestmark = pytest.mark.anyio

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}
Client = Callable[..., Any]


@pytest.fixture
def anyio_backend() -> str:
    """asgiref is for asyncio."""
    return "asyncio"


class Urls:
    """A module of URLs, as Django wants it."""

    def __init__(self, view: Callable[..., Any]) -> None:
        self.urlpatterns = [path("sms/<str:token>", view)]


@pytest.fixture(params=["asgi", "wsgi"])
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[..., Any]], Client]]:
    """Yield what serves a view and gives a client for it."""
    configure_django()
    views: list[Any] = []

    def start(view: Callable[..., Any]) -> Client:
        views.append(view)
        settings.ROOT_URLCONF = Urls(view)
        clear_url_caches()
        set_urlconf(None)
        return asgi if request.param == "asgi" else wsgi

    async def asgi(method: str, url: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=get_asgi_application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.request(method, url, **options)

    async def wsgi(method: str, url: str, **options: Any) -> httpx.Response:
        def call() -> httpx.Response:
            transport = httpx.WSGITransport(app=get_wsgi_application())
            with httpx.Client(transport=transport, base_url="http://test") as http:
                answer = http.request(method, url, **options)
            answer.extensions["thread"] = threading.current_thread()
            return answer

        return await run_sync(call)

    yield start
    settings.ROOT_URLCONF = None
    for each in views * 2:
        each.close()


async def test_a_view_does_the_same(serve: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    inbox: list[InboundMessage] = []
    client = serve(inbound_view(inbox.append, token=TOKEN, seen=tmp_path / "seen.db"))
    url = f"/sms/{TOKEN}"
    answers = [
        await client("POST", url, data=FIELDS),
        await client("POST", url, data=FIELDS),
        await client("POST", url, json={**FIELDS, "message_id": "SM-2"}),
        await client("GET", url),
        await client("POST", url + "x", data=FIELDS),
        await client("GET", url + "x"),
        await client("POST", url, content=b"x" * 65_537),
        await client("POST", url, content=b""),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 405, 404, 404, 413, 400]
    assert answers[3].headers["allow"] == "POST"
    assert answers[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert [each.message_id for each in inbox] == ["SM-1", "SM-2"]
    logged = "\n".join(each.getMessage() for each in caplog.records if not each.name.startswith("http"))
    assert TOKEN not in logged
    assert "Not Found: /hidden" in logged


async def test_a_plain_handler_runs_where_django_runs_plain_views(serve: Any) -> None:
    threads: list[threading.Thread] = []
    client = serve(inbound_view(lambda message: threads.append(threading.current_thread()), token=TOKEN))
    answer = await client("POST", f"/sms/{TOKEN}", data=FIELDS)
    assert answer.status_code == 200
    assert threads != [threading.current_thread()]
    if "thread" in answer.extensions:
        # WSGI: the request's own.
        assert threads == [answer.extensions["thread"]]


async def test_async_handlers_and_those_that_give_an_awaitable_are_awaited(serve: Any) -> None:
    inbox: list[InboundMessage] = []

    async def handle(message: InboundMessage) -> None:
        inbox.append(message)

    for no, each in enumerate((handle, lambda message: handle(message)), 1):
        client = serve(inbound_view(each, token=TOKEN))
        assert (await client("POST", f"/sms/{TOKEN}", data=FIELDS)).status_code == 200
        assert len(inbox) == no


async def test_a_handler_that_raises_is_500_and_handled_anew(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []

    def handle(message: InboundMessage) -> None:
        tried.append(message.text)
        if len(tried) == 1:
            raise ValueError(message.text)

    client = serve(inbound_view(handle, token=TOKEN))
    assert [(await client("POST", f"/sms/{TOKEN}", data=FIELDS)).status_code for _ in range(3)] == [
        500,
        200,
        200,
    ]
    assert len(tried) == 2
    assert "Bonjour" not in caplog.text


async def test_only_allowed_addresses_get_in(serve: Any) -> None:
    client = serve(inbound_view(print, token=TOKEN, allow=["198.51.100.9"], trusted_proxies=["127.0.0.1"]))
    forged = {"x-forwarded-for": "198.51.100.9, 192.0.2.1"}
    right = {"x-forwarded-for": "192.0.2.1, 198.51.100.9"}
    statuses = [
        (await client("POST", f"/sms/{TOKEN}", data=FIELDS, headers=each)).status_code
        for each in ({}, forged, right)
    ]
    assert statuses == [404, 404, 200]


async def test_a_proxy_that_calls_for_nobody_is_judged_by_its_own_address(serve: Any) -> None:
    client = serve(inbound_view(print, token=TOKEN, allow=["127.0.0.1"], trusted_proxies=["127.0.0.1"]))
    assert (await client("POST", f"/sms/{TOKEN}", data=FIELDS, headers={})).status_code == 200


async def test_a_store_of_the_callers_own_is_used(serve: Any) -> None:
    store = MemorySeenStore()
    client = serve(inbound_view(print, token=TOKEN, seen=store))
    assert (await client("POST", f"/sms/{TOKEN}", data=FIELDS)).status_code == 200
    assert (await store.claim("SM-1", b"", "me")).value == "conflict"


async def test_opt_outs_may_open_their_ledger_within_the_call(serve: Any, tmp_path: Path) -> None:
    class OptOuts:
        async def add_opt_outs(self, recipients: Any, *, source: str, now: float) -> int:
            async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
                return await ledger.add_opt_outs(recipients, source=source, now=now)

    client = serve(inbound_view(print, token=TOKEN, opt_outs=OptOuts()))
    assert (await client("POST", f"/sms/{TOKEN}", data={**FIELDS, "content": "STOP"})).status_code == 200
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        assert await ledger.opted_out() == {2250700000101}


async def test_a_body_that_breaks_off_is_refused(serve: Any) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError

    inbox: list[InboundMessage] = []
    serve(inbound_view(inbox.append, token=TOKEN))
    environ = {
        "REQUEST_METHOD": "POST",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "PATH_INFO": f"/sms/{TOKEN}",
        "CONTENT_LENGTH": "100",
        "wsgi.input": Broken(),
    }
    started: list[Any] = []
    await run_sync(get_wsgi_application(), environ, lambda *start: started.append(start))
    assert (started[0][0], inbox) == ("400 Bad Request", [])


async def test_a_store_in_the_portal_does_what_the_one_behind_it_does(tmp_path: Path) -> None:
    store = PortalSeenStore(tmp_path / "seen.db")
    assert (await store.claim("a", b"", "me")).value == "claimed"
    await store.renew("a", "me")
    await store.release("a", "me")
    await store.commit("a", b"", "me")
    await store.aclose()
    async with await SqliteSeenStore.open(tmp_path / "seen.db") as behind:
        assert (await behind.claim("a", b"", "me")).value == "handled"
