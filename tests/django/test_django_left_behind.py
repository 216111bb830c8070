"""What waits in the app's table: no row holds up the others, and no transaction is left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections, transaction
from django.db.models import CharField, QuerySet

from tests.django.conftest import Configure
from vavasms.django import enqueue, get_sms
from vavasms.django.models import PendingSend
from vavasms.django.transactions import LEFT_BEHIND, forward_all, forward_left, list_databases
from vavasms.errors import LedgerError
from vavasms.ledger.send_record import SendRecord

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


class ThoughtBetterOfItError(Exception):
    """The view is rolled back."""


def find(key: str) -> SendRecord | None:
    return get_sms().sent(key)


def write(key: str, **values: Any) -> None:
    """Write down what a process left behind long ago."""
    account = {} if "backend" in values else {"account": get_sms().account.name}
    row = {"idempotency_key": key, "recipient": TO[1:], "text": TEXT, "backend": "gateway"} | account | values
    PendingSend.objects.create(**row)
    PendingSend.objects.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))


def test_a_time_that_nothing_reaches_is_refused_or_kept_and_holds_nothing_up(file: str) -> None:
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="never", not_before=datetime.max.replace(tzinfo=UTC))
    write("order-42")
    assert forward_left("default") >= 1
    assert find("order-42") is not None


@pytest.mark.parametrize(
    "values", [{"not_before": 1e300}, {"recipient": "?"}, {"text": ""}, {"idempotency_key": ""}], ids=str
)
def test_a_row_that_nobody_can_read_is_told_of_and_holds_nothing_up(
    file: str, caplog: pytest.LogCaptureFixture, values: dict[str, Any]
) -> None:
    write("odd")
    PendingSend.objects.update(**values)
    write("order-42")
    assert forward_left("default") == 1
    assert find("order-42") is not None
    (row,) = PendingSend.objects.all()
    assert row.error_code
    assert "cannot be sent" in caplog.text
    assert TEXT not in caplog.text


def test_a_row_that_cannot_be_taken_away_is_kept_once(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_rows: QuerySet[Any]) -> None:
        raise OperationalError(TEXT)

    write("order-42")
    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "delete", fail)
        with pytest.raises(OperationalError):
            forward_left("default")
    first = find("order-42")
    assert first is not None
    assert forward_left("default") == 1
    assert find("order-42") == first


def test_rows_that_wait_for_a_backend_hold_nothing_up(file: str) -> None:
    for number in range(3):
        write(f"old-{number}", backend="shop.sms.Gone")
    write("order-42")
    assert forward_left("default", limit=2) == 1
    assert find("order-42") is not None
    assert PendingSend.objects.count() == 3


def test_a_ledger_that_is_away_is_asked_once_a_round(
    file: str, configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").mkdir()
    configure(LEDGER=tmp_path / "taken")
    for number in range(12):
        write(f"order-{number}")
    caplog.clear()
    assert forward_left("default") == 0
    assert caplog.text.count("waits for its ledger") == 1
    assert PendingSend.objects.count() == 12


@pytest.fixture
def away() -> Iterator[str]:
    """Yield the alias of a database that is away, and asked before the others."""
    others = dict(settings.DATABASES)
    settings.DATABASES.clear()
    settings.DATABASES["away"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at/all.db"}
    settings.DATABASES.update(others)
    connections.settings = connections.configure_settings(settings.DATABASES)
    yield "away"
    del settings.DATABASES["away"]
    connections.settings.pop("away", None)


def test_a_database_that_is_away_does_not_hold_up_the_others(file: str, away: str) -> None:
    write("order-42")
    with pytest.raises(OperationalError):
        forward_all()
    assert find("order-42") is not None


def test_a_project_may_have_no_default_database(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write("order-42")
    default = settings.DATABASES["default"]
    connections["default"].close()
    with monkeypatch.context() as patch:
        patch.setitem(settings.DATABASES, "shop", default)
        patch.setitem(settings.DATABASES, "default", {"ENGINE": "django.db.backends.dummy"})
        patch.setattr(connections, "settings", connections.configure_settings(settings.DATABASES))
        del connections["default"]
        assert list_databases() == ["shop"]
        assert forward_all() == 1
        connections["shop"].close()
        del connections["shop"], connections["default"]


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_transaction_begun_by_hand_is_waited_for(
    file: str, monkeypatch: pytest.MonkeyPatch, is_asked: bool
) -> None:
    with monkeypatch.context() as patch:
        if is_asked:
            transaction.set_autocommit(False)
        else:
            connections["default"].close()
            patch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", False)
        enqueue(TO, TEXT, idempotency_key="order-42")
        transaction.rollback()
        enqueue(TO, TEXT, idempotency_key="order-43")
        transaction.commit()
    transaction.set_autocommit(True)
    assert find("order-42") is None
    PendingSend.objects.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))
    forward_left("default")
    assert find("order-43") is not None


def test_a_transaction_of_the_projects_own_database_takes_it_back_too(database: str, tables: None) -> None:
    with pytest.raises(ThoughtBetterOfItError), transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-42")
        raise ThoughtBetterOfItError
    assert find("order-42") is None
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-43")
    assert find("order-43") is not None


def test_a_callback_of_another_that_fails_loses_nothing(file: str) -> None:
    def fail() -> None:
        raise ThoughtBetterOfItError

    with pytest.raises(ThoughtBetterOfItError), transaction.atomic():
        transaction.on_commit(fail)
        enqueue(TO, TEXT, idempotency_key="order-42")
    PendingSend.objects.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))
    assert forward_left("default") == 1
    assert find("order-42") is not None


class Broken:
    """A backend of a project's own, which fails in its own way."""

    def send(self, message: Any) -> Any:
        raise RuntimeError(message.text)

    def enqueue(self, message: Any, not_before: Any) -> Any:
        raise RuntimeError(message.text)


def test_a_fault_after_the_commit_breaks_no_callback_of_others(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-42", backend=f"{__name__}.Broken")
        transaction.on_commit(lambda: called.append(1))
    assert called == [1]
    assert PendingSend.objects.count() == 1
    assert "waits for its ledger (RuntimeError)" in caplog.text
    assert TEXT not in caplog.text


def test_a_ledger_of_several_servers_is_no_databases_own(shop: str, configure: Configure) -> None:
    configure(LEDGER="postgresql://u@127.0.0.1:1,127.0.0.1:2/sms?connect_timeout=1")
    with pytest.raises(ThoughtBetterOfItError), transaction.atomic(using=shop):
        enqueue(TO, TEXT, idempotency_key="order-42", using=shop)
        assert PendingSend.objects.using(shop).count() == 1
        raise ThoughtBetterOfItError


@pytest.fixture
def caseless(file: str) -> Iterator[None]:
    """Keep the keys as MySQL does by default: a capital letter is as good as a small one."""
    old = PendingSend._meta.get_field("idempotency_key")
    new = CharField(max_length=255, db_collation="NOCASE")
    new.set_attributes_from_name("idempotency_key")
    new.model = PendingSend
    with connections["default"].schema_editor() as editor:
        editor.alter_field(PendingSend, old, new)
    yield
    with connections["default"].schema_editor() as editor:
        editor.alter_field(PendingSend, new, old)


@pytest.mark.usefixtures("caseless")
def test_a_database_that_knows_no_case_loses_no_key() -> None:
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-a")
        enqueue(TO, TEXT, idempotency_key="order-A")
        enqueue(TO, "Autre chose", idempotency_key="Order-A")
    assert all(find(key) is not None for key in ("order-a", "order-A", "Order-A"))


class Away(Broken):
    """A backend whose ledger is away."""

    asked = 0

    def enqueue(self, message: Any, not_before: Any) -> Any:
        type(self).asked += 1
        raise LedgerError("The ledger is away.")


def test_a_ledger_that_is_away_is_not_asked_for_every_row(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Away, "asked", 0)
    for number in range(12):
        write(f"order-{number}", backend=f"{__name__}.Away")
    assert forward_left("default") == 0
    assert Away.asked == 10
