"""Two at once, one that dies, and one that forks: what is sent once, and decided on once."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections
from django.db.models.query import QuerySet

from tests.django.conftest import Configure
from tests.django.test_django_commands import work_until
from vavasms.django import asend_sms, get_sms, send_sms
from vavasms.django.ledger import run_on_ledger
from vavasms.django.models import PendingSend
from vavasms.django.signals import sent
from vavasms.django.transactions import LEFT_BEHIND, forward, forward_left
from vavasms.errors import Outcome, OutcomeUnknownError
from vavasms.sandbox import Fault, FaultKind, SandboxServer

# Python warns of a fork beside the threads of other tests.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


def write(key: str, **values: Any) -> int:
    account = {} if "backend" in values else {"account": get_sms().account.name}
    row = {"idempotency_key": key, "recipient": TO[1:], "text": TEXT, "backend": "gateway"} | account | values
    made = PendingSend.objects.create(**row)
    PendingSend.objects.update(created_at=datetime.now(UTC) - LEFT_BEHIND - timedelta(seconds=1))
    return int(made.pk)


def in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "database"])
def test_a_forked_child_opens_the_ledger_anew(
    place: str, request: pytest.FixtureRequest, tables: None, sandbox: SandboxServer
) -> None:
    request.getfixturevalue(place)
    send_sms(TO, TEXT, idempotency_key="order-42")
    run_on_ledger(lambda ledger: ledger.now())

    def work() -> None:
        run_on_ledger(lambda ledger: ledger.now())
        assert send_sms(TO, TEXT, idempotency_key="order-42").replayed
        assert not send_sms(TO, TEXT, idempotency_key="order-43").replayed

    connections.close_all()
    assert [in_child(work), in_child(run_child_again)] == [0, 0]
    run_on_ledger(lambda ledger: ledger.now())
    assert send_sms(TO, TEXT, idempotency_key="order-43").replayed
    assert len(sandbox.gateway.journal.entries) == 2


def run_child_again() -> None:
    assert send_sms(TO, TEXT, idempotency_key="order-43").replayed


@pytest.mark.slow
def test_a_worker_that_dies_between_the_ledger_and_the_row_sends_once(
    file: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("order-42")

    def die() -> None:
        monkeypatch.setattr(QuerySet, "delete", lambda self: os._exit(7))
        forward_left("default")

    connections.close_all()
    assert in_child(die) == 7
    assert PendingSend.objects.count() == 1
    assert get_sms().sent("order-42") is not None
    work_until(lambda: len(sandbox.gateway.journal.entries) == 1)
    forward_left("default")
    work_until(lambda: get_sms().sent("order-42").outcome is Outcome.ACCEPTED)  # type: ignore[union-attr]
    assert PendingSend.objects.count() == 0
    assert len(sandbox.gateway.journal.entries) == 1


def test_two_that_take_the_same_rows_keep_each_once(file: str, sandbox: SandboxServer) -> None:
    keys = [f"order-{number}" for number in range(12)]
    rows = [write(key) for key in keys]
    barrier = threading.Barrier(4)

    def take(_number: int) -> None:
        barrier.wait(10)
        try:
            for row in rows:
                forward(row, "default")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(take, range(4))]
    forward_left("default")
    work_until(lambda: len(sandbox.gateway.journal.entries) >= 12)
    assert PendingSend.objects.count() == 0
    assert len(sandbox.gateway.journal.entries) == 12


def test_a_view_cancelled_under_asgi_is_told_of(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=0.4))
    told: list[str] = []

    def hear(idempotency_key: str, **_values: Any) -> None:
        told.append(idempotency_key)

    async def request() -> None:
        async with ThreadSensitiveContext():
            await sync_to_async(lambda: None)()
            await asend_sms(TO, TEXT, idempotency_key="order-42")

    async def serve() -> None:
        view = asyncio.ensure_future(request())
        await asyncio.sleep(0.2)
        view.cancel()
        with pytest.raises(asyncio.CancelledError):
            await view
        deadline = time.monotonic() + 30
        while not told and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    sent.connect(hear)
    try:
        asyncio.run(serve())
    finally:
        sent.disconnect(hear)
    assert told == ["order-42"]


class Plain:
    """A backend that kept messages once, and does not any more."""

    sent = 0

    def send(self, message: Any) -> Any:
        type(self).sent += 1
        raise OutcomeUnknownError("…")


def test_a_backend_that_keeps_nothing_any_more_is_not_sent_by(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    write("order-42", backend=f"{__name__}.Plain")
    assert [forward_left("default"), forward_left("default")] == [0, 0]
    assert Plain.sent == 0
    assert PendingSend.objects.count() == 1
    assert "waits for its ledger (ConfigurationError)" in caplog.text
