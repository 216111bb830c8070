"""Each statement of the single sends writes the row that is meant, the whole of it, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from vavasms.errors import IdempotencyConflictError
from vavasms.ledger.models import LONGEST_DELAY, BatchRecord
from vavasms.ledger.rows import DIED, dump_record
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NOW = 10_000.0
TAKEN = BatchRecord(lot_id="L", message_ids=("SM-1",))
SEEN = BatchRecord(error="Seen")
PHONES = (Msisdn("2250700000001"), Msisdn("2250700000002"))
NEW = NewSend(account="ops", key="order-1", recipients=PHONES, sender_id="ACME", segments=0, text="a" * 161)
#: No member of a file.
DEAD = "123456789"

Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]


@pytest.fixture
async def ledger(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteLedger]:
    async with await SqliteLedger.open(tmp_path / "sms.db") as opened:
        yield opened


async def rows(ledger: SqliteLedger) -> Rows:
    """Return all rows, with all their columns."""

    def work(connection: Any) -> Rows:
        cursor = connection.execute("SELECT * FROM send")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
        return {(row["account"], row["key"]): row for row in found}

    return await ledger._database.read(work)


async def change(ledger: SqliteLedger, key: str = "order-1", **columns: Any) -> None:
    """Write columns of a row as they are."""
    pairs = ", ".join(f"{name} = :{name}" for name in columns)
    query = f"UPDATE send SET {pairs} WHERE account = 'ops' AND key = :of"
    assert await ledger._database.write(lambda c: c.execute(query, {**columns, "of": key}).rowcount) == 1


async def surround(ledger: SqliteLedger) -> Rows:
    """Put copies beside the send, under other keys and in other accounts, one in each state; return them."""
    (row,) = (await rows(ledger)).values()
    names = [name for name in row if name not in {"seq", "account", "key", "state"}]
    columns = ", ".join(names)
    query = (
        f"INSERT INTO send (account, key, state, {columns}) "
        f"SELECT :account, :key, :state, {columns} FROM send WHERE account = 'ops' AND key = 'order-1'"
    )
    for state in BatchState:
        for account, key in ((f"of-{state.value}", "order-1"), ("ops", f"order-{state.value}")):
            values = {"account": account, "key": key, "state": state.value}
            await ledger._database.write(lambda c, values=values: c.execute(query, values).rowcount)  # type: ignore[misc]
    made = await rows(ledger)
    del made["ops", "order-1"]
    return made


async def check(ledger: SqliteLedger, before: Row, others: Rows, **changes: Any) -> None:
    """Hold that the row has changed so, and no other at all."""
    after = await rows(ledger)
    assert after.pop(("ops", "order-1")) == before | changes
    assert after == others


async def begun(ledger: SqliteLedger, new: NewSend = NEW) -> SendClaim:
    made = await ledger.sends.begin(new, token="T", now=NOW)
    assert isinstance(made, SendClaim)
    return made


async def row(ledger: SqliteLedger, key: str = "order-1") -> Row:
    return (await rows(ledger))["ops", key]


@pytest.mark.parametrize("state", BatchState)
@pytest.mark.parametrize("keeps_text", [False, True])
async def test_an_acceptance_is_written_where_something_may_have_left(
    ledger: SqliteLedger, state: BatchState, keeps_text: bool
) -> None:
    made = await begun(ledger, evolve(NEW, keeps_text=True))
    await change(ledger, state=state.value, told=1, not_before=5.0, keeps_text=int(keeps_text))
    before, others = await row(ledger), await surround(ledger)
    assert not await ledger.sends.settle(evolve(made, token="other"), BatchEvent.ACCEPT, TAKEN, now=NOW + 1)
    await check(ledger, before, others)
    held = await ledger.sends.settle(made, BatchEvent.ACCEPT, TAKEN, now=NOW + 1)
    assert held is (state in {BatchState.SENDING, BatchState.UNKNOWN})
    changes = {
        "state": "accepted",
        "result": dump_record(TAKEN),
        "settled_at": NOW + 1,
        "not_before": 0.0,
        # It was not counted.
        "segments": 2,
        "message": NEW.text if keeps_text else None,
        "told": 0,
    }
    await check(ledger, before, others, **(changes if held else {}))


@pytest.mark.parametrize("state", [BatchState.SENDING, BatchState.UNKNOWN])
@pytest.mark.parametrize("event", [BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN])
async def test_another_outcome_is_written_whole(
    ledger: SqliteLedger, state: BatchState, event: BatchEvent
) -> None:
    made = await begun(ledger, evolve(NEW, is_enqueued=True))
    await change(ledger, state=state.value, told=1, not_before=5.0)
    before, others = await row(ledger), await surround(ledger)
    assert await ledger.sends.settle(made, event, SEEN, now=NOW + 1, not_before=NOW + 9)
    is_over = event is BatchEvent.REJECT
    await check(
        ledger,
        before,
        others,
        state="rejected" if is_over else "unknown",
        result=dump_record(SEEN),
        settled_at=NOW + 1,
        not_before=NOW + 9,
        segments=2,
        message=None if is_over else NEW.text,
        told=0,
    )


async def test_a_key_that_is_used_anew_has_nothing_of_before_but_its_first_time(ledger: SqliteLedger) -> None:
    old = evolve(
        NEW,
        kind=SendKind.OTP,
        recipients=PHONES[:1],
        sender_id="OTHER",
        segments=7,
        text="{}",
        keeps_text=True,
    )
    made = await begun(ledger, old)
    assert await ledger.sends.settle(made, BatchEvent.REJECT, SEEN, now=NOW + 1)
    await change(ledger, told=1, enqueued=1, not_before=5.0, worker="7", attempt=3)
    before, others = await row(ledger), await surround(ledger)
    again = await ledger.sends.begin(NEW, token="T2", now=NOW + 100)
    assert isinstance(again, SendClaim)
    assert again.attempt == 4
    after = await row(ledger)
    # As one that was never there.
    fresh = evolve(NEW, key="fresh")
    assert isinstance(await ledger.sends.begin(fresh, token="T2", now=NOW + 100), SendClaim)
    like = await row(ledger, "fresh")
    own = {name: after[name] for name in ("seq", "key", "salt", "digest")}
    assert after == like | own | {"created_at": NOW, "attempt": 4}
    assert after["seq"] == before["seq"]
    now = await rows(ledger)
    del now["ops", "order-1"], now["ops", "fresh"]
    assert now == others
    # Its content is the new one's.
    assert isinstance(await ledger.sends.begin(NEW, token="T3", now=NOW + 101), SendRecord)
    with pytest.raises(IdempotencyConflictError):
        await ledger.sends.begin(old, token="T4", now=NOW + 102)


async def test_a_claim_of_what_is_due_and_its_return_leave_the_rest_alone(ledger: SqliteLedger) -> None:
    await ledger.sends.enqueue(evolve(NEW, is_enqueued=True), now=NOW)
    await change(ledger, result=dump_record(SEEN), worker="7", token="old")
    before, others = await row(ledger), await surround(ledger)
    # The copy that is queued is due as well, and later in the order.
    (claim,) = await ledger.sends.claim_due("ops", token="due", now=NOW + 5, limit=1)
    member = (await row(ledger))["worker"]
    assert member not in {None, "7", "0"}
    sending = before | {
        "state": "sending",
        "token": claim.token,
        "worker": member,
        "sending_at": NOW + 5,
        "attempt": 1,
        "result": None,
    }
    await check(ledger, sending, others)
    # Somebody took it for dead meanwhile.
    await change(ledger, state="unknown", settled_at=NOW + 6)
    await ledger.sends.abandon_due("ops", "due", limit=1)
    await check(ledger, sending, others, state="queued", token=None, worker=None, attempt=0, settled_at=None)


async def test_what_is_due_is_a_text_of_the_account_whose_time_has_come(ledger: SqliteLedger) -> None:
    latest = NOW + LONGEST_DELAY
    kept: dict[str, Row] = {
        "now": {"not_before": NOW},
        "soon": {"not_before": NOW + 1},
        "code": {"kind": "otp"},
        "far": {"not_before": latest + 1},
        # Put off by a clock that was set back since; nothing is put off for so long.
        "put-off": {"not_before": latest + 1, "attempt": 1},
        "put-off-for-long": {"not_before": latest, "attempt": 1},
    }
    for key, columns in kept.items():
        await ledger.sends.enqueue(evolve(NEW, key=key, is_enqueued=True), now=NOW)
        await change(ledger, key, **columns)
    await ledger.sends.enqueue(evolve(NEW, account="sales", is_enqueued=True), now=NOW)
    claims = await ledger.sends.claim_due("ops", token="due", now=NOW, limit=9)
    assert [claim.key for claim in claims] == ["now", "put-off"]


async def test_the_death_of_a_process_is_written_of_its_send_alone(ledger: SqliteLedger) -> None:
    await begun(ledger)
    await change(ledger, worker=DEAD)
    before, others = await row(ledger), await surround(ledger)
    found = await ledger.sends.begin(NEW, token="T2", now=NOW + 5)
    assert isinstance(found, SendRecord)
    died: Row = {"state": "unknown", "result": dump_record(DIED), "settled_at": NOW + 5}
    await check(ledger, before, others, **died)
    # The others are found together.
    assert await ledger.sends.reap(now=NOW + 6) == 2
    dead = {key: each | died | {"settled_at": NOW + 6} for key, each in others.items()}
    await check(
        ledger,
        before,
        {key: dead[key] if each["state"] == "sending" else each for key, each in others.items()},
        **died,
    )


@pytest.mark.parametrize(
    ("sent", "again", "state"),
    [(True, False, "accepted"), (False, False, "cancelled"), (False, True, "queued")],
)
async def test_a_decision_is_written_whole(ledger: SqliteLedger, sent: bool, again: bool, state: str) -> None:
    await begun(ledger, evolve(NEW, keeps_text=True))
    await change(ledger, state="unknown", settled_at=NOW + 1, told=1, not_before=5.0, attempt=3, keeps_text=0)
    before, others = await row(ledger), await surround(ledger)
    record = await ledger.sends.resolve("ops", "order-1", sent=sent, again=again, note="Seen", now=NOW + 9)
    assert record.state.value == state
    await check(
        ledger,
        before,
        others,
        state=state,
        result=dump_record(SEEN),
        settled_at=None if again else NOW + 9,
        message=None if sent else NEW.text,
        token="T" if sent else None,
        enqueued=int(again),
        attempt=3 if sent else 0,
        not_before=0.0,
        told=0,
    )


async def test_what_is_untold_is_what_a_worker_settled_a_while_ago(ledger: SqliteLedger) -> None:
    for key in ("b", "a", "late", "direct", "told", "open"):
        await begun(ledger, evolve(NEW, key=key))
        await change(ledger, key, state="unknown", enqueued=1, settled_at=NOW)
    await change(ledger, "late", settled_at=NOW + 1)
    await change(ledger, "direct", enqueued=0)
    await change(ledger, "told", told=1)
    await change(ledger, "open", state="sending", settled_at=None)

    async def untold(account: str = "ops", limit: int = 9) -> list[str]:
        found = await ledger.sends.untold(account, before=NOW + 1, limit=limit)
        return [record.key for record in found]

    # In the order in which they came.
    assert await untold() == ["b", "a"]
    assert await untold(limit=1) == ["b"]
    assert await untold("sales") == []
    b, a = await ledger.sends.untold("ops", before=NOW + 1, limit=9)
    for other in (
        evolve(b, account="sales"),
        evolve(b, key="c"),
        evolve(b, state=BatchState.ACCEPTED),
        evolve(b, settled_at=NOW - 1),
    ):
        await ledger.sends.note_told(other)
    assert await untold() == ["b", "a"]
    before = await rows(ledger)
    await ledger.sends.note_told(b)
    before["ops", "b"]["told"] = 1
    assert await rows(ledger) == before
    assert await untold() == [a.key]


async def test_a_purge_takes_what_ended_in_its_time_and_account(ledger: SqliteLedger) -> None:
    for state in BatchState:
        await begun(ledger, evolve(NEW, key=state.value))
        await change(ledger, state.value, state=state.value, settled_at=NOW)
    others = {"early": NOW - 1, "late": NOW + 1}
    for key, at in others.items():
        await begun(ledger, evolve(NEW, key=key))
        await change(ledger, key, state="accepted", settled_at=at)
    await begun(ledger, evolve(NEW, account="sales"))

    async def purge(account: str | None, since: float, before: float, limit: int = 9) -> int:
        return await ledger.sends.purge(account=account, since=since, before=before, limit=limit)

    assert await purge("sales", 0.0, NOW + 9) == 0
    assert await purge("ops", NOW, NOW + 1, limit=1) == 1
    assert await purge("ops", NOW, NOW + 1) == 2
    left = {key for _, key in await rows(ledger)}
    assert left == {"early", "late", "unknown", "sending", "queued", "order-1"}
    assert await purge(None, 0.0, NOW) == 1
    assert "early" not in {key for _, key in await rows(ledger)}


async def test_the_log_begins_with_the_latest_and_of_one_instant_with_the_last(ledger: SqliteLedger) -> None:
    for key, at in (("z", NOW), ("y", NOW), ("old", NOW - 1), ("new", NOW + 1)):
        await ledger.sends.begin(evolve(NEW, key=key), token=key, now=at)
    await ledger.sends.begin(evolve(NEW, account="sales", key="other"), token="o", now=NOW)

    async def log(account: str | None, since: float, limit: int = 9) -> list[str]:
        states = (BatchState.SENDING,)
        found = await ledger.sends.records(account, states=states, since=since, limit=limit)
        return [record.key for record in found]

    assert await log("ops", NOW) == ["new", "y", "z"]
    assert await log(None, NOW) == ["new", "other", "y", "z"]
    assert await log("ops", 0.0, limit=2) == ["new", "y"]
    assert await log("sales", 0.0) == ["other"]


@pytest.mark.parametrize("what", ["token", "state"])
async def test_who_comes_back_while_the_dead_are_looked_for_is_left_alone(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await begun(ledger)
    await change(ledger, worker=DEAD)
    write = ledger._database.write
    meanwhile: Row = {"token": "T2"} if what == "token" else {"state": "accepted", "settled_at": NOW + 1}

    async def write_late(work: Any) -> Any:
        monkeypatch.setattr(ledger._database, "write", write)
        await change(ledger, **meanwhile)
        return await write(work)

    before = await row(ledger)
    monkeypatch.setattr(ledger._database, "write", write_late)
    assert await ledger.sends.reap(now=NOW + 5) == 0
    await check(ledger, before, {}, **meanwhile)


async def test_a_claim_that_was_taken_back_is_forgotten_by_who_forgets_all(ledger: SqliteLedger) -> None:
    await begun(ledger)
    assert await ledger.sends.abandon("ops", "order-1", "T")
    assert await ledger.sends.purge(account=None, since=1.0, before=NOW, limit=9) == 0
    assert await ledger.sends.purge(account=None, before=NOW, limit=9) == 1
