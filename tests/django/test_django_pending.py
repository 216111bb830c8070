"""The row of what waits for its commit: whose it is, by whom it is sent, which transaction it is part of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections, router, transaction
from django.db.models import QuerySet

from tests.django.conftest import Configure
from vavasms.django import enqueue, get_sms
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.messages import SmsMessage
from vavasms.django.models import PendingSend
from vavasms.django.process import forget_settings
from vavasms.django.transactions import LEFT_BEHIND, forward_left
from vavasms.errors import ConfigurationError, IdempotencyConflictError
from vavasms.ledger.send_record import SendRecord

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


class ThoughtBetterOfItError(Exception):
    """The view is rolled back."""


def find(key: str) -> SendRecord | None:
    return get_sms().sent(key)


def age() -> None:
    PendingSend.objects.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))


def fail(_rows: QuerySet[Any]) -> None:
    raise OperationalError


def leave_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enqueue a text that the ledger keeps, and whose row cannot be taken away."""
    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "delete", fail)
        with transaction.atomic():
            enqueue(TO, TEXT, idempotency_key="order-42")
    assert find("order-42") is not None
    assert PendingSend.objects.count() == 1
    age()


def test_another_sender_in_the_settings_changes_nothing_that_was_enqueued(
    file: str, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_kept(monkeypatch)
    configure(LEDGER=tmp_path / "sms.db", SENDER_ID="AWA")
    assert forward_left("default") == 1
    record = find("order-42")
    assert record is not None
    assert record.sender_id == "SANDBOX"


def test_another_account_in_the_settings_enqueues_nothing_a_second_time(
    file: str,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    leave_kept(monkeypatch)
    configure(LEDGER=tmp_path / "sms.db", USERNAME="awa@example.com")
    assert forward_left("default") == 0
    assert find("order-42") is None
    assert "waits for its ledger (ConfigurationError)" in caplog.text
    with pytest.raises(IdempotencyConflictError), transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-42")
    assert PendingSend.objects.count() == 1
    configure(LEDGER=tmp_path / "sms.db")
    assert forward_left("default") == 1
    assert PendingSend.objects.count() == 0


@contextmanager
def databases(patch: pytest.MonkeyPatch, **named: Any) -> Iterator[None]:
    """Set up a project whose default database is none."""
    connections["default"].close()
    patch.setattr(
        settings, "DATABASES", {"default": {"ENGINE": "django.db.backends.dummy"}, **named}, raising=True
    )
    patch.setattr(connections, "settings", connections.configure_settings(settings.DATABASES))
    del connections["default"]
    try:
        yield
    finally:
        for alias in [*named, "default"]:
            connections[alias].close()
            del connections[alias]
        patch.undo()
        forget_settings()


class Router:
    """A router of a project whose default database is none."""

    def db_for_write(self, _model: Any, **_hints: Any) -> str:
        return "primary"


def test_without_a_default_database_it_is_the_routers(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, databases(patch, primary=settings.DATABASES["default"]):
        patch.setattr(router, "routers", [Router()])
        with pytest.raises(ThoughtBetterOfItError), transaction.atomic(using="primary"):
            enqueue(TO, TEXT, idempotency_key="order-42")
            raise ThoughtBetterOfItError
        assert find("order-42") is None
        with transaction.atomic(using="primary"):
            enqueue(TO, TEXT, idempotency_key="order-42")
        assert find("order-42") is not None


def test_without_any_sign_of_a_database_it_is_to_be_named(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, databases(patch, primary=settings.DATABASES["default"]):
        with transaction.atomic(using="primary"):
            with pytest.raises(ConfigurationError, match=r"`using=`.*Nothing was sent"):
                enqueue(TO, TEXT, idempotency_key="order-42")
            enqueue(TO, TEXT, idempotency_key="order-43", using="primary")
        assert [find(key) is not None for key in ("order-42", "order-43")] == [False, True]


def test_a_project_without_any_database_keeps_it_at_once(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, databases(patch):
        enqueue(TO, TEXT, idempotency_key="order-42")
        assert find("order-42") is not None


def test_the_ledgers_own_database_is_meant_unless_another_is_in_a_transaction(
    database: str, tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {database: settings.DATABASES[database], "primary": settings.DATABASES["default"]}
    connections[database].close()
    del connections[database]
    with monkeypatch.context() as patch, databases(patch, **named):
        enqueue(TO, TEXT, idempotency_key="order-42")
        with transaction.atomic(using=database):
            enqueue(TO, TEXT, idempotency_key="order-43")
        with transaction.atomic(using="primary"), pytest.raises(ConfigurationError, match="`using=`"):
            enqueue(TO, TEXT, idempotency_key="order-44")
        found = [find(key) is not None for key in ("order-42", "order-43", "order-44")]
        assert found == [True, True, False]


def write(key: str) -> None:
    """Write down what a process left behind long ago."""
    account = get_sms().account
    PendingSend.objects.create(
        idempotency_key=key,
        recipient=TO[1:],
        text=TEXT,
        backend="gateway",
        account=account.name,
        sender_id=account.sender_id,
    )
    age()


def test_what_a_clock_that_was_ahead_wrote_is_taken_too(file: str) -> None:
    write("order-42")
    PendingSend.objects.update(created_at=datetime.now(UTC) + timedelta(days=400))
    assert forward_left("default") == 1
    assert find("order-42") is not None


def test_a_default_database_that_knows_no_empty_text_loses_nothing_of_another(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections["default"].features, "interprets_empty_strings_as_nulls", True)
    write("order-42")
    assert forward_left("default") == 1
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-43")
        enqueue(TO, TEXT, idempotency_key="order-43")
        assert PendingSend.objects.count() == 1
    assert find("order-43") is not None


class Own(GatewayBackend):
    """A backend of a project's own, which enqueues in its own way."""

    def enqueue(self, message: SmsMessage, not_before: datetime | None) -> SendRecord:
        assert message.text == TEXT
        return get_sms().enqueue(message.to, "Boutique Awa", idempotency_key=message.idempotency_key)


def test_a_gateway_that_enqueues_in_its_own_way_does_so_in_the_ledgers_database_too(database: str) -> None:
    with transaction.atomic(using=database):
        enqueue(TO, TEXT, idempotency_key="order-42", using=database, backend=f"{__name__}.Own")
        assert PendingSend.objects.using(database).count() == 1
    record = find("order-42")
    assert record is not None
    assert record.text == "Boutique Awa"
