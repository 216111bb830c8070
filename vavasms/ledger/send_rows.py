"""Between the rows of single sends and their values, for every engine. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from secrets import token_bytes
from typing import Any, NamedTuple

from attrs import evolve, fields, frozen

from vavasms.arguments import NOTHING_CHANGED, check_flags
from vavasms.errors import IdempotencyConflictError, InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.rows import DIED, dump_record, load_record
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import MAX_ATTEMPTS, NewSend, SendClaim, digest
from vavasms.ledger.states import BATCH_TRANSITIONS, RENEWABLE, BatchEvent, BatchState, settle_events
from vavasms.numbers import Msisdn
from vavasms.text.segments import count_segments

#: Sends of before are forgotten so often, in seconds, and so many of them at once.
FORGET_EVERY, FORGET_AT_ONCE = 60.0, 1000

#: The columns of a row, in the order in which every query reads them.
COLUMNS = (
    "account, key, kind, state, recipients, sender_id, segments, message, keeps_text, result, attempt, "
    "enqueued, created_at, sending_at, settled_at, not_before, worker, token, salt, digest"
)


_NOT_UNKNOWN = {
    BatchState.QUEUED: N_("The send {key} is queued: only what is unknown is for a person to decide."),
    BatchState.SENDING: N_("The send {key} is sending: only what is unknown is for a person to decide."),
    BatchState.ACCEPTED: N_("The send {key} is accepted: only what is unknown is for a person to decide."),
    BatchState.REJECTED: N_("The send {key} is rejected: only what is unknown is for a person to decide."),
    BatchState.CANCELLED: N_("The send {key} is cancelled: only what is unknown is for a person to decide."),
}
#: From these an answer moves a send on, by its token.
SETTLED_FROM = (BatchState.SENDING, BatchState.UNKNOWN)


class SendSettlement(NamedTuple):
    """What TX2 writes of a single send."""

    event: BatchEvent
    record: BatchRecord = BatchRecord()
    now: float = 0.0
    not_before: float = 0.0


@frozen(kw_only=True)
class SendRow(SendRecord):
    """A send as a transaction reads it."""

    record: BatchRecord
    keeps_text: bool
    worker: str | None
    token: str | None
    salt: bytes
    digest: bytes

    @property
    def public(self) -> SendRecord:
        """What a ledger returns of it."""
        return SendRecord(**{name: getattr(self, name) for name in _PUBLIC})

    def check_same(self, new: NewSend) -> None:
        """Raise `IdempotencyConflictError` where its key is used for something else."""
        if digest(self.salt, new.content) == self.digest:
            return
        at = datetime.fromtimestamp(self.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        raise IdempotencyConflictError(
            _(
                "idempotency_key was used first at {at}, for another text, sender or recipient: one key "
                "stands for one message. Nothing was sent.",
                at=at,
            ),
            first_used_at=self.created_at,
        )

    @property
    def is_renewable(self) -> bool:
        """Whether nothing of it went out, so that its key may be used anew."""
        return self.state in RENEWABLE

    def is_overdue(self, now: float) -> bool:
        """Return whether whoever has it under way is taken for dead, where others go by a claim's age."""
        return self.state is BatchState.SENDING and (self.sent_at or 0.0) < now - ORPHAN_AFTER

    def decidable_before(self, now: float) -> float:
        """Return the time before which it was claimed if nobody can send it any more, by a claim's age."""
        # Whoever is taken for dead may live, and still send; what was settled as unknown nobody sends.
        return now - RESEND_GRACE if self.error == DIED.error else inf

    def settle(self, answer: SendSettlement) -> Mapping[str, Any]:
        """Return the values of `settle_send`."""
        # Its caller was told that nothing was sent, and tries again by itself; a worker gives up at last.
        closed = not self.is_enqueued or self.attempts >= MAX_ATTEMPTS
        state = self.state
        for step in settle_events(answer.event, maybe_sent=False, closed=closed):
            state = BATCH_TRANSITIONS[state, step]
        is_over = state in (BatchState.ACCEPTED, BatchState.REJECTED)
        return {
            "account": self.account,
            "key": self.key,
            "token": self.token,
            "state": state.value,
            "result": dump_record(answer.record),
            "not_before": answer.not_before,
            "segments": count_send(self.segments, self.text),
            "settled_at": None if state is BatchState.QUEUED else answer.now,
            "message": None if is_over and not self.keeps_text else self.text,
        }


_PUBLIC = [field.name for field in fields(SendRecord)]


def read_reached(rows: Iterable[Sequence[Any]]) -> frozenset[int]:
    """Return the numbers of `select_reached`'s rows, as integers."""
    return frozenset(int(phone) for (recipients,) in rows for phone in recipients.split(",") if phone)


def read_send(row: Sequence[Any]) -> SendRow:
    """Make a send of a row of `COLUMNS`."""
    (account, key, kind, state, recipients, sender_id, segments, message, keeps_text, result) = row[:10]
    attempt, enqueued, created_at, sending_at, settled_at, not_before, worker, token, salt, digest_ = row[10:]
    record = load_record(result)
    return SendRow(
        account=account,
        key=key,
        kind=SendKind(kind),
        state=BatchState(state),
        recipients=tuple(map(Msisdn, recipients.split(","))) if recipients else (),
        sender_id=sender_id,
        segments=segments,
        text=message,
        keeps_text=bool(keeps_text),
        record=record,
        lot_id=record.lot_id,
        message_ids=record.message_ids,
        description=record.description,
        error=record.error,
        attempts=attempt,
        is_enqueued=bool(enqueued),
        created_at=created_at,
        sent_at=sending_at,
        settled_at=settled_at,
        not_before=not_before,
        worker=worker,
        token=token,
        salt=bytes(salt),
        digest=bytes(digest_),
    )


def new_values(new: NewSend, *, now: float) -> dict[str, Any]:
    """Return the values of a send that is begun or enqueued, its claim excepted."""
    salt = token_bytes(16)
    return {
        "account": new.account,
        "key": new.key,
        "kind": new.kind.value,
        "recipients": ",".join(new.recipients),
        "size": len(new.recipients),
        "sender_id": new.sender_id,
        "segments": new.segments,
        "message": new.text if new.is_enqueued or new.keeps_text else None,
        "keeps_text": new.keeps_text,
        "enqueued": new.is_enqueued,
        "not_before": new.not_before,
        "now": now,
        "salt": salt,
        "digest": digest(salt, new.content),
    }


def enqueued_values() -> dict[str, Any]:
    """Return what is inserted of a send that nobody has claimed."""
    values: dict[str, Any] = dict.fromkeys(["sending_at", "worker", "token"])
    return {**values, "state": BatchState.QUEUED.value, "attempt": 0}


def count_send(segments: int, text: str | None) -> int:
    """Return the segments of a send; what was enqueued in SQL is counted here."""
    return segments or (count_segments(text).segments if text else 0)


def grant(new: NewSend, *, token: str, now: float, attempt: int) -> SendClaim:
    """Build the claim that a direct send became."""
    return SendClaim(
        account=new.account,
        key=new.key,
        kind=new.kind,
        token=token,
        at=now,
        attempt=attempt,
        recipients=new.recipients,
        sender_id=new.sender_id,
        segments=new.segments,
        text=new.text,
        is_enqueued=False,
    )


def grant_row(row: SendRow, *, token: str, now: float) -> SendClaim:
    """Build the claim that an enqueued send became."""
    return SendClaim(
        account=row.account,
        key=row.key,
        kind=row.kind,
        token=token,
        at=now,
        attempt=row.attempts + 1,
        recipients=row.recipients,
        sender_id=row.sender_id,
        segments=count_send(row.segments, row.text),
        text=row.text or "",
        is_enqueued=True,
    )


def accept_values(claim: SendClaim, record: BatchRecord, now: float) -> dict[str, Any]:
    """Return the values of `accept_send`."""
    return {
        "account": claim.account,
        "key": claim.key,
        "token": claim.token,
        "result": dump_record(record),
        "now": now,
        "segments": count_send(claim.segments, claim.text),
    }


def told_values(record: SendRecord) -> Mapping[str, Any]:
    """Return the values of `note_told`: which outcome of which send somebody was told of."""
    return {
        "account": record.account,
        "key": record.key,
        "state": record.state.value,
        "settled_at": record.settled_at,
    }


def resolve_values(
    row: SendRow | None, key: str, *, sent: bool, again: bool, note: str, now: float, sent_before: float
) -> Mapping[str, Any]:
    """Return the values of `resolve_send`.

    Raises `InvalidInputError` where there is no such send, or a person cannot decide on it so, or where
    `sent` or `again` is no bool. `sent_before`: whoever claimed it later might still send.
    """
    check_flags(NOTHING_CHANGED, sent=sent, again=again)
    if row is None:
        raise InvalidInputError(
            _("There is no send with the key {key}.", key=repr(key)), error_code="idempotency.not_found"
        )
    if row.state is not BatchState.UNKNOWN:
        raise InvalidInputError(
            _(_NOT_UNKNOWN[row.state], key=repr(key)), error_code="idempotency.not_unknown"
        )
    record, state = evolve(row.record, error=note, code=None), BatchState.ACCEPTED
    if not sent:
        state = _unsent_state(row, key, again=again, sent_before=sent_before)
    return {
        "account": row.account,
        "key": row.key,
        "state": state.value,
        "result": dump_record(record),
        "settled_at": None if state is BatchState.QUEUED else now,
        "message": row.text if state is not BatchState.ACCEPTED or row.keeps_text else None,
        # No late answer of the old attempt settles a new one.
        "kept_token": row.token if sent else None,
        "enqueued": row.is_enqueued or state is BatchState.QUEUED,
    }


def _unsent_state(row: SendRow, key: str, *, again: bool, sent_before: float) -> BatchState:
    if row.sent_at is not None and row.sent_at >= sent_before:
        raise InvalidInputError(
            _(
                "The send {key} began a moment ago, and whoever began it might still send it: wait some "
                "minutes.",
                key=repr(key),
            ),
            error_code="idempotency.too_early",
        )
    if again and (row.kind is not SendKind.TEXT or not row.text):
        raise InvalidInputError(
            _(
                "The text of the send {key} is not kept: take it for not sent, and send it anew with its "
                "key.",
                key=repr(key),
            ),
            error_code="idempotency.text_gone",
        )
    state = BATCH_TRANSITIONS[row.state, BatchEvent.RESEND]
    return state if again else BATCH_TRANSITIONS[state, BatchEvent.CANCEL]
