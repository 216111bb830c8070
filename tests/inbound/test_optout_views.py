"""The opt-out page in Django, by ASGI and by WSGI, and in Flask: the same as that of the app."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest
from anyio.to_thread import run_sync
from django.urls import clear_url_caches, path, set_urlconf
from flask import Flask

from tests.inbound.test_inbound_django import serve
from vavasms.inbound.optout.django import optout_view as django_view
from vavasms.inbound.optout.flask import optout_view as flask_view
from vavasms.inbound.optout.guesses import BURST
from vavasms.ledger.optout_codes import draw_code
from vavasms.ledger.sqlite import optout_codes as in_sqlite
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

PERSON = Msisdn("2250700000101")
ENGLISH = {"Accept-Language": "en"}

__all__ = ["serve"]


@pytest.fixture
def anyio_backend() -> str:
    """asgiref is for asyncio."""
    return "asyncio"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
async def code(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a code with as many marks as there can be: some clients escape them."""
    monkeypatch.setattr(in_sqlite, "draw_code", lambda: "A-==--=-=9")
    return (await ledger.optout_codes.issue([PERSON]))[PERSON]


class Urls:
    """A module of URLs, as Django wants it."""

    def __init__(self, view: Callable[..., Any]) -> None:
        self.urlpatterns = [path("d/<str:code>", view)]


async def check(call: Callable[..., Any], ledger: SqliteLedger, code: str) -> list[str]:
    """Press and take it back, and return the pages; `call` is an HTTP client's."""
    url = f"/d/{code}"
    answers = [
        await call("GET", url, headers=ENGLISH),
        await call("HEAD", url, headers=ENGLISH),
        await call("PUT", url, headers=ENGLISH),
        await call("POST", url, headers=ENGLISH, data={"choice": "other"}),
        await call("GET", f"/d/{draw_code()}", headers=ENGLISH),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 405, 400, 404]
    assert answers[0].headers["referrer-policy"] == "no-referrer"
    assert answers[0].headers["content-type"] == "text/html; charset=utf-8"
    assert answers[0].headers["content-security-policy"].startswith("default-src 'none'")
    assert answers[2].headers["allow"] == "GET, HEAD, POST"
    assert await ledger.opted_out() == frozenset()
    pressed = await call("POST", url, headers=ENGLISH, data={"choice": "stop"})
    assert await ledger.opted_out() == {int(PERSON)}
    back = await call("POST", f"/d/{quote(code)}", headers=ENGLISH, data={"choice": "start"})
    assert await ledger.opted_out() == frozenset()
    french = await call("GET", url)
    assert '<html lang="fr">' in french.text
    assert '<html lang="en">' in (await call("GET", f"{url}?lang=en")).text
    return [answer.text for answer in (answers[0], pressed, back, answers[4])]


def check_pages(pages: list[str], caplog: pytest.LogCaptureFixture, code: str) -> None:
    words = (
        "No more of these SMS?",
        "You get no more of these SMS",
        "You get the SMS again",
        "leads nowhere",
    )
    for page, sentence in zip(pages, words, strict=True):
        assert sentence in page
        assert PERSON not in page
    assert "Boutique Awa" in pages[0]
    # The client of these tests logs what it asks for.
    ours = [unquote(record.getMessage()) for record in caplog.records if not record.name.startswith("http")]
    assert "Somebody opted out by a link." in ours
    assert not any(code in line or PERSON in line for line in ours)


async def test_djangos_view_does_the_same(
    serve: Any, ledger: SqliteLedger, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    view = django_view(ledger.path, name="Boutique Awa")
    client = serve(view)
    from django.conf import settings

    settings.ROOT_URLCONF = Urls(view)
    clear_url_caches()
    set_urlconf(None)
    check_pages(await check(client, ledger, code), caplog, code)
    for _ in range(BURST):
        answer = await client("GET", f"/d/{draw_code()}")
    assert (await client("GET", f"/d/{code}")).status_code == 429
    assert answer.headers["cache-control"] == "no-store"


@pytest.fixture
def shop(ledger: SqliteLedger) -> Iterator[Flask]:
    app = Flask("shop")
    view: Any = flask_view(ledger.path, name="Boutique Awa")
    app.add_url_rule("/d/<code>", view_func=view)
    yield app
    view.close()
    view.close()


async def test_flasks_view_does_the_same(
    shop: Flask, ledger: SqliteLedger, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = shop.test_client()

    async def call(method: str, url: str, **options: Any) -> Any:
        return await run_sync(lambda: client.open(url, method=method, **options))

    check_pages(await check(call, ledger, code), caplog, code)
    for _ in range(BURST):
        await call("GET", f"/d/{draw_code()}")
    assert (await call("GET", f"/d/{code}")).status_code == 429


async def test_a_form_that_does_not_arrive_whole_is_none(ledger: SqliteLedger, code: str) -> None:
    class Broken:
        method, META, GET = "POST", {"REMOTE_ADDR": "1.2.3.4", "PATH_INFO": "/"}, {"lang": "en"}
        environ: ClassVar[dict[str, str]] = {}
        path = path_info = "/"

        def read(self, size: int) -> bytes:
            raise OSError(f"{size} bytes did not come")

    view = django_view(ledger.path)
    answer = await run_sync(view, Broken(), code)
    await run_sync(view.close)  # type: ignore[attr-defined]
    assert answer.status_code == 400
    assert await ledger.opted_out() == frozenset()
