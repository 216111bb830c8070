"""What no setting may lead to: an SMS from a machine where nobody wants one."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.django.conftest import Configure
from vavasms.django import enqueue, get_sms
from vavasms.django.worker import DjangoWorker
from vavasms.errors import ConfigurationError
from vavasms.sandbox import SandboxServer

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


async def work(seconds: float) -> None:
    worker = DjangoWorker(concurrency=2, say=lambda sentence: None)
    with anyio.move_on_after(seconds):
        await worker.run()


@pytest.mark.parametrize("backend", ["console", "locmem"])
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
