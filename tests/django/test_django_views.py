"""The URLs to include, by WSGI and ASGI: inbound SMS, stops, the opt-out page, and what is announced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections
from django.urls import clear_url_caches, include, path, set_urlconf

from tests.django.conftest import Configure
from tests.inbound.posting import TOKEN
from vavasms.django.ledger import run_on_ledger
from vavasms.django.signals import inbound, opted_out
from vavasms.inbound.django import inbound_view
from vavasms.inbound.optout.django import optout_view
from vavasms.ledger.base import Ledger
from vavasms.models import InboundMessage
from vavasms.numbers import Msisdn

PERSON = Msisdn("2250700000101")
FIELDS = {"message_id": "SM-1", "form": PERSON.e164, "content": "Bonjour"}
Call = Callable[..., httpx.Response]


class Urls:
    """A module of URLs, as Django wants it."""

    urlpatterns = (path("sms/", include("vavasms.django.urls")),)


def _by_asgi(method: str, url: str, **options: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=get_asgi_application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.request(method, url, **options)

    return asyncio.run(call())


def _by_wsgi(method: str, url: str, **options: Any) -> httpx.Response:
    transport = httpx.WSGITransport(app=get_wsgi_application())
    with httpx.Client(transport=transport, base_url="http://test") as http:
        return http.request(method, url, **options)


@pytest.fixture(params=[_by_asgi, _by_wsgi])
def call(request: pytest.FixtureRequest, configure: Configure, tmp_path: Path) -> Iterator[Call]:
    settings.ROOT_URLCONF = Urls
    clear_url_caches()
    set_urlconf(None)
    configure(
        LEDGER=tmp_path / "sms.db", INBOUND_TOKEN=TOKEN, STOP_WORDS=["BASTA"], OPT_OUT_NAME="Boutique Awa"
    )
    yield request.param
    settings.ROOT_URLCONF = None


@pytest.fixture
def announced() -> Iterator[list[tuple[tuple[Msisdn, ...], str]]]:
    calls: list[tuple[tuple[Msisdn, ...], str]] = []

    def hear(recipients: tuple[Msisdn, ...], source: str, **_values: Any) -> None:
        # Where Django's database may be used.
        connection.ensure_connection()
        calls.append((recipients, source))

    opted_out.connect(hear)
    yield calls
    opted_out.disconnect(hear)


@pytest.fixture
def inbox() -> Iterator[list[InboundMessage]]:
    messages: list[InboundMessage] = []

    def hear(message: InboundMessage, **_values: Any) -> None:
        connection.ensure_connection()
        messages.append(message)

    inbound.connect(hear)
    yield messages
    inbound.disconnect(hear)


def ask(work: Callable[[Ledger], Awaitable[Any]]) -> Any:
    return run_on_ledger(work)


def test_an_inbound_sms_is_announced_once_and_no_log_has_the_token(
    call: Call, inbox: list[InboundMessage], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"/sms/inbound/{TOKEN}"
    answers = [
        call("POST", url, data=FIELDS),
        call("POST", url, data=FIELDS),
        call("GET", url),
        call("POST", url + "x", data=FIELDS),
        call("POST", url + "/", data=FIELDS),
        call("POST", url + "/more", data=FIELDS),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 405, 404, 404, 404]
    assert [message.text for message in inbox] == ["Bonjour"]
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert TOKEN not in "\n".join(ours)
    # Beside the ledger, for all processes of this machine.
    assert (tmp_path / "sms-inbound.db").exists()


def test_a_receiver_that_raises_has_it_posted_again_and_its_words_stay_out_of_the_log(
    call: Call, inbox: list[InboundMessage], caplog: pytest.LogCaptureFixture
) -> None:
    problems = [RuntimeError(PERSON)]

    def fail(**_values: Any) -> None:
        if problems:
            raise problems.pop()

    inbound.connect(fail)
    try:
        statuses = [call("POST", f"/sms/inbound/{TOKEN}", data=FIELDS).status_code for _ in range(3)]
    finally:
        inbound.disconnect(fail)
    assert statuses == [500, 200, 200]
    assert len(inbox) == 2
    assert "signal inbound failed (RuntimeError" in caplog.text
    assert PERSON not in caplog.text


def test_a_stop_goes_on_the_list_and_a_start_takes_it_off(call: Call, announced: list[Any]) -> None:
    def post(number: int, text: str) -> int:
        fields = {**FIELDS, "message_id": f"SM-{number}", "content": text}
        return call("POST", f"/sms/inbound/{TOKEN}", data=fields).status_code

    assert (post(1, "Basta"), ask(lambda ledger: ledger.opted_out())) == (200, {int(PERSON)})
    assert announced == [((PERSON,), "inbound")]
    assert (post(2, "START"), ask(lambda ledger: ledger.opted_out())) == (200, frozenset())


def test_a_press_on_the_page_is_announced(
    call: Call, announced: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = ask(lambda ledger: ledger.optout_codes.issue([PERSON]))[PERSON]
    url = f"/sms/d/{code}"
    page = call("GET", url)
    assert (page.status_code, "Boutique Awa" in page.text, announced) == (200, True, [])
    assert call("POST", url, data={"choice": "stop"}).status_code == 200
    assert ask(lambda ledger: ledger.opted_out()) == {int(PERSON)}
    assert announced == [((PERSON,), "link")]
    assert call("POST", url, data={"choice": "start"}).status_code == 200
    assert ask(lambda ledger: ledger.opted_out()) == frozenset()
    assert call("GET", f"{url}/more").status_code == 404
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert code not in "\n".join(ours)


def test_without_a_token_or_a_ledger_nothing_is_there(call: Call, configure: Configure) -> None:
    configure()
    assert call("POST", f"/sms/inbound/{TOKEN}", data=FIELDS).status_code == 404
    assert call("GET", "/sms/d/abcdefghij").status_code == 404


def test_a_project_with_atomic_requests_receives_too(
    call: Call, inbox: list[InboundMessage], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    own: Any = inbound_view(lambda message: None, token=TOKEN)
    monkeypatch.setattr(Urls, "urlpatterns", (*Urls.urlpatterns, path("own/<token>", own)))
    clear_url_caches()
    assert call("POST", f"/sms/inbound/{TOKEN}", data=FIELDS).status_code == 200
    with closing(own):
        assert call("POST", f"/own/{TOKEN}", data=FIELDS).status_code == 200
    assert [message.message_id for message in inbox] == ["SM-1"]
    assert call("GET", "/sms/d/nobodys").status_code == 404
    assert TOKEN not in caplog.text


def test_in_a_database_the_seen_store_is_beside_the_ledger(
    call: Call, configure: Configure, database: str, inbox: list[InboundMessage]
) -> None:
    configure(DATABASE=database, INBOUND_TOKEN=TOKEN)
    fields = {**FIELDS, "message_id": f"SM-{token_hex(8)}"}
    statuses = [call("POST", f"/sms/inbound/{TOKEN}", data=fields).status_code for _ in range(2)]
    assert (statuses, len(inbox)) == ([200, 200], 1)
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM vavasms_inbound.seen")
        assert cursor.fetchone()[0] > 0


def test_a_project_whose_views_need_a_login_receives_too(
    call: Call, inbox: list[InboundMessage], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    monkeypatch.setattr(settings, "MIDDLEWARE", [*settings.MIDDLEWARE, login])
    own: Any = inbound_view(lambda message: None, token=TOKEN)
    page: Any = optout_view(tmp_path / "sms.db")
    guarded: Any = lambda request: None  # noqa: E731
    more = (path("own/<token>", own), path("page/<code>", page), path("guarded", guarded))
    monkeypatch.setattr(Urls, "urlpatterns", (*Urls.urlpatterns, *more))
    clear_url_caches()
    code = ask(lambda ledger: ledger.optout_codes.issue([PERSON]))[PERSON]
    assert call("GET", "/guarded").status_code == 302
    with closing(own), closing(page):
        answers = [
            call("POST", f"/sms/inbound/{TOKEN}", data=FIELDS),
            call("POST", f"/own/{TOKEN}", data=FIELDS),
            call("GET", f"/sms/d/{code}"),
            call("GET", f"/page/{code}"),
        ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [message.message_id for message in inbox] == ["SM-1"]
