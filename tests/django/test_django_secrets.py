"""Neither a log nor an error page has a token, a password, a number or a text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import clear_url_caches, include, path, set_urlconf

from tests.django.conftest import Configure
from tests.inbound.posting import TOKEN
from vavasms.django import send_sms
from vavasms.django.signals import sent

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


class Urls:
    """A module of URLs, as Django wants it."""

    urlpatterns = (path("sms/", include("vavasms.django.urls")),)


@pytest.fixture
def urls(configure: Configure) -> Iterator[None]:
    settings.ROOT_URLCONF = Urls
    clear_url_caches()
    set_urlconf(None)
    yield
    settings.ROOT_URLCONF = None


@pytest.mark.parametrize("address", [f"/sms/inbound/{TOKEN}", "/sms/d/Code-42-of-a-link"])
def test_a_wrong_setting_shows_no_token(
    urls: None, configure: Configure, caplog: pytest.LogCaptureFixture, address: str, monkeypatch: Any
) -> None:
    configure(PASWORD="x", INBOUND_TOKEN=TOKEN)
    client = Client(raise_request_exception=False)
    for debug in (False, True):
        monkeypatch.setattr(settings, "DEBUG", debug)
        answer = client.post(address)
        assert answer.status_code >= 500
        assert address.rpartition("/")[2] not in caplog.text + answer.content.decode()


def test_a_receiver_that_is_async_breaks_no_send(configure: Configure, sandbox: Any) -> None:
    async def hear(**_values: Any) -> None:
        pass

    async def view() -> Any:
        return send_sms(TO, TEXT)

    sent.connect(hear)
    try:
        lot = asyncio.run(view())
    finally:
        sent.disconnect(hear)
    assert lot.message_ids
