"""What a ledger that many workers share must do beyond the contract: all at once, and jobs within."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import anyio
import psycopg
import pytest
from anyio.to_thread import run_sync
from psycopg.conninfo import make_conninfo

from tests.campaigns.crew import ask, jobs, open_empty, until
from tests.storage.bridge import Bridge
from vavasms.campaigns.report import read_report
from vavasms.errors import LedgerError
from vavasms.ledger.leases import RESEND_GRACE
from vavasms.ledger.models import BatchRecord, Claim, Delivery, NewBatch, NewCampaign
from vavasms.ledger.postgres.claims import claim as write_claim
from vavasms.ledger.postgres.jobs import queue_of
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.rows import Intent
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.storage.postgres.connection import Connection

pytestmark = pytest.mark.anyio

NOTHING = BatchRecord()


@pytest.fixture
def anyio_backend() -> str:
    """psycopg is for asyncio."""
    return "asyncio"


@pytest.fixture
async def ledger(postgres: str) -> AsyncIterator[PostgresLedger]:
    """Yield an empty ledger of twelve connections."""
    async with open_empty(postgres, connections=12) as ledger:
        async with anyio.create_task_group() as tasks:
            for _ in range(24):
                # The pool grows where many wait.
                tasks.start_soon(ledger.opted_out)
        yield ledger


async def begin(
    ledger: PostgresLedger,
    campaign_id: str,
    *sizes: int,
    max_segments: int | None = None,
    daily_cap: int | None = None,
    policy: str = "{}",
) -> None:
    """Start a campaign; every campaign has the same recipients."""
    new = NewCampaign(
        id=campaign_id,
        account="ops",
        sender_id="ACME",
        message="Bonjour",
        created_at=1.0,
        max_segments=max_segments,
        daily_cap=daily_cap,
        policy=policy,
    )
    await ledger.create(new)
    first, batches = 2250700000100, []
    for number, size in enumerate(sizes):
        people = tuple(Msisdn(first + index) for index in range(size))
        batches.append(NewBatch(number=number, message="Bonjour", segments=1, recipients=people))
        first += size
    await ledger.load(campaign_id, batches)
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash="h")
    assert await ledger.start(campaign_id)


async def claim(
    ledger: PostgresLedger, campaign_id: str, number: int = 0, *, worker: str = "w"
) -> Claim | None:
    token = f"{campaign_id}-{number}-{worker}"
    return await ledger.claim(campaign_id, number, token=token, worker=worker, now=1000.0)


async def take(ledger: PostgresLedger, campaign_id: str, number: int = 0) -> Claim:
    made = await claim(ledger, campaign_id, number)
    assert made is not None
    return made


async def at_once(calls: Sequence[Callable[[], Awaitable[Claim | None]]]) -> list[Claim]:
    made: list[Claim] = []

    async def call(each: Callable[[], Awaitable[Claim | None]]) -> None:
        found = await each()
        if found is not None:
            made.append(found)

    async with anyio.create_task_group() as tasks:
        for each in calls:
            tasks.start_soon(call, each)
    return made


async def test_of_many_workers_one_has_a_batch(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[2] * 10)
    calls = [
        partial(claim, ledger, "c", number, worker=f"w{index}") for number in range(10) for index in range(4)
    ]
    made = await at_once(calls)
    assert sorted(made_claim.number for made_claim in made) == list(range(10))


async def test_of_many_workers_with_connections_of_their_own_one_has_a_batch(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", *[1] * 60)
    async with await PostgresLedger.open(postgres) as other:
        # What a worker has wait is claimed in one statement: in whatever order, none waits for the other for ever.
        calls = [partial(claim, other, "c", number, worker="other") for number in reversed(range(60))]
        made = await at_once([*(partial(claim, ledger, "c", number) for number in range(60)), *calls])
        assert sorted(each.number for each in made) == list(range(60))
        settled = [
            partial(who.settle, made_claim, BatchEvent.ACCEPT, BatchRecord(lot_id=made_claim.token))
            for made_claim in made
            for who in (ledger, other)
        ]
        async with anyio.create_task_group() as tasks:
            for call in settled:
                tasks.start_soon(call)
    # Each has its own answer, though they were written together.
    records = {batch.number: batch.record.lot_id for batch in await ledger.batches("c", after=-1, limit=100)}
    assert records == {each.number: each.token for each in made}
    # A worker lives for months: nothing is kept of what is over.
    assert not ledger._gathered
    assert (await ledger.status("c")).accepted == 60


async def test_claims_that_are_written_together_are_for_their_own_recipients(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *range(1, 21))
    made = await at_once([partial(claim, ledger, "c", number) for number in range(20)])
    assert {made_claim.number: len(made_claim.recipients) for made_claim in made} == {
        number: number + 1 for number in range(20)
    }
    assert len({phone for each in made for phone in each.recipients}) == 210
    assert {each.token for each in made} == {f"c-{number}-w" for number in range(20)}


async def test_what_is_claimed_twice_in_one_statement_is_claimed_once(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", 1, 1)
    calls = [
        partial(claim, ledger, "c", number, worker=f"w{index}") for number in (0, 1) for index in range(5)
    ]
    made = await at_once(calls)
    assert sorted(each.number for each in made) == [0, 1]
    stored = {made_claim.number: made_claim for made_claim in made}
    assert [await ledger.settle(stored[number], BatchEvent.ACCEPT, NOTHING) for number in (0, 1)] == [
        True,
        True,
    ]


async def test_a_budget_is_never_overspent_by_claims_that_come_together(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[1] * 40, max_segments=7)
    made = await at_once([partial(claim, ledger, "c", number) for number in range(40)])
    status = await ledger.status("c")
    assert (len(made), status.segments, status.state) == (7, 7, CampaignState.PAUSED)


@pytest.mark.parametrize("size", [1, 100])
async def test_a_cap_holds_for_campaigns_that_claim_the_same_recipient_together(
    ledger: PostgresLedger, postgres: str, size: int
) -> None:
    for each in ("a", "b"):
        await begin(ledger, each, size, daily_cap=1)
    claimed, ended = anyio.Event(), anyio.Event()
    made: list[Claim | None] = []

    async def first(connection: Connection) -> None:
        intent = Intent(campaign_id="a", number=0, token="t", worker="w", now=1000.0, balance=None)
        made.append(await write_claim(connection, intent))
        claimed.set()
        # Its commit waits until the other one can go no further.
        while not (ended.is_set() or await run_sync(_waits, postgres)):
            pass

    async def second() -> None:
        await claimed.wait()
        made.append(await claim(ledger, "b"))
        ended.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second)
            await ledger._database.write(first)
    assert [made_claim is not None for made_claim in made] == [True, False]


def _waits(url: str) -> bool:
    """Return whether anyone waits for a lock."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return rows.fetchone() is not None


async def test_after_a_pause_nothing_is_claimed_that_was_not_claimed_before(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[1] * 60)
    before = -1

    async def pause() -> None:
        nonlocal before
        assert await ledger.pause("c", "lunch")
        before = (await ledger.status("c")).sending

    async with anyio.create_task_group() as tasks:
        for number in range(60):
            tasks.start_soon(partial(claim, ledger, "c", number))
            if number == 20:
                tasks.start_soon(pause)
    assert (await ledger.status("c")).sending == before


async def test_whatever_comes_together_with_a_cancel_nothing_stays_queued(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[2] * 20)
    made = [await take(ledger, "c", number) for number in range(20)]
    async with anyio.create_task_group() as tasks:
        for made_claim in made:
            tasks.start_soon(ledger.settle, made_claim, BatchEvent.REQUEUE, NOTHING)
            if made_claim.number == 10:
                tasks.start_soon(ledger.cancel, "c", "enough")
    status = await ledger.status("c")
    assert (status.state, status.queued, status.not_sent) == (CampaignState.CANCELLED, 0, 40)


async def test_batches_that_are_halved_together_have_numbers_of_their_own(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[4] * 6)
    made = [await take(ledger, "c", number) for number in range(6)]
    async with anyio.create_task_group() as tasks:
        for made_claim in made:
            tasks.start_soon(ledger.split, made_claim)
    status = await ledger.status("c")
    assert (status.batches, status.queued) == (12, 24)


async def test_a_rate_is_shared(ledger: PostgresLedger) -> None:
    waits: list[float] = []

    async def reserve() -> None:
        waits.append(await ledger.reserve("ops", 5, rate=10.0, now=1.7e9))

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(reserve)
    assert sorted(waits) == pytest.approx([index * 0.5 for index in range(30)], abs=1e-5)


async def test_only_what_is_under_way_for_long_is_taken_for_lost(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", 1, 1)
    made = await take(ledger, "c")
    assert not await ledger.maintenance.sending(sent_before=1000.0)
    assert not await ledger.maintenance.reap_orphan("c", 0, sent_before=1000.0)
    assert await ledger.maintenance.sending(sent_before=1000.1) == [("c", 0)]
    assert not await ledger.maintenance.reap_orphan("c", 1, sent_before=2000.0)
    assert await ledger.maintenance.reap_orphan("c", 0, sent_before=1000.1)
    assert not await ledger.maintenance.reap_orphan("c", 0, sent_before=2000.0)
    (unknown,) = await ledger.unknown("c")
    assert unknown.record.error
    assert await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)


async def test_a_runner_excludes_nobody_and_takes_nothing_from_another(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", 1)
    await take(ledger, "c")
    async with ledger.take_over(2000.0) as found, ledger.take_over(2000.0) as other:
        assert found == other == {}
        assert (await ledger.status("c")).sending == 1


def waiting(url: str) -> list[str]:
    """Return the batches for which somebody is to be woken."""
    return sorted(key for key, status in jobs(url) if status == "todo")


async def test_whatever_can_be_claimed_has_a_job_and_one_only(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", 1, 2, 2)
    assert waiting(postgres) == ["c/0", "c/1", "c/2"]
    ask(postgres, "UPDATE vavasms_jobs.procrastinate_jobs SET status = 'doing'")
    await ledger.settle(await take(ledger, "c", 0), BatchEvent.REQUEUE, NOTHING)
    assert waiting(postgres) == ["c/0"]
    assert await ledger.split(await take(ledger, "c", 1)) == (3, 4)
    assert waiting(postgres) == ["c/0", "c/3", "c/4"]
    await ledger.settle(await take(ledger, "c", 2), BatchEvent.MARK_UNKNOWN, NOTHING)
    await ledger.resend("c", [2], sent_before=2000.0)
    assert waiting(postgres) == ["c/0", "c/2", "c/3", "c/4"]
    # A job for it is there already.
    await ledger.settle(await take(ledger, "c", 0), BatchEvent.REQUEUE, NOTHING)
    assert waiting(postgres) == ["c/0", "c/2", "c/3", "c/4"]


async def test_nobody_is_woken_for_what_cannot_be_claimed(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", 1, 2, 2)
    await begin(ledger, "c1", 1)
    made = [await take(ledger, "c", number) for number in (0, 1)]
    await ledger.pause("c", "lunch")
    assert waiting(postgres) == ["c1/0"]
    await ledger.settle(made[0], BatchEvent.REQUEUE, NOTHING)
    await ledger.split(made[1])
    assert waiting(postgres) == ["c1/0"]
    await ledger.start("c")
    assert waiting(postgres) == ["c/0", "c/2", "c/3", "c/4", "c1/0"]
    await ledger.cancel("c", "enough")
    assert waiting(postgres) == ["c1/0"]


async def test_a_job_wakes_nobody_before_its_batch_is_due(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", 1)
    ask(postgres, "DELETE FROM vavasms_jobs.procrastinate_jobs")
    await ledger.settle(await take(ledger, "c"), BatchEvent.REQUEUE, NOTHING, not_before=2_000_000_000.0)
    due = "SELECT extract(epoch FROM scheduled_at)::FLOAT8 FROM vavasms_jobs.procrastinate_jobs"
    assert 0 < ask(postgres, due)[0][0] - 2_000_000_000.0 < 0.1
    # A person who starts it again puts nothing off.
    await ledger.pause("c", "lunch")
    await ledger.start("c")
    assert ask(postgres, due) == [(None,)]


async def test_a_job_holds_no_number_and_no_text_and_no_name_of_an_account(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", 2)
    ((row,),) = ask(postgres, "SELECT job::TEXT FROM vavasms_jobs.procrastinate_jobs AS job")
    assert not [each for each in ("22507", "Bonjour", "ACME", "ops") if each in row]
    assert queue_of("ops") in row


async def test_a_job_and_its_batch_are_committed_together_or_not_at_all(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", 1, 1)
    made = await take(ledger, "c")
    ask(postgres, "DELETE FROM vavasms_jobs.procrastinate_jobs")
    # No job fits.
    check = "CONSTRAINT full_up CHECK (id < 0) NOT VALID"
    ask(postgres, f"ALTER TABLE vavasms_jobs.procrastinate_jobs ADD {check}")
    try:
        with pytest.raises(LedgerError):
            await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
        await ledger.pause("c", "lunch")
        with pytest.raises(LedgerError):
            await ledger.start("c")
        status = await ledger.status("c")
        assert (status.state, status.sending, jobs(postgres)) == (CampaignState.PAUSED, 1, [])
    finally:
        ask(postgres, "ALTER TABLE vavasms_jobs.procrastinate_jobs DROP CONSTRAINT full_up")
    assert await ledger.start("c")
    assert await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    assert waiting(postgres) == ["c/0", "c/1"]


async def test_what_is_turned_back_twice_at_once_has_one_job(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "c", *[1] * 12)
    made = [await take(ledger, "c", number) for number in range(12)]
    ask(postgres, "DELETE FROM vavasms_jobs.procrastinate_jobs")
    async with anyio.create_task_group() as tasks:
        for made_claim in made:
            tasks.start_soon(ledger.settle, made_claim, BatchEvent.REQUEUE, NOTHING)
            tasks.start_soon(partial(ledger.maintenance.wake_jobless, "c", now=2000.0))
    assert waiting(postgres) == sorted(f"c/{number}" for number in range(12))


async def test_what_went_out_just_now_is_not_sent_again_by_a_clock_ahead(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", 1, 1)
    now = time.time()
    for number, at in enumerate((now - RESEND_GRACE + 30.0, now - RESEND_GRACE - 30.0)):
        made = await ledger.claim("c", number, token=f"t{number}", worker="w", now=at)
        assert made is not None
        await ledger.settle(made, BatchEvent.MARK_UNKNOWN, BatchRecord())
    assert await ledger.resend("c", [0, 1], sent_before=now + 86_400.0) == 1
    states = [batch.state for batch in await ledger.batches("c", after=-1, limit=2)]
    assert states == [BatchState.UNKNOWN, BatchState.QUEUED]


async def test_what_comes_back_together_with_a_cancel_stays_in_doubt(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", *[2] * 12)
    for number in range(12):
        assert await ledger.settle(await take(ledger, "c", number), BatchEvent.MARK_UNKNOWN, NOTHING)
    assert await ledger.resend("c", range(12), sent_before=2000.0) == 12
    made = await at_once([partial(claim, ledger, "c", number, worker="second") for number in range(12)])
    async with anyio.create_task_group() as tasks:
        for at, each in enumerate(made):
            tasks.start_soon(ledger.settle, each, BatchEvent.REQUEUE, NOTHING)
            if at == 6:
                tasks.start_soon(ledger.cancel, "c", "enough")
    status = await ledger.status("c")
    assert (status.queued, status.not_sent, status.unknown, status.segments) == (0, 0, 24, 24)


async def test_what_is_turned_back_as_its_job_is_made_elsewhere_keeps_both(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", 1)
    made = await take(ledger, "c")
    ask(postgres, "UPDATE procrastinate_jobs SET status = 'doing'")
    async with await psycopg.AsyncConnection.connect(
        postgres, options="-c search_path=vavasms_jobs"
    ) as other:
        # A worker that stops gives its job back, and has not committed yet.
        await other.execute(
            "SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM procrastinate_jobs"
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.settle, made, BatchEvent.REQUEUE, NOTHING)
            await until(partial(_waits_for_a_lock, postgres))
            await other.commit()
    assert waiting(postgres) == ["c/0"]
    assert (await ledger.status("c")).queued == 1


async def _waits_for_a_lock(url: str) -> bool:
    return bool(
        ask(
            url,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
    )


async def test_what_is_abandoned_waits_a_second_for_the_claims_of_this_moment_and_what_is_settled_does_not(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", 1)
    made = await take(ledger, "c")
    async with await psycopg.AsyncConnection.connect(postgres) as other:
        # As a claim that the server is still at.
        await other.execute("SELECT pg_advisory_xact_lock_shared(1447122497, hashtext('c'))")
        with anyio.fail_after(20):
            with pytest.raises(LedgerError):
                await ledger.abandon("c", 0, made.token)
            assert await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)


async def test_a_claim_and_an_answer_wait_for_whoever_has_the_campaign_alone(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", 1, 1)
    made = await take(ledger, "c")
    done: list[object] = []

    async def claim_other() -> None:
        done.append(await claim(ledger, "c", 1))

    async def accept() -> None:
        done.append(await ledger.settle(made, BatchEvent.ACCEPT, NOTHING))

    async def are_waiting() -> bool:
        query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return len(ask(postgres, query)) == 2

    async with (
        await psycopg.AsyncConnection.connect(postgres) as other,
        anyio.create_task_group() as tasks,
    ):
        # As a pause or a cancel.
        await other.execute("SELECT pg_advisory_xact_lock(1447122497, hashtext('c'))")
        tasks.start_soon(claim_other)
        tasks.start_soon(accept)
        await until(are_waiting)
        assert done == []
        await other.rollback()
    assert len(done) == 2


@pytest.mark.slow
async def test_a_claim_that_the_server_was_still_at_is_turned_back(
    ledger: PostgresLedger, postgres: str
) -> None:
    await begin(ledger, "c", *[1] * 3)
    way = Bridge(postgres)
    server = await asyncio.start_server(way.lead, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        await PostgresLedger.open(
            make_conninfo(postgres, host="127.0.0.1", port=port, sslmode="disable")
        ) as far,
        await psycopg.AsyncConnection.connect(postgres) as other,
    ):
        # The server is slow at the last one.
        await other.execute("SELECT FROM vavasms.batch WHERE number = 2 FOR UPDATE")
        lost: list[int] = []

        async def lose(number: int) -> None:
            with pytest.raises(LedgerError):
                await claim(far, "c", number)
            lost.append(number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lose, 2)
            await until(partial(_waits_for_a_lock, postgres))
            for number in (0, 1):
                tasks.start_soon(lose, number)
            await way.cut()
        way.mend()
        async with anyio.create_task_group() as tasks:
            for number in lost:
                tasks.start_soon(far.abandon, "c", number, f"c-{number}-w")
            await anyio.sleep(0.3)
            await other.rollback()
    status = await ledger.status("c")
    assert (status.sending, status.queued) == (0, 3)


async def test_an_id_that_begins_like_another_has_its_own_jobs(ledger: PostgresLedger, postgres: str) -> None:
    await begin(ledger, "a", 1)
    await begin(ledger, "a/1", 1)
    await ledger.pause("a", "lunch")
    assert waiting(postgres) == ["a/1/0"]


async def test_a_nul_in_what_the_gateway_said_hides_nothing(ledger: PostgresLedger) -> None:
    await begin(ledger, "c", 2)
    record = BatchRecord(lot_id="L\0", message_ids=("a\0b", "c"))
    assert await ledger.settle(await take(ledger, "c"), BatchEvent.ACCEPT, record)
    at = Delivery(message_id="c", status=DeliveryStatus.OTHER, raw_status="se\0nt", at=1.0)
    await ledger.record_deliveries("c", [at])
    assert [row.message_id async for row in read_report(ledger, "c")] == ["a\0b", "c"]
    found = await ledger.deliveries("c", ["a\0b", "c"])
    assert {key: each.raw_status for key, each in found.items()} == {"c": "se\ufffdnt"}


async def test_a_turn_to_track_ends_with_its_connection(ledger: PostgresLedger, postgres: str) -> None:
    holders = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks "
        "WHERE locktype = 'advisory' AND classid = 1447122505 AND granted"
    )
    async with ledger.tracking_turn("ops") as is_ours:
        assert is_ours
        with psycopg.connect(postgres, autocommit=True) as connection:
            assert len(connection.execute(holders).fetchall()) == 1

        async def is_free() -> bool:
            async with ledger.tracking_turn("ops") as is_second:
                return is_second

        with anyio.fail_after(20):
            while not await is_free():
                await anyio.sleep(0.02)


_OPEN_TWICE = """
import asyncio, sys
from vavasms import PostgresLedger

async def main():
    for _ in range(2):
        async with await PostgresLedger.open(sys.argv[1]):
            pass

asyncio.run(main())
"""


def _settings(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return {
            name: (connection.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0]
            for name in ("fsync", "full_page_writes")
        }


@pytest.mark.parametrize("setting", ["on", "off"])
def test_a_server_that_can_forget_what_it_committed_is_warned_of_once(postgres: str, setting: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        before = connection.execute("SHOW full_page_writes").fetchone()
        assert before is not None
        connection.execute(f"ALTER SYSTEM SET full_page_writes = {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")
    try:
        shown = _settings(postgres)
        deadline = time.monotonic() + 10
        while shown["full_page_writes"] != setting and time.monotonic() < deadline:
            shown = _settings(postgres)
        opened = subprocess.run(
            [sys.executable, "-c", _OPEN_TWICE, postgres],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET full_page_writes = {before[0]}".encode())
            connection.execute("SELECT pg_reload_conf()")
    names = " and ".join(name for name, value in shown.items() if value == "off")
    assert setting == shown["full_page_writes"]
    assert opened.stderr.count("\n") == (1 if names else 0)
    assert f"runs with {names} = off" in opened.stderr or not names
