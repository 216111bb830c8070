"""Neither a log nor an error page has a token, a password, a number or a text."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections, transaction
from django.db.utils import DatabaseError
from django.test import Client
from django.urls import clear_url_caches, include, path, set_urlconf

from tests.django.conftest import Configure
from tests.frames import locals_of
from tests.inbound.posting import TOKEN
from vavasms.django import enqueue, send_sms
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


def test_a_database_that_is_locked_shows_neither_number_nor_text(file: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(connections["default"].settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(OperationalError, match="locked") as raised, transaction.atomic():
            enqueue(TO, TEXT, idempotency_key="order-42")
    finally:
        other.close()
    shown = locals_of(raised.value, but=__file__)
    assert TEXT not in shown
    assert TO[1:] not in shown


def test_an_error_of_the_ledgers_database_shows_neither_number_nor_text(database: str) -> None:
    with pytest.raises(DatabaseError, match="aborted") as raised, transaction.atomic(using=database):
        with pytest.raises(Exception, match="zero"):
            connections[database].connection.execute("SELECT 1/0")
        enqueue(TO, TEXT, idempotency_key="order-42", using=database)
    shown = locals_of(raised.value, but=__file__)
    assert TEXT not in shown
    assert TO[1:] not in shown
