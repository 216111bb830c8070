"""A single send in the real SQLite ledger: any state of its row, and what each transaction makes of that."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any, NamedTuple

from tests.model.batches import AGES, FINAL, Batch, Campaign, Person, load, read_batches
from tests.model.calls import FAILED, TOKEN, SendCalls, SendStep, make_new
from tests.model.effects import ACCOUNT, CLAIMED_AT, KEY, PHONES, SENDER, TEXT
from tests.model.ledgers import DirectLedger, SharedLedger, run
from tests.model.violation import Violation
from vavasms.ledger.rows import DIED, dump_record
from vavasms.ledger.send_record import SendKind
from vavasms.ledger.sends import MAX_ATTEMPTS, digest

#: In the place of a worker: one that died.
DEAD = 2
#: The attempts of what a worker sends are counted from here on: what comes before is the same, only longer.
_FIRST_COUNTED = MAX_ATTEMPTS - 2
_SALT = b"salt"
#: A campaign that is under way, of which no step of a single send says anything.
_BYSTANDER = (
    Campaign("running", 1, 0),
    (Batch(0, "sending", 0, 2, (Person(0), Person(1))), Batch(1, "unknown", 0, 2, (Person(2),))),
)


class Send(NamedTuple):
    """A send as the ledger has it; no state where there is none."""

    state: str = ""
    #: A worker sends it.
    is_enqueued: bool = False
    #: How often it was tried, as far as anybody goes by it.
    attempts: int = 0
    #: The place in `AGES` of the time since its claim.
    age: int = 0
    #: Its process was taken for dead.
    died: bool = False
    #: Who claimed it, while it is sending.
    owner: int = DEAD


class SendChange(NamedTuple):
    """What a transaction made of a send."""

    send: Send
    answer: str
    #: Whether its token is still the one that it was.
    is_held: bool


class SendLedger:
    """The real ledger with at most one send in it."""

    def __init__(self, *, is_shared: bool) -> None:
        self.ledger = SharedLedger() if is_shared else DirectLedger()
        self._connection = self.ledger.direct.connection
        self._calls = SendCalls(self.ledger.sends)
        self._calls.now = CLAIMED_AT
        #: How many transactions were done.
        self.executed = 0
        #: One of each kind, for `conformance`.
        self.samples: dict[tuple[object, ...], tuple[Send, SendStep, SendChange]] = {}

    def execute(self, send: Send, step: SendStep) -> SendChange:
        """Do a transaction on a state that is put into the table. Raises `Violation`."""
        self.executed += 1
        self.ledger.direct.handle.alive = {_member(0), _member(1)}
        self.ledger.sends._member = _member(step.worker)
        self._calls.is_enqueued = send.is_enqueued
        self._connection.execute("BEGIN")
        try:
            load(self._connection, *_BYSTANDER)
            load_send(self._connection, send)
            answer = run(self._calls.do(step))
            after, is_held = read_send(self._connection)
            if read_batches(self._connection, _BYSTANDER[1]) != (_BYSTANDER[1], frozenset({0, 1})):
                raise Violation(f"{step.name} of a single send changes a campaign")
        finally:
            self._connection.execute("ROLLBACK")
        _check_change(send, step, after)
        change = SendChange(after, answer, is_held)
        self.samples.setdefault(
            (send._replace(owner=DEAD), *step[:2], step.is_holder, change), (send, step, change)
        )
        return change


def send_values(send: Send, now: float = CLAIMED_AT) -> dict[str, object]:
    """Return the columns of its row."""
    is_settled = send.state not in ("queued", "sending")
    has_text = send.is_enqueued and send.state not in ("accepted", "rejected")
    return {
        "account": ACCOUNT,
        "key": KEY,
        "kind": SendKind.TEXT.value,
        "state": send.state,
        "recipients": str(PHONES[0]),
        "size": 1,
        "sender_id": SENDER,
        "segments": 1,
        "message": TEXT if has_text else None,
        "keeps_text": False,
        "result": dump_record(DIED if send.died else FAILED),
        "attempt": send.attempts,
        "enqueued": send.is_enqueued,
        "created_at": now - 1000.0,
        "sending_at": now - AGES[send.age],
        "settled_at": now - 1.0 if is_settled else None,
        "not_before": 0.0,
        "worker": str(_member(send.owner)),
        "token": TOKEN,
        "salt": _SALT,
        "digest": digest(_SALT, make_new().content),
        "told": False,
    }


def load_send(connection: Connection, send: Send) -> None:
    """Put a send into its table, which is empty."""
    if send.state:
        values = send_values(send)
        names = ", ".join(values)
        marks = ", ".join([f":{name}" for name in values])
        connection.execute(f"INSERT INTO send ({names}) VALUES ({marks})", values)


#: What is read again, in this order.
READ = "state, enqueued, attempt, sending_at, result, worker, token, message"


def read_send(connection: Connection) -> tuple[Send, bool]:
    """Read it again, and whether its token is still the same."""
    rows = connection.execute(f"SELECT {READ} FROM send").fetchall()
    return make_send(rows[0] if rows else None)


def make_send(row: tuple[Any, ...] | None, now: float = CLAIMED_AT) -> tuple[Send, bool]:
    """Make a send of its row, and say whether its token is still the same. Raises `Violation`."""
    if row is None:
        return Send(), False
    state, is_enqueued, attempts, sending_at, result, worker, token, message = row
    if bool(message) != (bool(is_enqueued) and state not in ("accepted", "rejected")):
        raise Violation(f"the text of a send that is {state} is {'kept' if message else 'gone'}")
    age = sum([now - (sending_at or 0.0) > each - 0.5 for each in AGES[1:]])
    owner = (
        int(worker or _member(DEAD)) - _member(0) if state == "sending" and str(worker).isdigit() else DEAD
    )
    died = state == "unknown" and result == dump_record(DIED)
    counted = max(attempts, _FIRST_COUNTED) if is_enqueued else 0
    return Send(state, bool(is_enqueued), counted, age, died, owner), token == TOKEN


def _check_change(send: Send, step: SendStep, after: Send) -> None:
    """Raise `Violation` where it went where nothing leads."""
    if send.state == after.state:
        return
    if send.state == "accepted" and step.name != "purge":
        raise Violation(f"a send was accepted for good, and {step.name} makes it {after.state or 'gone'}")
    if step.name == "purge" and send.state not in FINAL:
        raise Violation(f"a key is free whose send is {send.state}")
    if not step.is_holder:
        raise Violation(f"{step.name} counts, with a token of an older claim")


def _member(worker: int) -> int:
    return worker + 1
