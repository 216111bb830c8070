"""A client with a ledger: what its calls come to when others, the disk or the loop are in the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import pytest

from tests.cutoff import cut_off_after
from vavasms import AsyncVavaSMS, Timeouts, VavaSMS
from vavasms.errors import (
    ConfigurationError,
    IdempotencyConflictError,
    InvalidInputError,
    LedgerError,
    Outcome,
    OutcomeUnknownError,
    SendInProgressError,
    ServerError,
)
from vavasms.ledger.leases import ORPHAN_AFTER
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = pytest.mark.anyio

TO, TEXT, PATH = "+2250705000301", "Bonjour", "/v1/text/single"
SLOW = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.5)


def options(sandbox: SandboxServer, place: Any, **more: Any) -> dict[str, Any]:
    return {
        "username": "sandbox@example.com",
        "password": "sandbox",
        "sender_id": "SANDBOX",
        "base_url": sandbox.url,
        "ledger": place,
        **more,
    }


@asynccontextmanager
async def connect(sandbox: SandboxServer, place: Any, **more: Any) -> AsyncIterator[AsyncVavaSMS]:
    async with AsyncVavaSMS(**options(sandbox, place, **more)) as sms:
        yield sms


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "sms.db"


async def test_every_send_is_kept_with_a_key_of_its_own(sandbox: SandboxServer, place: Path) -> None:
    async with connect(sandbox, str(place), keep_texts=True) as sms:
        lots = [await sms.send([TO, "+2250705000302"], TEXT) for _ in range(2)]
        assert [lot.replayed for lot in lots] == [False, False]
    async with await SqliteLedger.open(place) as ledger:
        records = await ledger.sends.records(None, states=tuple(BatchState), since=0.0, limit=9)
    assert len({record.key for record in records}) == 2
    assert {(record.outcome, record.text, len(record.recipients)) for record in records} == {
        (Outcome.ACCEPTED, TEXT, 2)
    }
    assert b"Bonjour" in await anyio.Path(place).read_bytes()


async def test_the_text_itself_is_not_kept(sandbox: SandboxServer, place: Path) -> None:
    async with connect(sandbox, place) as sms:
        await sms.send(TO, "Un texte tres secret", idempotency_key="k")
    assert b"tres secret" not in await anyio.Path(place).read_bytes()


async def test_a_call_waits_for_what_another_has_under_way(sandbox: SandboxServer, place: Path) -> None:
    sandbox.faults.script(SLOW, path=PATH)
    lots = []
    async with connect(sandbox, place) as sms, connect(sandbox, place) as other:

        async def send(client: AsyncVavaSMS) -> None:
            lots.append(await client.send(TO, TEXT, idempotency_key="k"))

        async with anyio.create_task_group() as tasks:
            for client in (sms, sms, other):
                tasks.start_soon(send, client)
    assert sorted(lot.replayed for lot in lots) == [False, True, True]
    assert len({lot.message_ids for lot in lots}) == len(sandbox.gateway.journal) == 1


async def test_what_takes_too_long_is_in_progress_and_sends_nothing(
    sandbox: SandboxServer, place: Path
) -> None:
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=2.0)
    sandbox.faults.script(stall, path=PATH)
    hasty = Timeouts(connect=0.1, write=0.1, pool=0.1, read=0.1, send=0.2)
    async with (
        connect(sandbox, place) as sms,
        connect(sandbox, place, timeouts=hasty) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(lambda: sms.send(TO, TEXT, idempotency_key="k"))
        while not len(sandbox.gateway.journal):
            await anyio.sleep(0.01)
        with pytest.raises(SendInProgressError) as raised:
            await other.send(TO, TEXT, idempotency_key="k")
        assert not raised.value.safe_to_retry
        with pytest.raises(IdempotencyConflictError):
            await other.send(TO, "Autre", idempotency_key="k")
    assert len(sandbox.gateway.journal) == 1


async def test_a_cancelled_send_leaves_its_outcome(sandbox: SandboxServer, place: Path) -> None:
    sandbox.faults.script(SLOW, path=PATH)
    async with connect(sandbox, place) as sms:
        async with cut_off_after(sandbox, 1):
            await sms.send(TO, TEXT, idempotency_key="k")
        record = await sms.sent("k")
        assert record is not None
        assert record.outcome is Outcome.UNKNOWN
        with pytest.raises(OutcomeUnknownError, match="nobody knows"):
            await sms.send(TO, TEXT, idempotency_key="k")
        with pytest.raises(InvalidInputError, match=r"^sent is True or False; nothing was changed.$"):
            await sms.resolve("k", sent="no")  # type: ignore[arg-type]
        record = await sms.resolve("k", sent=True, note="Seen on the phone")
        assert (record.outcome, record.error) == (Outcome.ACCEPTED, "Seen on the phone")
        assert (await sms.send(TO, TEXT, idempotency_key="k")).replayed


async def test_what_was_refused_may_be_sent_by_the_next_call(sandbox: SandboxServer, place: Path) -> None:
    refused = Fault(kind=FaultKind.RAW, body=b'{"code": 902, "message": "INVALID_SENDER_ID"}')
    sandbox.faults.script(refused, path=PATH)
    async with connect(sandbox, place) as sms:
        with pytest.raises(Exception, match=r"902|sender"):
            await sms.send(TO, TEXT, idempotency_key="k")
        record = await sms.sent("k")
        assert record is not None
        assert record.outcome is Outcome.REJECTED
        lot = await sms.send(TO, TEXT, idempotency_key="k")
    assert (lot.replayed, len(sandbox.gateway.journal)) == (False, 1)


class FailingSends(SqliteSends):
    """A store whose disk is full at the words that are named."""

    failing: set[str]

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        begun = await super().begin(new, token=token, now=now)
        if "begin" in self.failing:
            raise LedgerError("The answer was lost.")
        return begun

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        if "settle" in self.failing:
            raise LedgerError("The disk is full.")
        return await super().settle(claim, event, record, now=now, not_before=not_before)


class FailingLedger(SqliteLedger):
    """A ledger on such a store."""

    def fail(self, *words: str) -> None:
        if not isinstance(self._sends, FailingSends):
            self._sends = FailingSends(self._database)
        self._sends.failing = set(words)


async def test_a_claim_whose_answer_was_lost_sends_nothing_and_is_taken_back(
    sandbox: SandboxServer, place: Path
) -> None:
    async with await FailingLedger.open(place) as ledger, connect(sandbox, ledger) as sms:
        ledger.fail("begin")
        with pytest.raises(LedgerError) as raised:
            await sms.send(TO, TEXT, idempotency_key="k")
        assert raised.value.safe_to_retry
        assert len(sandbox.gateway.journal) == 0
        ledger.fail()
        assert not (await sms.send(TO, TEXT, idempotency_key="k")).replayed
    assert len(sandbox.gateway.journal) == 1


@pytest.mark.parametrize(
    "fault", [None, Fault(kind=FaultKind.STATUS, status=503)], ids=["accepted", "failed"]
)
async def test_an_outcome_that_the_ledger_does_not_take_is_told_and_written_later(
    sandbox: SandboxServer, place: Path, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    if fault is not None:
        sandbox.faults.script(fault, path=PATH)
    async with await FailingLedger.open(place) as ledger, connect(sandbox, ledger) as sms:
        ledger.fail("settle")
        if fault is None:
            lot = await sms.send(TO, TEXT, idempotency_key="k")
        else:
            with pytest.raises(ServerError):
                await sms.send(TO, TEXT, idempotency_key="k")
        assert "could not be written yet" in caplog.text
        record = await sms.sent("k")
        assert record is not None
        assert record.state is BatchState.SENDING
        ledger.fail()
        # The next call of the client writes it first.
        await sms.send("+2250705000309", TEXT, idempotency_key="other")
        record = await sms.sent("k")
        assert record is not None
        assert record.outcome is (Outcome.ACCEPTED if fault is None else Outcome.UNKNOWN)
        if fault is None:
            assert record.message_ids == lot.message_ids


async def test_a_process_that_died_leaves_its_key_unknown(sandbox: SandboxServer, place: Path) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30), path=PATH)
    script = f"""
import asyncio
from vavasms import AsyncVavaSMS
async def main():
    async with AsyncVavaSMS(**{options(sandbox, str(place))!r}) as sms:
        await sms.send({TO!r}, {TEXT!r}, idempotency_key="k")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script]) as process:  # noqa: ASYNC220  it is killed
        with anyio.fail_after(20):
            while not len(sandbox.gateway.journal):
                await anyio.sleep(0.02)
        async with connect(sandbox, place) as sms:
            record = await sms.sent("k")
            assert record is not None
            assert record.state is BatchState.SENDING
            process.kill()
            process.wait()
            with pytest.raises(OutcomeUnknownError, match="nobody knows"):
                await sms.send(TO, TEXT, idempotency_key="k")
    assert len(sandbox.gateway.journal) == 1


async def test_nothing_is_claimed_in_a_ledger_that_is_closed(
    sandbox: SandboxServer, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = await SqliteLedger.open(place)
    await ledger.aclose()
    async with connect(sandbox, ledger) as sms:
        with pytest.raises(LedgerError, match="closed") as caught:
            await sms.send(TO, TEXT, idempotency_key="k")
    assert caught.value.outcome is Outcome.NOT_SENT
    # Nothing is left that closing would wait for.
    assert caplog.messages == []
    assert len(sandbox.gateway.journal) == 0


async def test_a_ledger_that_closes_with_a_send_under_way_is_not_taken_for_dead(
    sandbox: SandboxServer, place: Path
) -> None:
    async with await SqliteLedger.open(place) as other:
        async with await SqliteLedger.open(place) as ledger:
            new = NewSend(
                account="a", key="k", recipients=(Msisdn(TO[1:]),), sender_id=None, segments=1, text=TEXT
            )
            assert isinstance(await ledger.sends.begin(new, token="t", now=1.0), SendClaim)
        assert await other.sends.reap(now=2.0) == 0
        with pytest.raises(LedgerError, match="closed"):
            await ledger.sends.begin(new, token="u", now=1.0)


def test_an_open_ledger_is_used_in_one_loop_at_a_time(
    sandbox: SandboxServer, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with await SqliteLedger.open(place) as ledger:
            await ledger.now()
            await ledger.opted_out()
            async with connect(sandbox, ledger) as sms:
                await sms.send(TO, TEXT)

                async def elsewhere() -> None:
                    async with connect(sandbox, ledger) as other:
                        await other.send(TO, TEXT)

                with pytest.raises(ConfigurationError, match="another event loop"):
                    await anyio.to_thread.run_sync(lambda: asyncio.run(elsewhere()))

    asyncio.run(main())
    assert len(sandbox.gateway.journal) == 1
    # Nothing was claimed, so nothing is left that closing would wait for.
    assert caplog.messages == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_person_decides_by_the_ledgers_time_and_not_by_a_machines(
    sandbox: SandboxServer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await PostgresLedger.open(postgres) as ledger, connect(sandbox, ledger) as sms:
        account, now, key = sms.account.name, await ledger.now(), f"clock-{token_hex(4)}"
        new = NewSend(
            account=account, key=key, recipients=(Msisdn(TO[1:]),), sender_id=None, segments=1, text=TEXT
        )
        assert isinstance(await ledger.sends.begin(new, token=key, now=now), SendClaim)
        await ledger.sends.reap(now=now + ORPHAN_AFTER + 1)
        ahead = time.time() + 86_400
        monkeypatch.setattr("time.time", lambda: ahead)
        # Whoever was taken for dead may live, and still send.
        with pytest.raises(InvalidInputError, match="moment ago"):
            await sms.resolve(key, sent=False)


async def test_enqueued_is_kept_until_it_is_due(sandbox: SandboxServer, place: Path) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    async with connect(sandbox, place) as sms:
        record = await sms.enqueue(TO, TEXT, not_before=due)
        assert (record.state, record.not_before, record.text) == (BatchState.QUEUED, due.timestamp(), TEXT)
        with pytest.raises(InvalidInputError, match="time zone"):
            await sms.enqueue(TO, TEXT, not_before=datetime(2026, 12, 1))  # noqa: DTZ001
        with pytest.raises(InvalidInputError):
            await sms.enqueue(TO, "")
    assert len(sandbox.gateway.journal) == 0


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\u200b", "\x00", 5, None])
async def test_a_key_that_can_be_none_is_refused_before_anything_is_sent(
    sandbox: SandboxServer, place: Path, key: Any
) -> None:
    async with connect(sandbox, place) as sms:
        if key is not None:
            with pytest.raises(InvalidInputError, match="idempotency_key") as raised:
                await sms.send(TO, TEXT, idempotency_key=key)
            assert raised.value.argument == "idempotency_key"
        if not key or not isinstance(key, str):
            with pytest.raises(InvalidInputError):
                await sms.sent(key)
    assert len(sandbox.gateway.journal) == 0


async def test_without_a_ledger_a_key_is_no_protection_and_is_refused(sandbox: SandboxServer) -> None:
    async with connect(sandbox, None) as sms:
        for call in (
            sms.send(TO, TEXT, idempotency_key="k"),
            sms.enqueue(TO, TEXT),
            sms.sent("k"),
            sms.resolve("k", sent=True),
        ):
            with pytest.raises(ConfigurationError, match="need a ledger"):
                await call
    assert len(sandbox.gateway.journal) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"ledger": 5},
        {"ledger": "mysql://host/name"},
        {"keep": timedelta(hours=1)},
        {"keep": 30},
    ],
    ids=["no ledger", "another database", "too short", "no time"],
)
async def test_settings_of_no_use_are_refused(sandbox: SandboxServer, place: Path, wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        AsyncVavaSMS(**{**options(sandbox, place), **wrong})


async def test_a_ledger_that_cannot_be_made_sends_nothing(sandbox: SandboxServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with connect(sandbox, tmp_path / "file" / "sms.db") as sms:
        with pytest.raises(LedgerError):
            await sms.send(TO, TEXT, idempotency_key="k")
    assert len(sandbox.gateway.journal) == 0


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_database_needs_asyncio(sandbox: SandboxServer) -> None:
    async with connect(sandbox, "postgresql://nobody@127.0.0.1/none") as sms:
        with pytest.raises(ConfigurationError, match="asyncio"):
            await sms.send(TO, TEXT, idempotency_key="k")
    assert len(sandbox.gateway.journal) == 0


def test_one_client_may_be_used_in_one_loop_after_the_other_and_in_several(
    sandbox: SandboxServer, place: Path, anyio_backend: str
) -> None:
    sms = AsyncVavaSMS(**options(sandbox, place))

    async def send() -> bool:
        try:
            return (await sms.send(TO, TEXT, idempotency_key="k")).replayed
        finally:
            # What a loop leaves behind as it ends is closed by nobody, and warned of.
            for own in (sms._keeper, sms._transport._pools.current()):
                if own is not None:
                    await own.aclose()

    first = [asyncio.run(send()) for _ in range(2)]
    threads = [threading.Thread(target=lambda: first.append(asyncio.run(send()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert first == [False, *[True] * 5]
    assert len(sandbox.gateway.journal) == 1


def test_without_await_it_is_the_same(sandbox: SandboxServer, place: Path, anyio_backend: str) -> None:
    with VavaSMS(**options(sandbox, place)) as sms:
        assert not sms.send(TO, TEXT, idempotency_key="k").replayed
        assert sms.send(TO, TEXT, idempotency_key="k").replayed
        record = sms.sent("k")
        assert record is not None
        assert record.outcome is Outcome.ACCEPTED
        assert sms.enqueue(TO, TEXT, idempotency_key="later").state is BatchState.QUEUED
        with pytest.raises(InvalidInputError, match="only what is unknown"):
            sms.resolve("k", sent=True)
    assert len(sandbox.gateway.journal) == 1
