"""What no setting may lead to: an SMS from a machine where nobody wants one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.django.conftest import Configure
from tests.django.test_django_commands import work_until
from vavasms.django import enqueue, get_sms, send_sms
from vavasms.django.deliveries import TrackedMessage
from vavasms.django.messages import SmsMessage
from vavasms.django.signals import delivered
from vavasms.django.worker import DjangoWorker
from vavasms.errors import ConfigurationError
from vavasms.models import Lot
from vavasms.sandbox import SandboxServer
from vavasms.sandbox.delivery import DeliveryPlan

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


async def work(seconds: float) -> None:
    worker = DjangoWorker(concurrency=2, say=lambda sentence: None)
    with anyio.move_on_after(seconds):
        await worker.run()


class Pigeon:
    """A backend of a project's own that keeps nothing for a worker."""

    def send(self, message: SmsMessage) -> Lot:
        raise AssertionError


@pytest.mark.parametrize("backend", ["console", "locmem", f"{__name__}.Pigeon"])
def test_a_worker_sends_nothing_where_no_sms_is_wanted(
    file: str, configure: Configure, tmp_path: Path, sandbox: SandboxServer, backend: str
) -> None:
    enqueue(TO, TEXT, idempotency_key="order-42")
    configure(LEDGER=tmp_path / "sms.db", BACKEND=backend)
    with pytest.raises(ConfigurationError):
        anyio.run(work, 2.0)
    assert sandbox.gateway.journal.entries == ()


def test_the_sandboxs_worker_and_client_never_leave_this_machine(
    file: str, configure: Configure, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db", BACKEND="sandbox", BASE_URL="https://vavasms.com/api")
    with pytest.raises(ConfigurationError, match="on this machine"):
        get_sms()
    with pytest.raises(ConfigurationError, match="on this machine"):
        anyio.run(work, 2.0)


def test_a_fault_of_the_tracker_stops_no_worker(
    file: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(message: TrackedMessage) -> None:
        raise RuntimeError(message.recipient)

    def hear(**_values: Any) -> None:
        pass

    monkeypatch.setattr(sandbox.gateway, "delivery", DeliveryPlan(0.0, 0.0, {}))
    monkeypatch.setattr("vavasms.django.worker.report_delivery", fail)
    send_sms(TO, TEXT, idempotency_key="order-42")
    delivered.connect(hear)
    try:
        work_until(lambda: "not followed up" in caplog.text)
    finally:
        delivered.disconnect(hear)
    assert "(RuntimeError)" in caplog.text
    assert TO[1:] not in caplog.text
