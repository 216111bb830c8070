"""`enqueue`: in the caller's transaction, whatever the database; what a crash leaves behind is not lost."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction

from tests.django.conftest import Configure
from vavasms.django import enqueue, get_sms, outbox, send_sms
from vavasms.django.messages import SmsMessage
from vavasms.django.models import PendingSend
from vavasms.django.transactions import LEFT_BEHIND, forward, forward_left
from vavasms.errors import ConfigurationError, IdempotencyConflictError, InvalidInputError, Outcome
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import BatchState
from vavasms.models import Lot
from vavasms.sandbox import SandboxServer

# Python warns of a fork beside the threads of other tests.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


class ThoughtBetterOfItError(Exception):
    """The view is rolled back."""


def find(key: str) -> SendRecord | None:
    return get_sms().sent(key)


@pytest.fixture(params=["file", "database", "url"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_it_is_kept_once_the_transaction_commits(alias: str, sandbox: SandboxServer) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    with transaction.atomic(using=alias):
        Group.objects.using(alias).create(name="order 42")
        for _ in range(2):
            enqueue(TO, TEXT, idempotency_key="order-42", using=alias, not_before=due)
        assert find("order-42") is None
        # In the ledger's own table where that is in this transaction, else in the app's.
        assert PendingSend.objects.using(alias).count() == (alias == "default")
    record = find("order-42")
    assert record is not None
    assert (record.state, record.text, record.sender_id) == (BatchState.QUEUED, TEXT, "SANDBOX")
    assert record.not_before == pytest.approx(due.timestamp())
    assert PendingSend.objects.using(alias).count() == 0
    assert sandbox.gateway.journal.entries == ()
    Group.objects.using(alias).all().delete()


def test_it_was_never_there_where_the_transaction_is_rolled_back(alias: str) -> None:
    with pytest.raises(ThoughtBetterOfItError), transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42", using=alias)
        raise ThoughtBetterOfItError
    assert find("order-42") is None
    with transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-43", using=alias)
        with pytest.raises(ThoughtBetterOfItError), transaction.atomic(using=alias):
            enqueue(TO, TEXT, idempotency_key="order-44", using=alias)
            raise ThoughtBetterOfItError
    assert (find("order-43") is None, find("order-44") is None) == (False, True)
    assert PendingSend.objects.using(alias).count() == 0


def test_without_a_transaction_it_is_kept_at_once(alias: str) -> None:
    enqueue(TO, TEXT, idempotency_key="order-42", using=alias)
    assert find("order-42") is not None


@pytest.mark.parametrize("place", ["file", "database"])
def test_unless_it_is_told_it_takes_the_ledgers_database_or_the_default(
    place: str, request: pytest.FixtureRequest
) -> None:
    alias = request.getfixturevalue(place)
    with pytest.raises(ThoughtBetterOfItError), transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42")
        raise ThoughtBetterOfItError
    assert find("order-42") is None
    with transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42")
    assert find("order-42") is not None


def test_a_key_that_stands_for_something_else_is_a_conflict(alias: str) -> None:
    with pytest.raises(IdempotencyConflictError) as raised, transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42", using=alias)
        enqueue(TO, "Autre chose", idempotency_key="order-42", using=alias)
    assert "chose" not in str(raised.value)
    assert find("order-42") is None


def test_a_key_that_was_sent_is_not_sent_again(alias: str, sandbox: SandboxServer) -> None:
    send_sms(TO, TEXT, idempotency_key="order-42")
    with transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42", using=alias)
    record = find("order-42")
    assert record is not None
    assert record.outcome is Outcome.ACCEPTED
    assert PendingSend.objects.using(alias).count() == 0


def test_what_could_not_be_sent_is_refused_before_the_database_is_asked(alias: str) -> None:
    refused: list[tuple[tuple[Any, str], dict[str, Any]]] = [
        (("07", TEXT), {}),
        (([TO, "0700000002"], TEXT), {}),
        ((TO, ""), {}),
        ((TO, TEXT), {"sender_id": "no"}),
        ((TO, TEXT), {"idempotency_key": ""}),
        ((TO, TEXT), {"not_before": datetime(2026, 12, 1)}),  # noqa: DTZ001
    ]
    with transaction.atomic(using=alias):
        for arguments, options in refused:
            with pytest.raises(InvalidInputError):
                enqueue(*arguments, **{"idempotency_key": "order-42", "using": alias, **options})
    assert find("order-42") is None


def test_it_needs_a_ledger(configure: Configure, tables: None) -> None:
    with pytest.raises(ConfigurationError) as raised:
        enqueue(TO, TEXT, idempotency_key="order-42")
    assert raised.value.error_code == "config.no_ledger"


def test_what_keeps_nothing_sends_at_the_commit(configure: Configure, tables: None, tmp_path: Path) -> None:
    configure(BACKEND="locmem", LEDGER=tmp_path / "sms.db")
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-42")
        assert len(outbox) == 0
    assert outbox[0].text == TEXT


class Pigeon:
    """A backend that keeps nothing: what it would send at the commit, a crash before it would lose."""

    def send(self, message: SmsMessage) -> Lot:
        raise AssertionError


def test_a_backend_that_keeps_nothing_is_refused(file: str, configure: Configure, tmp_path: Path) -> None:
    configure(BACKEND=f"{__name__}.Pigeon", LEDGER=tmp_path / "sms.db")
    with (
        transaction.atomic(using=file),
        pytest.raises(ConfigurationError, match=r"no method `enqueue`.*Nothing was enqueued"),
    ):
        enqueue(TO, TEXT, idempotency_key="order-42", using=file)
    assert PendingSend.objects.using(file).count() == 0


def age(rows: Any) -> None:
    """Make what was written down older than whoever wrote it can be expected back."""
    rows.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))


@pytest.mark.slow
def test_what_a_process_left_behind_that_died_after_its_commit_is_kept_once(file: str) -> None:
    child = os.fork()
    if child == 0:
        with transaction.atomic():
            enqueue(TO, TEXT, idempotency_key="order-42")
            transaction.on_commit(lambda: os._exit(3))
            # What dies after the commit, and before its callbacks.
            connections["default"].run_on_commit.reverse()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert find("order-42") is None
    rows = PendingSend.objects.all()
    assert rows.count() == 1
    # Whoever wrote it might still do it; this one took its time to end.
    rows.update(created_at=datetime.now(UTC))
    assert forward_left("default") == 0
    age(rows)
    assert [forward_left("default"), forward_left("default")] == [1, 0]
    record = find("order-42")
    assert record is not None
    assert (record.state, record.text) == (BatchState.QUEUED, TEXT)
    assert rows.count() == 0


def test_a_ledger_that_is_away_at_the_commit_is_waited_for(
    file: str, configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configure(LEDGER=tmp_path / "taken")
    (tmp_path / "taken").mkdir()
    with transaction.atomic():
        enqueue(TO, TEXT, idempotency_key="order-42")
    assert "waits for its ledger" in caplog.text
    assert PendingSend.objects.count() == 1
    configure(LEDGER=tmp_path / "sms.db")
    age(PendingSend.objects.all())
    assert forward_left("default") == 1
    assert find("order-42") is not None


def test_what_is_refused_after_the_commit_is_told_and_not_tried_again(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    send_sms(TO, TEXT, idempotency_key="order-42")
    with transaction.atomic():
        enqueue(TO, "Autre chose", idempotency_key="order-42")
    (row,) = PendingSend.objects.all()
    assert row.error_code == "idempotency.conflict"
    assert "cannot be sent" in caplog.text
    assert "chose" not in caplog.text + repr(row)
    age(PendingSend.objects.all())
    assert forward_left("default") == 0


def test_a_row_that_somebody_else_took_is_left_alone(file: str) -> None:
    assert forward(4711, "default") is False


def test_a_ledger_in_a_file_is_no_database_of_the_project(
    shop: str, configure: Configure, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    with transaction.atomic(using=shop):
        enqueue(TO, TEXT, idempotency_key="order-42", using=shop)
        assert PendingSend.objects.using(shop).count() == 1
    assert find("order-42") is not None
