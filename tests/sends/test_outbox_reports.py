"""`on_send` is called beside the sending: whatever it does, what is enqueued goes out, and it is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.sends.test_outbox_worker import TO, connect, decided, ledger, working
from vavasms.errors import LedgerError, Outcome
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.sends import outbox_worker
from vavasms.sends.outbox_worker import SLOTS, OutboxWorker

pytestmark = pytest.mark.anyio

__all__ = ["ledger"]

#: More than are told at once.
MANY = SLOTS + 4


async def until(reached: Callable[[], bool], seconds: float = 10) -> None:
    with anyio.fail_after(seconds):
        while not reached():
            await anyio.sleep(0.02)


def raise_cancelled(_: object) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    future.result()


async def await_cancelled(_: object) -> None:
    task = asyncio.ensure_future(asyncio.sleep(9))
    task.cancel()
    await task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("hook", [raise_cancelled, await_cancelled])
async def test_a_hook_that_waited_for_something_cancelled_cuts_off_no_other_send(
    sandbox: SandboxServer, ledger: SqliteLedger, hook: Callable[[SendRecord], Awaitable[None] | None]
) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=0.0), path="/v1/text/single")
    sandbox.faults.script(*[Fault(kind=FaultKind.STALL, seconds=1.0)] * 3, path="/v1/text/single")
    keys = [f"k{number}" for number in range(4)]
    async with connect(sandbox, ledger) as sms:
        for number, key in enumerate(keys):
            await sms.enqueue(TO.format(200 + number), "Texte", idempotency_key=key)
        worker = OutboxWorker(sms, ledger, on_send=hook)
        run = asyncio.ensure_future(worker.run())
        records = await decided(sms, *keys)
        assert not run.done()
        worker.stop()
        await run
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_hook_of_the_client_that_raises_a_cancellation_cuts_off_no_send(
    sandbox: SandboxServer, ledger: SqliteLedger
) -> None:
    async with (
        connect(sandbox, ledger, on_request=raise_cancelled, on_response=raise_cancelled) as sms,
        working(OutboxWorker(sms, ledger)),
    ):
        for key in ("a", "b"):
            await sms.enqueue(TO.format(210), "Texte", idempotency_key=key)
        records = await decided(sms, "a", "b")
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_cancellation_of_the_worker_itself_goes_through_its_hook(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "_REPORT_GRACE", 60.0)
    begun, ended = anyio.Event(), anyio.Event()

    async def wait(_record: SendRecord) -> None:
        begun.set()
        try:
            await anyio.sleep(60)
        finally:
            ended.set()

    async with connect(sandbox, ledger) as sms:
        await sms.enqueue(TO.format(211), "Texte", idempotency_key="a")
        run = asyncio.ensure_future(OutboxWorker(sms, ledger, on_send=wait).run())
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError), anyio.fail_after(30):
            await run
        # Cut off, it is told again: it does not pass for told.
        assert len(await ledger.sends.untold(sms.account.name, before=float("inf"), limit=1)) == 1
    assert ended.is_set()


async def test_calls_that_hang_keep_no_send_and_no_end_waiting(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "_REPORT_GRACE", 0.3)
    told: list[str] = []

    async def hang(record: SendRecord) -> None:
        told.append(record.key)
        await anyio.sleep_forever()

    keys = [f"k{number}" for number in range(MANY)]
    async with connect(sandbox, ledger) as sms:
        with anyio.fail_after(15):
            async with working(OutboxWorker(sms, ledger, on_send=hang)):
                for number, key in enumerate(keys):
                    await sms.enqueue(TO.format(220 + number), "Texte", idempotency_key=key)
                records = await decided(sms, *keys)
        # What was cut off is told by whoever works next.
        monkeypatch.setattr(outbox_worker, "_REPORTED_WITHIN", 0.0)
        again: list[str] = []
        async with working(OutboxWorker(sms, ledger, on_send=lambda record: again.append(record.key))):
            await until(lambda: len(again) == MANY)
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert len(told) <= SLOTS
    assert sorted(again) == sorted(keys)


async def test_a_call_that_takes_long_is_not_repeated_while_it_runs(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "_REPORTED_WITHIN", 0.0)
    monkeypatch.setattr(outbox_worker, "_MAINTENANCE", 0.05)
    told: list[str] = []

    async def take_long(record: SendRecord) -> None:
        told.append(record.key)
        await anyio.sleep(0.6)

    async with connect(sandbox, ledger) as sms, working(OutboxWorker(sms, ledger, on_send=take_long)):
        await sms.enqueue(TO.format(240), "Texte", idempotency_key="k")
        await until(lambda: bool(told))
        await anyio.sleep(1.0)
    assert told == ["k"]


async def test_what_was_told_while_the_ledger_took_no_write_is_noted_later_and_not_told_again(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "_REPORTED_WITHIN", 0.0)
    monkeypatch.setattr(outbox_worker, "_MAINTENANCE", 0.05)
    note_told, refused, told = SqliteSends.note_told, 0, []

    async def refuse_twice(self: SqliteSends, record: SendRecord) -> None:
        nonlocal refused
        refused += 1
        if refused <= 2:
            raise LedgerError("It took no write.")
        await note_told(self, record)

    monkeypatch.setattr(SqliteSends, "note_told", refuse_twice)
    async with connect(sandbox, ledger) as sms:
        async with working(OutboxWorker(sms, ledger, on_send=lambda record: told.append(record.key))):
            await sms.enqueue(TO.format(241), "Texte", idempotency_key="k")
            await until(lambda: refused >= 3)
            await anyio.sleep(0.3)
        assert not await ledger.sends.untold(sms.account.name, before=float("inf"), limit=1)
    assert told == ["k"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_is_cut_off_while_it_settles_tells_nobody_and_waits_for_the_ledger_at_rest(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, settling, may_settle = SqliteSends.settle, set[str](), {"a": anyio.Event(), "b": anyio.Event()}

    async def wait(self: SqliteSends, claim: Any, *args: Any, **options: Any) -> object:
        settling.add(claim.key)
        await may_settle[claim.key].wait()
        return await settle(self, claim, *args, **options)

    monkeypatch.setattr(SqliteSends, "settle", wait)
    told: list[str] = []
    async with connect(sandbox, ledger) as sms:
        for number, key in enumerate(may_settle):
            await sms.enqueue(TO.format(242 + number), "Texte", idempotency_key=key)
        worker = OutboxWorker(sms, ledger, on_send=lambda record: told.append(record.key))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            await until(lambda: len(settling) == 2)
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                may_settle["a"].set()
                rounds = await count_rounds(0.5)
                may_settle["b"].set()
        records = await decided(sms, *may_settle)
        left = await ledger.sends.untold(sms.account.name, before=float("inf"), limit=9)
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    # anyio does not end what is started in a group whose cancellation it has delivered: it ran in circles.
    assert rounds < 200
    assert not told
    # Whoever works next tells of them.
    assert sorted(record.key for record in left) == ["a", "b"]


async def count_rounds(seconds: float) -> int:
    """Wait for so long; return how often the event loop went round meanwhile."""
    loop: Any = asyncio.get_running_loop()
    run_once, rounds = loop._run_once, 0

    def count() -> None:
        nonlocal rounds
        rounds += 1
        run_once()

    loop._run_once = count
    try:
        await anyio.sleep(seconds)
    finally:
        del loop._run_once
    return rounds
