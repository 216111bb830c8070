"""What a row of a single send says, what is written of it, and on what a person may decide. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest
from attrs import evolve

from vavasms.errors import IdempotencyConflictError, InvalidInputError
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.rows import DIED, dump_record
from vavasms.ledger.send_record import SendKind
from vavasms.ledger.send_rows import (
    SendRow,
    SendSettlement,
    accept_values,
    count_send,
    enqueued_values,
    grant,
    grant_row,
    new_values,
    read_reached,
    read_send,
    resolve_values,
)
from vavasms.ledger.sends import MAX_ATTEMPTS, NewSend, SendClaim, digest
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn

NOW = 1_800_000_000.0
PHONES = (Msisdn("2250700000001"), Msisdn("2250700000002"))
NEW = NewSend(account="ops", key="order-1", recipients=PHONES, sender_id="ACME", segments=2, text="Bonjour")
TAKEN = BatchRecord(lot_id="L", message_ids=("SM-1",), description="Submitted")
SALT = b"0123456789abcdef"


def row_of(**changes: Any) -> SendRow:
    """Return a row as a transaction reads it, of a direct send that is under way."""
    columns: dict[str, Any] = {
        "account": "ops",
        "key": "order-1",
        "kind": "text",
        "state": "sending",
        "recipients": ",".join(PHONES),
        "sender_id": "ACME",
        "segments": 2,
        "message": "Bonjour",
        "keeps_text": 0,
        "result": None,
        "attempt": 1,
        "enqueued": 0,
        "created_at": NOW,
        "sending_at": NOW + 1,
        "settled_at": None,
        "not_before": 5.0,
        "worker": "7",
        "token": "T",
        "salt": SALT,
        "digest": digest(SALT, NEW.content),
    }
    assert changes.keys() <= columns.keys()
    return read_send([*(columns | changes).values()])


def test_a_row_is_read_column_by_column() -> None:
    row = row_of(result=dump_record(TAKEN), enqueued=1, keeps_text=1, settled_at=NOW + 2)
    public = row.public
    assert (public.account, public.key, public.kind, public.state) == (
        "ops",
        "order-1",
        SendKind.TEXT,
        BatchState.SENDING,
    )
    assert (public.recipients, public.sender_id, public.segments, public.text) == (
        PHONES,
        "ACME",
        2,
        "Bonjour",
    )
    assert (public.lot_id, public.message_ids, public.description) == ("L", ("SM-1",), "Submitted")
    assert (public.error, public.attempts, public.is_enqueued) == (None, 1, True)
    assert (public.created_at, public.sent_at, public.settled_at, public.not_before) == (
        NOW,
        NOW + 1,
        NOW + 2,
        5.0,
    )
    assert (row.keeps_text, row.worker, row.token, row.salt, row.record) == (True, "7", "T", SALT, TAKEN)
    assert row_of(recipients="").recipients == ()


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the machine nine hours ahead, where it can be."""
    tzset: Callable[[], None] = getattr(time, "tzset", lambda: None)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC-9")
        tzset()
        yield
    tzset()


@pytest.mark.usefixtures("_elsewhere")
def test_one_key_stands_for_one_content_and_tells_since_when() -> None:
    row_of().check_same(NEW)
    with pytest.raises(IdempotencyConflictError, match="at 2027-01-15 08:00:00 UTC,") as raised:
        row_of().check_same(evolve(NEW, text="Bonsoir"))
    assert raised.value.first_used_at == NOW


@pytest.mark.parametrize("state", BatchState)
def test_a_key_may_be_used_anew_where_nothing_went_out(state: BatchState) -> None:
    assert row_of(state=state.value).is_renewable is (state in {BatchState.REJECTED, BatchState.CANCELLED})


@pytest.mark.parametrize(("state", "is_overdue"), [("sending", True), ("queued", False), ("unknown", False)])
def test_who_has_a_send_under_way_for_too_long_is_taken_for_dead(state: str, is_overdue: bool) -> None:
    row = row_of(state=state)
    assert not row.is_overdue(NOW + 1 + ORPHAN_AFTER)
    assert row.is_overdue(NOW + 1.5 + ORPHAN_AFTER) is is_overdue
    assert row_of(state=state, sending_at=None).is_overdue(NOW) is is_overdue
    assert row_of(state=state, sending_at=None).is_overdue(ORPHAN_AFTER + 0.5) is is_overdue


def test_a_person_decides_at_once_but_on_whom_was_taken_for_dead() -> None:
    assert row_of(state="unknown").decidable_before(NOW) == inf
    died = row_of(state="unknown", result=dump_record(DIED))
    assert died.decidable_before(NOW) == NOW - RESEND_GRACE


@pytest.mark.parametrize(
    ("event", "changes", "state"),
    [
        (BatchEvent.REJECT, {}, "rejected"),
        (BatchEvent.MARK_UNKNOWN, {}, "unknown"),
        (BatchEvent.ACCEPT, {}, "accepted"),
        (BatchEvent.REQUEUE, {}, "cancelled"),
        (BatchEvent.REQUEUE, {"enqueued": 1}, "queued"),
        (BatchEvent.REQUEUE, {"enqueued": 1, "attempt": MAX_ATTEMPTS - 1}, "queued"),
        (BatchEvent.REQUEUE, {"enqueued": 1, "attempt": MAX_ATTEMPTS}, "cancelled"),
    ],
)
@pytest.mark.parametrize("keeps_text", [0, 1])
def test_what_an_answer_writes(
    event: BatchEvent, changes: dict[str, int], state: str, keeps_text: int
) -> None:
    row = row_of(**changes, keeps_text=keeps_text)
    values = row.settle(SendSettlement(event, TAKEN, now=NOW + 9, not_before=NOW + 60))
    assert values == {
        "account": "ops",
        "key": "order-1",
        "token": "T",
        "state": state,
        "result": dump_record(TAKEN),
        "not_before": NOW + 60,
        "segments": 2,
        "settled_at": None if state == "queued" else NOW + 9,
        # Gone where nobody needs it any more.
        "message": "Bonjour" if keeps_text or state not in {"accepted", "rejected"} else None,
    }


def test_a_new_send_is_kept_with_a_salt_of_its_own_and_its_text_only_where_that_is_needed() -> None:
    first, second = new_values(NEW, now=NOW), new_values(NEW, now=NOW)
    assert first["salt"] != second["salt"]
    for values in (first, second):
        assert len(values["salt"]) >= 16
        assert values.pop("digest") == digest(values.pop("salt"), NEW.content)
    assert first == {
        "account": "ops",
        "key": "order-1",
        "kind": "text",
        "recipients": ",".join(PHONES),
        "size": 2,
        "sender_id": "ACME",
        "segments": 2,
        "message": None,
        "keeps_text": False,
        "enqueued": False,
        "not_before": 0.0,
        "now": NOW,
    }
    for kept in (evolve(NEW, keeps_text=True), evolve(NEW, is_enqueued=True)):
        assert new_values(kept, now=NOW)["message"] == "Bonjour"
    assert enqueued_values() == {
        "sending_at": None,
        "worker": None,
        "token": None,
        "state": "queued",
        "attempt": 0,
    }


def test_what_was_enqueued_in_sql_is_counted_when_it_is_sent() -> None:
    assert (count_send(3, "Bonjour"), count_send(0, "a" * 161), count_send(0, None), count_send(0, "")) == (
        3,
        2,
        0,
        0,
    )
    claim = grant_row(row_of(segments=0, message="a" * 161), token="T2", now=NOW)
    assert claim.segments == 2
    assert accept_values(evolve(claim, segments=0), TAKEN, NOW)["segments"] == 2
    assert row_of(segments=0).settle(SendSettlement(BatchEvent.REJECT))["segments"] == 1


def test_a_claim_has_all_that_a_call_needs() -> None:
    direct = grant(NEW, token="T", now=NOW, attempt=3)
    assert direct == SendClaim(
        account="ops",
        key="order-1",
        kind=SendKind.TEXT,
        token="T",
        at=NOW,
        attempt=3,
        recipients=PHONES,
        sender_id="ACME",
        segments=2,
        text="Bonjour",
        is_enqueued=False,
    )
    row = row_of(attempt=2)
    assert grant_row(row, token="T", now=NOW) == evolve(direct, is_enqueued=True)
    assert grant_row(evolve(row, text=None), token="T", now=NOW).text == ""
    assert accept_values(direct, TAKEN, NOW) == {
        "account": "ops",
        "key": "order-1",
        "token": "T",
        "result": dump_record(TAKEN),
        "now": NOW,
        "segments": 2,
    }


def resolve(row: SendRow | None, *, sent: bool, again: bool = False, sent_before: float = inf) -> Any:
    return resolve_values(
        row, "order-1", sent=sent, again=again, note="Seen", now=NOW + 9, sent_before=sent_before
    )


@pytest.mark.parametrize(
    ("sent", "again", "state"),
    [(True, False, "accepted"), (False, False, "cancelled"), (False, True, "queued")],
)
@pytest.mark.parametrize("keeps_text", [0, 1])
@pytest.mark.parametrize("enqueued", [0, 1])
def test_what_a_decision_writes(sent: bool, again: bool, state: str, keeps_text: int, enqueued: int) -> None:
    # What nobody could know has no code any more once somebody does.
    kept = dump_record(evolve(TAKEN, code="outcome.unknown.interrupted"))
    row = row_of(state="unknown", result=kept, keeps_text=keeps_text, enqueued=enqueued)
    assert resolve(row, sent=sent, again=again) == {
        "account": "ops",
        "key": "order-1",
        "state": state,
        "result": dump_record(evolve(TAKEN, error="Seen")),
        "settled_at": None if state == "queued" else NOW + 9,
        "message": None if sent and not keeps_text else "Bonjour",
        "kept_token": "T" if sent else None,
        "enqueued": bool(enqueued) or state == "queued",
    }


def test_what_nobody_can_decide_on_is_refused_with_a_code() -> None:
    def code(row: SendRow | None, **options: Any) -> str:
        with pytest.raises(InvalidInputError, match="'order-1'") as raised:
            resolve(row, **options)
        return raised.value.error_code

    assert code(None, sent=True) == "idempotency.not_found"
    for state in BatchState:
        if state is not BatchState.UNKNOWN:
            assert code(row_of(state=state.value), sent=True) == "idempotency.not_unknown"
    unknown = row_of(state="unknown")
    assert code(unknown, sent=False, sent_before=NOW + 1) == "idempotency.too_early"
    assert resolve(unknown, sent=False, sent_before=NOW + 1.5)["state"] == "cancelled"
    assert resolve(row_of(state="unknown", sending_at=None), sent=False, sent_before=0.0)
    # That it was sent can be known at once.
    assert resolve(unknown, sent=True, sent_before=0.0)["state"] == "accepted"
    for gone in (row_of(state="unknown", message=None), row_of(state="unknown", kind="otp")):
        assert code(gone, sent=False, again=True) == "idempotency.text_gone"
        assert resolve(gone, sent=False)["state"] == "cancelled"


def test_whom_sends_reached_are_numbers_each_once() -> None:
    rows = [("2250700000003,2250700000004",), ("2250700000004",), ("",)]
    assert read_reached(rows) == {2250700000003, 2250700000004}
    assert read_reached([]) == frozenset()
