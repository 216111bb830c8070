"""Single sends in a file: whose process has ended is dead at once, and what was recovered is unknown."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from vavasms.errors import InvalidInputError, Outcome
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.rows import DIED, RECOVERED
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.sqlite.sends import recover_sends
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NOW = 10_000.0
TAKEN = BatchRecord(lot_id="L", message_ids=("SM-1",))
PHONES = (Msisdn("2250700000001"), Msisdn("2250700000002"))
_tokens = count(1)


@pytest.fixture
async def ledger(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteLedger]:
    async with await SqliteLedger.open(tmp_path / "sms.db") as opened:
        yield opened


def new(key: str, *, is_enqueued: bool = False, text: str = "Bonjour") -> NewSend:
    return NewSend(
        account="ops",
        key=key,
        recipients=PHONES,
        sender_id="ACME",
        segments=1,
        text=text,
        is_enqueued=is_enqueued,
    )


async def claim(ledger: SqliteLedger, key: str) -> SendClaim:
    made = await ledger.sends.begin(new(key), token=f"token-{next(_tokens)}", now=NOW)
    assert isinstance(made, SendClaim)
    return made


async def find(ledger: SqliteLedger, key: str) -> SendRecord:
    record = await ledger.sends.find("ops", key)
    assert record is not None
    return record


async def bury(ledger: SqliteLedger, *keys: str) -> None:
    """Make the sends those of a process that is no member of the file any more."""
    query = "UPDATE send SET worker = '123456789' WHERE key IN (SELECT value FROM json_each(?))"
    await ledger._database.write(lambda c: c.execute(query, (json.dumps(keys),)).rowcount)


@pytest.mark.parametrize("how", ["begin", "enqueue"])
async def test_a_key_whose_process_has_ended_is_unknown_to_who_asks_for_it(
    ledger: SqliteLedger, how: str
) -> None:
    made = await claim(ledger, "order-1")
    await bury(ledger, "order-1")
    if how == "begin":
        found = await ledger.sends.begin(new("order-1"), token="T", now=NOW + 5)
    else:
        found = await ledger.sends.enqueue(new("order-1", is_enqueued=True), now=NOW + 5)
    assert isinstance(found, SendRecord)
    assert (found.state, found.error, found.settled_at) == (BatchState.UNKNOWN, DIED.error, NOW + 5)
    assert found == await find(ledger, "order-1")
    # It had sent, and says so late.
    assert await ledger.sends.settle(made, BatchEvent.ACCEPT, TAKEN, now=NOW + 9)
    assert (await find(ledger, "order-1")).outcome is Outcome.ACCEPTED


async def test_who_lives_is_not_taken_for_dead(ledger: SqliteLedger, tmp_path: Path) -> None:
    await claim(ledger, "order-1")
    async with await SqliteLedger.open(tmp_path / "sms.db") as other:
        found = await other.sends.begin(new("order-1"), token="T", now=NOW + 1e6)
        assert isinstance(found, SendRecord)
        assert found.state is BatchState.SENDING
        assert await other.sends.reap(now=NOW + 1e6) == 0


async def test_a_ledger_that_has_gone_leaves_nobody_who_lives(ledger: SqliteLedger, tmp_path: Path) -> None:
    async with await SqliteLedger.open(tmp_path / "sms.db") as other:
        for key, event in (("order-1", BatchEvent.ACCEPT), ("order-2", BatchEvent.REJECT)):
            made = await claim(other, key)
            assert await other.sends.settle(made, event, TAKEN, now=NOW)
        lost = await claim(other, "order-3")
        assert await other.sends.abandon("ops", "order-3", lost.token)
        await other.sends.enqueue(new("order-4", is_enqueued=True), now=NOW)
        (due,) = await other.sends.claim_due("ops", token="due", now=NOW, limit=9)
        assert await other.sends.settle(due, BatchEvent.MARK_UNKNOWN, BatchRecord(), now=NOW)
        workers = await other._database.read(
            lambda c: [int(worker) for (worker,) in c.execute("SELECT DISTINCT worker FROM send")]
        )
        handle = other._database.handle
        assert handle is not None
        assert [handle.lives(worker) for worker in workers] == [True]
    assert [handle.lives(worker) for worker in workers] == [False]


async def test_all_who_are_dead_are_found_and_nobody_else(ledger: SqliteLedger) -> None:
    for key in ("a", "b", "c"):
        await claim(ledger, key)
    await ledger.sends.enqueue(new("queued", is_enqueued=True), now=NOW)
    done = await claim(ledger, "done")
    assert await ledger.sends.settle(done, BatchEvent.ACCEPT, TAKEN, now=NOW)
    assert await ledger.sends.reap(now=NOW + 1) == 0
    await bury(ledger, "a", "c", "queued", "done")
    assert await ledger.sends.reap(now=NOW + 7) == 2
    assert await ledger.sends.reap(now=NOW + 8) == 0
    records = [await find(ledger, key) for key in ("a", "b", "c", "queued", "done")]
    assert [record.state for record in records] == [
        BatchState.UNKNOWN,
        BatchState.SENDING,
        BatchState.UNKNOWN,
        BatchState.QUEUED,
        BatchState.ACCEPTED,
    ]
    assert [record.settled_at for record in records] == [NOW + 7, None, NOW + 7, None, NOW]
    assert records[0].error == DIED.error


async def test_in_memory_nobody_dies(anyio_backend: str) -> None:
    ledger = MemoryLedger()
    await claim(ledger, "order-1")
    assert await ledger.sends.reap(now=NOW + 1e6) == 0
    assert (await find(ledger, "order-1")).state is BatchState.SENDING


async def test_what_may_have_been_sent_by_another_copy_is_unknown(ledger: SqliteLedger) -> None:
    made = await claim(ledger, "sending")
    for key in ("a", "b"):
        await ledger.sends.enqueue(new(key, is_enqueued=True), now=NOW)
    done = await claim(ledger, "done")
    assert await ledger.sends.settle(done, BatchEvent.REJECT, TAKEN, now=NOW)
    # Two messages in each of the two that waited.
    assert await ledger._database.write(lambda c: recover_sends(c, NOW + 3)) == 4
    for key in ("sending", "a", "b"):
        record = await find(ledger, key)
        assert (record.state, record.error, record.settled_at) == (
            BatchState.UNKNOWN,
            RECOVERED.error,
            NOW + 3,
        )
    assert (await find(ledger, "done")).state is BatchState.REJECTED
    # The answer of the other copy's attempt is not this one's.
    assert not await ledger.sends.settle(made, BatchEvent.ACCEPT, TAKEN, now=NOW + 4)
    assert await ledger._database.write(lambda c: recover_sends(c, NOW + 3)) == 0


async def test_each_claim_of_what_is_due_has_a_token_of_its_own_and_all_are_taken_back(
    ledger: SqliteLedger,
) -> None:
    for key in ("a", "b", "c"):
        await ledger.sends.enqueue(new(key, is_enqueued=True), now=NOW)
    claims = await ledger.sends.claim_due("ops", token="due", now=NOW, limit=3)
    assert len({each.token for each in claims}) == 3
    assert [each.at for each in claims] == [NOW] * 3
    await ledger.sends.abandon_due("nobody", "due", limit=3)
    await ledger.sends.abandon_due("ops", "other", limit=3)
    assert await ledger.sends.claim_due("ops", token="more", now=NOW, limit=3) == []
    await ledger.sends.abandon_due("ops", "due", limit=3)
    again = await ledger.sends.claim_due("ops", token="again", now=NOW, limit=3)
    assert [(each.key, each.attempt) for each in again] == [("a", 1), ("b", 1), ("c", 1)]


@pytest.mark.parametrize("how", ["begin", "claim_due"])
async def test_what_is_under_way_when_its_ledger_closes_is_not_taken_for_dead(
    ledger: SqliteLedger, tmp_path: Path, how: str
) -> None:
    async with await SqliteLedger.open(tmp_path / "sms.db") as other:
        if how == "begin":
            await claim(other, "order-1")
        else:
            await other.sends.enqueue(new("order-1", is_enqueued=True), now=NOW)
            assert len(await other.sends.claim_due("ops", token="due", now=NOW, limit=1)) == 1
    # It may still leave, as long as the process is there, whether or not anybody holds the ledger.
    del other
    gc.collect()
    assert await ledger.sends.reap(now=NOW + 1e6) == 0
    assert (await find(ledger, "order-1")).state is BatchState.SENDING


@pytest.mark.parametrize("looks", ["reap", "begin", "resolve"])
async def test_what_was_given_up_is_unknown_to_whoever_looks_next(ledger: SqliteLedger, looks: str) -> None:
    made, _left = await claim(ledger, "order-1"), await claim(ledger, "order-2")
    ledger.sends.give_up(made.token)
    if looks == "reap":
        assert await ledger.sends.reap(now=NOW + 5) == 1
    elif looks == "begin":
        found = await ledger.sends.begin(new("order-1"), token="U", now=NOW + 5)
        assert isinstance(found, SendRecord)
    else:
        await ledger.sends.resolve("ops", "order-1", sent=True, again=False, note="asked", now=NOW + 5)
    states = [(await find(ledger, key)).state for key in ("order-1", "order-2")]
    known = BatchState.ACCEPTED if looks == "resolve" else BatchState.UNKNOWN
    assert states == [known, BatchState.SENDING]


async def test_a_true_answer_is_never_too_late(ledger: SqliteLedger) -> None:
    made = await claim(ledger, "order-1")
    ledger.sends.give_up(made.token)
    await ledger.sends.reap(now=NOW + 5)
    assert await ledger.sends.settle(made, BatchEvent.ACCEPT, TAKEN, now=NOW + 6)
    assert (await find(ledger, "order-1")).state is BatchState.ACCEPTED


async def test_what_was_given_up_is_unknown_to_all_once_its_ledger_is_closed(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    async with await SqliteLedger.open(tmp_path / "sms.db") as other:
        other.sends.give_up((await claim(other, "order-1")).token)
        assert await ledger.sends.reap(now=NOW + 5) == 0
    # The process lives on.
    assert await ledger.sends.reap(now=NOW + 5) == 1
    assert (await find(ledger, "order-1")).state is BatchState.UNKNOWN


async def test_what_a_ledger_had_under_way_that_nobody_closed_is_unknown(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    other = await SqliteLedger.open(tmp_path / "sms.db")
    await claim(other, "order-1")
    assert await ledger.sends.reap(now=NOW + 5) == 0
    # As with an event loop that has ended: nobody is there who could settle it.
    del other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert await ledger.sends.reap(now=NOW + 5) == 1
    assert (await find(ledger, "order-1")).state is BatchState.UNKNOWN


async def test_a_key_that_is_used_anew_has_had_two_attempts(ledger: SqliteLedger) -> None:
    made = await claim(ledger, "order-1")
    assert await ledger.sends.settle(made, BatchEvent.REJECT, BatchRecord(), now=NOW)
    again = await claim(ledger, "order-1")
    assert (again.attempt, (await find(ledger, "order-1")).attempts) == (2, 2)


async def test_of_a_key_that_was_never_used_there_is_nothing_to_settle_or_to_decide(
    ledger: SqliteLedger,
) -> None:
    assert not await ledger.sends.abandon("ops", "order-9", "T")
    with pytest.raises(InvalidInputError, match="'order-9'"):
        await ledger.sends.resolve("ops", "order-9", sent=True, again=False, note="", now=NOW)
