"""In Flask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask, current_app

from tests.inbound.posting import TOKEN
from vavasms.inbound.flask import inbound_view
from vavasms.models import InboundMessage

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}
URL = f"/sms/{TOKEN}"
Make = Callable[..., Flask]


@pytest.fixture
def make() -> Iterator[Make]:
    """Yield what makes an application around a handler."""
    views: list[Any] = []

    def build(handler: Callable[[InboundMessage], object], **options: Any) -> Flask:
        app = Flask("shop")
        views.append(inbound_view(handler, token=TOKEN, **options))
        app.add_url_rule("/sms/<token>", view_func=views[-1])
        return app

    yield build
    for each in views * 2:
        each.close()


def test_a_view_does_the_same(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    inbox: list[InboundMessage] = []
    client = make(inbox.append, seen=tmp_path / "seen.db").test_client()
    answers = [
        client.post(URL, data=FIELDS),
        client.post(URL, data=FIELDS),
        client.post(URL, json={**FIELDS, "message_id": "SM-2"}),
        client.post(URL, data={**FIELDS, "message_id": "SM-3"}, content_type="multipart/form-data"),
        client.get(URL),
        client.options(URL),
        client.post(URL + "x", data=FIELDS),
        client.get(URL + "x"),
        client.options(URL + "x"),
        client.post(URL, data=b"x" * 65_537),
        client.post(URL),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 200, 405, 405, 404, 404, 404, 413, 400]
    assert answers[4].headers["allow"] == "POST"
    assert answers[0].content_type == "text/plain; charset=utf-8"
    assert [each.message_id for each in inbox] == ["SM-1", "SM-2", "SM-3"]
    assert TOKEN not in caplog.text


def test_the_application_is_at_hand_in_both_kinds_of_handlers(make: Make) -> None:
    names: list[str] = []

    def plain(message: InboundMessage) -> None:
        names.append(current_app.name)

    async def slow(message: InboundMessage) -> None:
        names.append(current_app.name)

    for each in (plain, slow):
        assert make(each).test_client().post(URL, data=FIELDS).status_code == 200
    assert names == ["shop", "shop"]


def test_threads_that_bring_the_same_message_handle_it_once(make: Make) -> None:
    inbox: list[InboundMessage] = []
    app, together = make(inbox.append), Barrier(4)

    def call(_: int) -> int:
        together.wait(10)
        return app.test_client().post(URL, data=FIELDS).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [200] * 4
    assert len(inbox) == 1


def test_a_handler_that_raises_is_500_and_handled_anew(make: Make) -> None:
    tried: list[str] = []

    def handle(message: InboundMessage) -> None:
        tried.append(message.text)
        if len(tried) == 1:
            raise ValueError

    client = make(handle).test_client()
    assert [client.post(URL, data=FIELDS).status_code for _ in range(3)] == [500, 200, 200]
    assert len(tried) == 2


def test_only_allowed_addresses_get_in(make: Make) -> None:
    client = make(print, allow=["198.51.100.9"], trusted_proxies=["127.0.0.1"]).test_client()
    for forwarded, status in (("198.51.100.9, 192.0.2.1", 404), ("192.0.2.1, 198.51.100.9", 200)):
        assert client.post(URL, data=FIELDS, headers={"X-Forwarded-For": forwarded}).status_code == status
