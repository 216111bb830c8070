"""`vavasms_worker` and `vavasms_doctor`, by the account of the settings."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from attrs import evolve
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import connections, transaction

from tests.django.conftest import Configure
from vavasms.django import deliveries, enqueue, get_sms, send_sms
from vavasms.django.deliveries import SendTracker, TrackedMessage
from vavasms.django.ledger import run_on_ledger
from vavasms.django.models import TABLE, PendingSend
from vavasms.django.signals import delivered, sent, unknown
from vavasms.django.threads import THREAD
from vavasms.django.worker import DjangoWorker, report, report_delivery
from vavasms.errors import LedgerError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchState
from vavasms.sandbox import MAGIC_NUMBERS, Fault, FaultKind, SandboxServer
from vavasms.sandbox.delivery import DeliveryPlan

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"
#: The sandbox accepts it, and then knows of no such message.
MISSING = next(f"+{number}" for number, magic in MAGIC_NUMBERS.items() if magic.status == "709")


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """Yield what the receivers hear; each writes into the project's database."""
    calls: list[tuple[str, str]] = []

    def hear_sent(idempotency_key: str, lot: Any, **_values: Any) -> None:
        Group.objects.create(name=lot.lot_id)
        calls.append(("sent", idempotency_key))

    def hear_unknown(idempotency_key: str, error: str, **_values: Any) -> None:
        Group.objects.create(name=error[:50])
        calls.append(("unknown", idempotency_key))

    sent.connect(hear_sent)
    unknown.connect(hear_unknown)
    yield calls
    sent.disconnect(hear_sent)
    unknown.disconnect(hear_unknown)


def work_until(is_over: Callable[[], bool]) -> list[str]:
    """Run a worker until something is so; return what it says."""
    said: list[str] = []

    async def run() -> None:
        worker = DjangoWorker(concurrency=2, say=said.append, track_every=0.05)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run)
                while not is_over():
                    await anyio.sleep(0.05)
                worker.stop()

    anyio.run(run)
    return said


@pytest.mark.parametrize("place", ["file", "database"])
def test_a_worker_sends_what_is_enqueued_and_receivers_hear_of_it(
    place: str,
    request: pytest.FixtureRequest,
    tables: None,
    sandbox: SandboxServer,
    told: list[tuple[str, str]],
) -> None:
    alias = request.getfixturevalue(place)
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    with transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-42", using=alias)
    said = work_until(lambda: len(told) == 1)
    with transaction.atomic(using=alias):
        enqueue(TO, TEXT, idempotency_key="order-43", using=alias)
    work_until(lambda: len(told) == 2)
    assert told == [("unknown", "order-42"), ("sent", "order-43")]
    assert Group.objects.count() == 2
    assert len(sandbox.gateway.journal.entries) == 2
    assert said == ["Sending what is enqueued. Ctrl-C stops it."]


def test_what_was_refused_is_neither_sent_nor_unknown(file: str, told: list[tuple[str, str]]) -> None:
    send_sms(TO, TEXT, idempotency_key="order-42")
    record = get_sms().sent("order-42")
    assert record is not None
    told.clear()
    anyio.run(report, evolve(record, state=BatchState.REJECTED))
    assert told == []


def test_a_worker_takes_what_a_process_left_behind(file: str, sandbox: SandboxServer) -> None:
    PendingSend.objects.create(
        idempotency_key="order-42",
        recipient=TO[1:],
        text=TEXT,
        sender_id="SANDBOX",
        account=get_sms().account.name,
        backend="gateway",
    )
    PendingSend.objects.update(created_at=datetime.now(UTC) - timedelta(minutes=1))
    # In a thread that no signal reaches.
    thread = threading.Thread(target=work_until, args=[lambda: len(sandbox.gateway.journal.entries) == 1])
    thread.start()
    thread.join(30)
    assert PendingSend.objects.count() == 0
    record = get_sms().sent("order-42")
    assert record is not None
    assert record.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("place", ["file", "database"])
def test_receivers_hear_once_of_what_reached_its_handset(
    place: str,
    request: pytest.FixtureRequest,
    tables: None,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue(place)
    monkeypatch.setattr(sandbox.gateway, "delivery", DeliveryPlan(0.0, 0.0, {"22507000009": 1.0}))
    heard: list[tuple[str, str, str]] = []

    def hear(recipient: str, idempotency_key: str, message_id: str, **_values: Any) -> None:
        Group.objects.create(name=message_id)
        heard.append((recipient, idempotency_key, message_id))

    lots = [send_sms([TO, "0700000900", "0700000002"], TEXT, idempotency_key="order-42")]

    def is_over() -> bool:
        # Later ones, asked after first: by the last of them the others were looked at anew.
        if len(lots) < 3 and len(heard) == len(lots) + 1:
            lots.append(send_sms("0700000003", TEXT, idempotency_key=f"order-{42 + len(lots)}"))
        return len(heard) > 3

    delivered.connect(hear)
    try:
        work_until(is_over)
    finally:
        delivered.disconnect(hear)
    (first, _failed, third), (second_lot,), (third_lot,) = (lot.message_ids for lot in lots)
    assert heard == [
        (TO[1:], "order-42", first),
        ("2250700000002", "order-42", third),
        ("2250700000003", "order-43", second_lot),
        ("2250700000003", "order-44", third_lot),
    ]


def test_a_gateway_without_a_status_call_is_asked_once(
    file: str, sandbox: SandboxServer, configure: Configure, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db", STATUS_PATH="/v1/nowhere")
    send_sms(TO, TEXT, idempotency_key="order-42")
    enqueue(TO, TEXT, idempotency_key="order-43")

    def hear(**_values: Any) -> None:
        raise AssertionError

    delivered.connect(hear)
    try:
        work_until(lambda: "not followed up" in caplog.text and len(sandbox.gateway.journal.entries) == 2)
    finally:
        delivered.disconnect(hear)
    assert caplog.text.count("not followed up") == 1


def test_a_worker_needs_a_ledger_and_the_checks(configure: Configure) -> None:
    with pytest.raises(CommandError, match=r"needs a ledger.*\[config.no_ledger\]"):
        call_command("vavasms_worker")
    with pytest.raises(CommandError, match="--concurrency"):
        call_command("vavasms_worker", concurrency=0)
    configure(PASWORD="x")
    with pytest.raises(SystemCheckError, match=r"vavasms\.E002"):
        call_command("vavasms_worker", skip_checks=False)


def examine() -> tuple[str, int]:
    """Return what the doctor prints, and the exit code."""
    printed = io.StringIO()
    try:
        call_command("vavasms_doctor", stdout=printed, no_color=True)
    except CommandError as error:
        return printed.getvalue() + str(error), error.returncode
    return printed.getvalue(), 0


def test_the_doctor_examines_the_account_of_the_settings(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    report, code = examine()
    lines = {line[9:21].strip(): line[:9].strip() for line in report.splitlines() if line[:1] != " "}
    assert code == 0
    assert {lines[name] for name in ("credentials", "sender", "ledger")} == {"good"}
    assert "dotenv" not in lines
    with pytest.MonkeyPatch.context() as patch:
        # Whose account it is may be in the environment alone.
        for name, value in sandbox.settings.items():
            patch.setenv(name, value)
        configure(bare=True, LEDGER=tmp_path / "sms.db")
        assert examine()[1] == 0
    configure(PASSWORD="Mot-de-passe-1", SENDER_ID="no")
    report, code = examine()
    assert code == 2
    assert "Mot-de-passe-1" not in report
    with sandbox.refuse():
        configure()
        report, code = examine()
    assert code == 5
    configure(PASWORD="x")
    assert examine()[1] == 2


def test_a_database_that_is_migrated_has_the_ledger(
    configure: Configure, database: str, postgres: str
) -> None:
    with connections[database].cursor() as cursor:
        cursor.execute("DROP SCHEMA vavasms, vavasms_jobs CASCADE")
    call_command("migrate", database=database, verbosity=0)
    enqueue(TO, TEXT, idempotency_key="order-42", using=database)
    assert get_sms().sent("order-42") is not None

    async def open_ledger() -> None:
        await (await PostgresLedger.open(postgres, create=False)).aclose()

    anyio.run(open_ledger)


def test_a_worker_ends_by_its_signals(file: str, sandbox: SandboxServer) -> None:
    for signals in (1, 2):
        taken = sandbox.faults.taken
        sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=1.0))
        enqueue(TO, TEXT, idempotency_key=f"order-{signals}")
        said: list[str] = []

        def say(sentence: str, said: list[str] = said) -> None:
            said.append(sentence)

        worker = DjangoWorker(concurrency=1, say=say, track_every=0.05)

        async def run(worker: DjangoWorker = worker, signals: int = signals, taken: int = taken) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run)
                while sandbox.faults.taken == taken:
                    await anyio.sleep(0.02)
                for _number in range(signals):
                    os.kill(os.getpid(), signal.SIGTERM)
                    await anyio.sleep(0.05)

        anyio.run(run)
        record = get_sms().sent(f"order-{signals}")
        assert record is not None
        # The first waits for what is under way; the second does not, and what had left is unknown.
        assert record.outcome is (Outcome.ACCEPTED if signals == 1 else Outcome.UNKNOWN)
        assert len(said) == 1 + signals


def test_a_project_whose_database_is_away_still_sends(
    file: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(TO, TEXT, idempotency_key="order-42")
    with connections["default"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} RENAME COLUMN is_refused TO away")
    try:
        said = work_until(lambda: len(sandbox.gateway.journal.entries) == 1)
    finally:
        with connections["default"].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} RENAME COLUMN away TO is_refused")
    assert any("does not answer (OperationalError)" in sentence for sentence in said)


def test_the_commands_run_by_their_names(
    file: str, configure: Configure, sandbox: SandboxServer, tmp_path: Path
) -> None:
    enqueue(TO, TEXT, idempotency_key="order-42")

    def hear(**_values: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    printed = io.StringIO()
    sent.connect(hear)
    try:
        call_command("vavasms_worker", stdout=printed)
    finally:
        sent.disconnect(hear)
    assert printed.getvalue().startswith("Sending what is enqueued.")
    configure()
    report, _code = examine()
    assert "the settings name none" in report
    configure(bare=True)
    report, code = examine()
    assert (code, "No username" in report) == (2, True)
    configure(BASE_URL="http://gateway.example/api", LEDGER=tmp_path / "sms.db")
    report, code = examine()
    assert (code, "plain HTTP would show the password" in report) == (2, True)


@pytest.fixture
def silent() -> Iterator[None]:
    """Add a database whose server takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.DATABASES["silent"] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "shop",
            "HOST": "127.0.0.1",
            "PORT": str(server.getsockname()[1]),
        }
        connections.settings = connections.configure_settings(settings.DATABASES)
        # Closed, it ends the wait of whoever waits for ever.
        closing = threading.Timer(20, server.close)
        closing.start()
        yield
        closing.cancel()
    connections["silent"].close()
    del connections["silent"]
    del settings.DATABASES["silent"]
    connections.settings.pop("silent", None)


def test_a_project_whose_database_hangs_still_sends_and_its_worker_stops(
    file: str, sandbox: SandboxServer, told: list[tuple[str, str]], silent: None
) -> None:
    for number in range(30):
        enqueue(TO, TEXT, idempotency_key=f"order-{number}")
    begun = time.monotonic()
    said = work_until(lambda: len(told) == 30)
    assert time.monotonic() - begun < 15
    assert len(sandbox.gateway.journal) == 30
    assert Group.objects.count() == 30
    # It was asked, and its answer is still waited for; that keeps no process from its end.
    assert said == ["Sending what is enqueued. Ctrl-C stops it."]
    assert [thread.daemon for thread in threading.enumerate() if thread.name == THREAD] == [True]


def test_what_nobody_listens_to_is_told_in_no_thread(file: str) -> None:
    send_sms(TO, TEXT, idempotency_key="order-42")
    record = get_sms().sent("order-42")
    assert record is not None
    message = TrackedMessage(
        recipient=record.recipients[0], idempotency_key="order-42", message_id="SM-1", lot_id=None, age=0.0
    )
    for telling in (report(record), report_delivery(message)):
        # Without an event loop there is none to wait for a thread.
        with pytest.raises(StopIteration):
            telling.send(None)


class OneTurn:
    """A ledger of which another worker has the turn, until it fails."""

    def __init__(self, ledger: Any, failures: list[Exception]) -> None:
        self._ledger, self._failures = ledger, failures

    @property
    def sends(self) -> Any:
        return self._ledger.sends

    async def now(self) -> float:
        return float(await self._ledger.now())

    @asynccontextmanager
    async def tracking_turn(self, account: str) -> AsyncIterator[bool]:
        assert account.endswith(" sends")
        if self._failures:
            raise self._failures.pop()
        yield False


def test_who_has_not_the_turn_asks_nothing_and_a_failure_passes(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[TrackedMessage] = []

    async def tell(message: TrackedMessage) -> None:
        told.append(message)

    async def run(ledger: Any) -> None:
        failures: list[Exception] = [LedgerError("away", outcome=None)]
        turns = cast("Ledger", OneTurn(ledger, failures))
        tracker = SendTracker(account=get_sms().account, ledger=turns, tell=tell, pause=0.01)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tracker.run)
                while failures:
                    await anyio.sleep(0.01)
                # Some turns more.
                await anyio.sleep(0.1)
                tasks.cancel_scope.cancel()

    def hear(**_values: Any) -> None:
        raise AssertionError

    send_sms(TO, TEXT, idempotency_key="order-42")
    delivered.connect(hear)
    try:
        run_on_ledger(run)
    finally:
        delivered.disconnect(hear)
    assert told == []
    assert caplog.text.count("not followed up for now (away)") == 1


def test_those_beyond_the_latest_are_asked_after_too(
    file: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def hear(idempotency_key: str, **_values: Any) -> None:
        heard.append(idempotency_key)

    monkeypatch.setattr(deliveries, "_LATEST", 2)
    monkeypatch.setattr(sandbox.gateway, "delivery", DeliveryPlan(0.0, 0.0))
    keys = [f"order-{number}" for number in range(5)]
    for key in keys:
        send_sms(TO, TEXT, idempotency_key=key)
    delivered.connect(hear)
    try:
        work_until(lambda: len(heard) >= len(keys))
    finally:
        delivered.disconnect(hear)
    assert sorted(heard) == keys


def test_a_message_that_is_not_known_yet_is_asked_after_again(
    file: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def hear(message_id: str, **_values: Any) -> None:
        heard.append(message_id)

    monkeypatch.setattr(sandbox.gateway, "delivery", DeliveryPlan(0.0, 0.0))
    first = send_sms(TO, TEXT, idempotency_key="order-42").message_ids[0]
    # The latest are asked after first: one that is not known, and one whose ids and numbers cannot be paired.
    unknown_to_it = send_sms(MISSING, TEXT, idempotency_key="order-43").message_ids[0]
    sandbox.faults.script(Fault(kind=FaultKind.TOO_FEW_IDS))
    send_sms([TO, "0700000002"], TEXT, idempotency_key="order-44")
    delivered.connect(hear)
    try:
        work_until(lambda: bool(heard))
    finally:
        delivered.disconnect(hear)
    assert heard == [first]
    assert unknown_to_it not in heard
