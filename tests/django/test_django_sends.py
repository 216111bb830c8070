"""`send_sms` by each backend: once for a key, refused alike, told by signals that break nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.dispatch import Signal

from tests.django.conftest import Configure
from vavasms.django import SmsMessage, asend_sms, get_sms, outbox, send_sms
from vavasms.django.process import forget_settings
from vavasms.django.signals import sent, unknown
from vavasms.errors import (
    ConfigurationError,
    IdempotencyConflictError,
    InvalidInputError,
    NotSentError,
    OutcomeUnknownError,
    VavaSMSError,
)
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, SandboxServer

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"
#: A receiver's error may hold what it was called with.
SECRET = "0700000001"


@pytest.fixture
def heard() -> Iterator[Callable[[Signal], list[dict[str, Any]]]]:
    """Yield what listens to a signal, and returns the list of what it hears."""
    connected: list[tuple[Signal, Any]] = []

    def listen(signal: Signal) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def hear(signal: Signal, sender: object, **values: Any) -> None:
            calls.append(values)

        signal.connect(hear, weak=False)
        connected.append((signal, hear))
        return calls

    yield listen
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def failing() -> Iterator[None]:
    def fail(**_values: Any) -> None:
        raise RuntimeError(SECRET)

    for signal in (sent, unknown):
        signal.connect(fail)
    yield
    for signal in (sent, unknown):
        signal.disconnect(fail)


@pytest.mark.parametrize("backend", ["gateway", "sandbox", "console", "locmem"])
def test_a_key_sends_once_by_every_backend(
    configure: Configure,
    backend: str,
    sandbox: SandboxServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    heard: Any,
) -> None:
    configure(BACKEND=backend, LEDGER=tmp_path / "sms.db")
    told = heard(sent)
    lots = [send_sms(TO, TEXT, idempotency_key="order-42") for _ in range(2)]
    assert [lot.replayed for lot in lots] == [False, True]
    assert lots[0].message_ids == lots[1].message_ids
    with pytest.raises(IdempotencyConflictError):
        send_sms(TO, "Autre chose", idempotency_key="order-42")
    reached = {
        "console": capsys.readouterr().out.count(TEXT),
        "locmem": len(outbox),
        "gateway": len(sandbox.gateway.journal.entries),
    }
    assert reached == {**dict.fromkeys(reached, 0), backend.replace("sandbox", "gateway"): 1}
    (call,) = told
    assert (call["idempotency_key"], call["recipients"], call["lot"]) == ("order-42", (TO[1:],), lots[0])


@pytest.mark.parametrize("backend", ["gateway", "console", "locmem"])
def test_what_cannot_be_sent_is_refused_by_every_backend(configure: Configure, backend: str) -> None:
    configure(BACKEND=backend)
    refused: list[tuple[tuple[Any, Any], dict[str, Any]]] = [
        (("07", TEXT), {}),
        (([], TEXT), {}),
        ((b"0700000001", TEXT), {}),
        ((TO, ""), {}),
        ((TO, TEXT), {"sender_id": "no"}),
    ]
    for arguments, options in refused:
        with pytest.raises(InvalidInputError):
            send_sms(*arguments, **options)
    with pytest.raises(ConfigurationError, match="VAVASMS") as raised:
        send_sms(TO, TEXT, idempotency_key="order-42")
    assert raised.value.error_code == "config.no_ledger"
    assert len(outbox) == 0


def test_a_send_without_a_key_needs_no_ledger(configure: Configure, sandbox: SandboxServer) -> None:
    send_sms([TO, "0700000002", TO], TEXT, sender_id="ACME")
    (entry,) = sandbox.gateway.journal.entries
    assert (entry.sender_id, entry.to) == ("ACME", "2250700000001,2250700000002")


def test_the_outbox_has_what_a_test_asks_for(configure: Configure) -> None:
    configure(BACKEND="locmem")
    send_sms([TO, "0700000002"], TEXT, sender_id="ACME")
    assert outbox[0] == SmsMessage(recipients=("2250700000001", "2250700000002"), text=TEXT, sender_id="ACME")  # type: ignore[arg-type]
    assert outbox[0].to == [TO, "+2250700000002"]
    assert TEXT not in repr(outbox)
    assert SECRET not in repr(outbox)


class Pigeon:
    """A backend of a project's own."""

    def send(self, message: SmsMessage) -> Lot:
        return Lot(lot_id="coo", message_ids=(), description="", recipients=message.recipients)


def test_a_backend_of_ones_own_is_named_by_its_path(configure: Configure) -> None:
    configure(BACKEND=f"{__name__}.Pigeon")
    assert send_sms(TO, TEXT).lot_id == "coo"
    configure()
    assert send_sms(TO, TEXT, backend=f"{__name__}.Pigeon").lot_id == "coo"
    with pytest.raises(ConfigurationError, match="names no backend"):
        send_sms(TO, TEXT, backend="owl")


def test_the_sandboxs_backend_never_leaves_this_machine(configure: Configure) -> None:
    configure(BACKEND="sandbox", BASE_URL="https://vavasms.com/api")
    with pytest.raises(ConfigurationError, match="on this machine"):
        send_sms(TO, TEXT)


def test_what_is_unknown_is_told_and_never_sent_again(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path, heard: Any
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    told, accepted = heard(unknown), heard(sent)
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            send_sms(TO, TEXT, idempotency_key="order-42")
    (call,) = told
    assert (call["idempotency_key"], call["recipients"]) == ("order-42", (TO[1:],))
    assert call["error"].startswith("OutcomeUnknownError: ")
    assert accepted == []


def test_what_was_not_sent_is_told_by_its_error_alone(
    configure: Configure, sandbox: SandboxServer, heard: Any, no_backoff: None
) -> None:
    told = heard(unknown), heard(sent)
    with sandbox.refuse(), pytest.raises(NotSentError):
        send_sms(TO, TEXT)
    assert told == ([], [])


@pytest.mark.usefixtures("failing")
def test_a_receiver_that_raises_changes_nothing_and_its_words_stay_out_of_the_log(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, heard: Any
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    told = heard(sent)
    assert [send_sms(TO, TEXT, idempotency_key="order-42").replayed for _ in range(2)] == [False, True]
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    with pytest.raises(OutcomeUnknownError):
        send_sms(TO, TEXT, idempotency_key="order-43")
    assert len(told) == 1
    log = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(" at ")[0] for line in log] == [
        "A receiver of the signal sent failed (RuntimeError",
        "A receiver of the signal unknown failed (RuntimeError",
    ]
    assert SECRET not in caplog.text


def test_threads_share_one_client_and_a_key_sends_once(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    barrier = threading.Barrier(8)

    def post(_number: int) -> tuple[bool, int]:
        barrier.wait(10)
        return send_sms(TO, TEXT, idempotency_key="order-42").replayed, id(get_sms())

    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(post, range(8))]
    assert sorted(replayed for replayed, _client in answers) == [False] + [True] * 7
    assert len({client for _replayed, client in answers}) == 1
    assert len(sandbox.gateway.journal.entries) == 1


def test_settings_that_change_make_another_client(configure: Configure) -> None:
    first = get_sms()
    assert get_sms() is first
    configure(SENDER_ID="ACME")
    assert get_sms() is not first
    with pytest.raises(VavaSMSError):
        first.balance()


def test_an_async_view_sends_while_its_loop_goes_on(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path, heard: Any
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    told = heard(sent)
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=0.4))

    async def view() -> int:
        turns, send = 0, asyncio.ensure_future(asend_sms(TO, TEXT, idempotency_key="order-42"))
        while not send.done():
            turns += 1
            await asyncio.sleep(0.01)
        assert send.result().replayed is False
        assert (await asend_sms(TO, TEXT, idempotency_key="order-42")).replayed is True
        return turns

    assert asyncio.run(view()) > 10
    assert len(told) == 1
    with pytest.raises(InvalidInputError):
        asyncio.run(asend_sms("07", TEXT))


def test_a_view_that_is_cancelled_leaves_no_unknown_behind(
    configure: Configure, sandbox: SandboxServer, tmp_path: Path, heard: Any
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    told = heard(sent)
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=0.4))

    async def serve() -> None:
        view = asyncio.ensure_future(asend_sms(TO, TEXT, idempotency_key="order-42"))
        await asyncio.sleep(0.2)
        view.cancel()
        with pytest.raises(asyncio.CancelledError):
            await view
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    asyncio.run(serve())
    assert [call["idempotency_key"] for call in told] == ["order-42"]
    assert send_sms(TO, TEXT, idempotency_key="order-42").replayed is True


def test_an_async_view_hears_of_an_error_as_a_plain_one_does(
    configure: Configure, sandbox: SandboxServer, heard: Any
) -> None:
    told = heard(unknown)
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    with pytest.raises(OutcomeUnknownError):
        asyncio.run(asend_sms(TO, TEXT))
    assert [call["idempotency_key"] for call in told] == [None]


def test_a_send_whose_loop_ends_before_it_is_no_fault_of_ours(
    configure: Configure, sandbox: SandboxServer
) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=0.3))

    async def leave() -> None:
        asyncio.ensure_future(asend_sms(TO, TEXT))  # noqa: RUF006  nobody waits for it
        await asyncio.sleep(0.1)

    asyncio.run(leave())
    assert sandbox.faults.wait_taken(1)


def test_other_settings_leave_the_client_alone(configure: Configure) -> None:
    client = get_sms()
    forget_settings(setting="DEBUG")
    assert get_sms() is client


@pytest.mark.parametrize("test", [1, 2])
def test_the_plugin_empties_the_outbox_before_each_test(test: int) -> None:
    message = SmsMessage(recipients=(Msisdn(TO[1:]),), text=TEXT, idempotency_key="order-42")
    assert (outbox.send(message).replayed, len(outbox)) == (False, 1)


def test_a_receiver_with_a_savepoint_of_its_own_spoils_no_transaction(file: str) -> None:
    def hear(**_values: Any) -> None:
        with transaction.atomic():
            Group.objects.create(name="order-42")

    sent.connect(hear)
    try:
        with transaction.atomic():
            Group.objects.create(name="order-42")
            assert send_sms(TO, TEXT).message_ids
            Group.objects.create(name="order-43")
    finally:
        sent.disconnect(hear)
    assert Group.objects.count() == 2
