"""A campaign in the real SQLite ledger: any state of it, and what each transaction makes of that.

Nothing of the transactions is written a second time: a state is put into the tables, the ledger's own method is
called, the tables are read again. Each time it is checked that the budget and the counts are those of the rows,
that each recipient is in one place, that what is over stays as it is, and that a step of one batch leaves the
others alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from sqlite3 import Connection
from typing import Any, NamedTuple

from tests.model.calls import ACCEPTED, BUDGETS, CampaignCalls, Step
from tests.model.effects import ACCOUNT, CAMPAIGN, CLAIMED_AT, PHONES, SENDER, TEXT
from tests.model.ledgers import DirectLedger, SharedLedger, run
from tests.model.violation import Violation
from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.rows import dump_record

#: Seconds since a claim: just made; long enough to be taken for dead, and able to send yet; able to no more.
AGES = (0.0, ORPHAN_AFTER + 1.0, RESEND_GRACE + 1.0)
SPENT = frozenset({"sending", "accepted", "unknown"})
FINAL = frozenset({"accepted", "rejected", "cancelled"})
#: A campaign's number of starts, as everybody knows it before a transaction.
REVISION = 7
#: A single send that is under way, of which no step of a campaign says anything.
_BYSTANDER = """
INSERT INTO send (account, key, kind, state, recipients, size, segments, enqueued, created_at, sending_at, token,
    salt, digest)
VALUES ('ops loopback', 'bystander', 'text', 'sending', '2250700000100', 1, 1, 1, 1.0, 1.0, 's', '', '')
"""
#: Steps that touch one batch, and the campaign beside it.
_OF_ONE_BATCH = frozenset({"claim", "settle", "abandon", "split", "mark_sent", "resend", "orphan"})


class Person(NamedTuple):
    """A recipient of a batch, by their place in `PHONES`."""

    who: int
    #: Left out when it was claimed.
    excluded: bool = False
    opted_out: bool = False


class Batch(NamedTuple):
    """A batch as the ledger has it."""

    number: int
    state: str
    #: Earlier attempts of which nobody knows.
    doubts: int
    #: The place in `AGES` of the time since its claim.
    age: int
    people: tuple[Person, ...]

    @property
    def included(self) -> int:
        """How many are not left out."""
        return sum([not person.excluded for person in self.people])

    @property
    def segments(self) -> int:
        """What is spent on it, for sure or possibly."""
        return self.included * (self.doubts + (self.state in SPENT))


class Campaign(NamedTuple):
    """A campaign as the ledger has it."""

    state: str
    #: The place in `BUDGETS` of its budget.
    budget: int
    #: Of its purge: 0 not begun, 1 the texts are gone, 2 the numbers too.
    purged: int


Batches = tuple[Batch, ...]


class Change(NamedTuple):
    """What a transaction made of a state."""

    campaign: Campaign
    batches: Batches
    #: What it answered.
    answer: str
    #: Batches whose token is still the one that it was.
    held: frozenset[int]
    #: Whether it counted another start.
    is_restart: bool


class _Calls(CampaignCalls):
    """Calls of the ledger on a connection of its own."""

    ledger: DirectLedger

    async def orphan(self, step: Step) -> bool:
        """Take a worker for dead by the age of its claim."""
        assert isinstance(self.ledger, SharedLedger)
        return await self.ledger.orphan(step.number)

    async def take_over(self, step: Step) -> object:
        """Take over as a new runner."""
        return await self.ledger.orphan_all()

    async def purge(self, step: Step) -> bool:
        return await self.ledger.purge_part(is_first=step.detail == "begin")


class CampaignLedger:
    """The real ledger with one campaign in it."""

    def __init__(self, *, is_shared: bool) -> None:
        self.ledger = SharedLedger() if is_shared else DirectLedger()
        self._connection = self.ledger.direct.connection
        self._calls = _Calls(self.ledger)
        self._calls.now, self._calls.revision = CLAIMED_AT, REVISION
        #: How many transactions were done.
        self.executed = 0
        #: One of each kind, for `conformance`.
        self.samples: dict[tuple[object, ...], tuple[Campaign, Batches, Step, Change]] = {}

    def execute(self, campaign: Campaign, batches: Batches, step: Step) -> Change:
        """Do a transaction on a state that is put into the tables. Raises `Violation`."""
        self.executed += 1
        self._connection.execute("BEGIN")
        try:
            load(self._connection, campaign, batches)
            self._connection.execute(_BYSTANDER)
            prepare(self._calls, batches)
            answer = run(self._calls.do(step))
            change = self._read(batches, answer)
            if self._connection.execute("SELECT state, token FROM send").fetchall() != [("sending", "s")]:
                raise Violation(f"{step.name} of a campaign changes a single send")
        finally:
            self._connection.execute("ROLLBACK")
        _check_change(campaign, batches, step, change)
        self.samples.setdefault(kind_of(campaign, batches, step, change), (campaign, batches, step, change))
        return change

    def _read(self, batches: Batches, answer: str) -> Change:
        """Read the state again, and compare what the ledger counts with its rows."""
        row = self._connection.execute(
            "SELECT state, max_segments, message, revision, committed, policy FROM campaign"
        ).fetchone()
        after, held = read_batches(self._connection, batches)
        (size, different) = self._connection.execute(
            "SELECT count(*), count(DISTINCT phone) FROM recipient"
        ).fetchone()
        purged = 0 if row[2] else 2 - bool(size)
        campaign = Campaign(row[0], BUDGETS.index(row[1]), purged)
        if row[4] != spent_on(after):
            raise Violation(f"the budget counts {row[4]} segments, the batches {spent_on(after)}")
        if row[5] != make_policy(campaign.budget):
            raise Violation("the budget is not the policy's")
        if purged < 2 and (size, different) != (len(PHONES), len(PHONES)):
            raise Violation(f"{different} recipients are in {size} places")
        self._check_counts(after)
        if purged:
            _check_forgotten(self._connection)
        return Change(campaign, after, answer, held, row[3] != REVISION)

    def _check_counts(self, batches: Batches) -> None:
        status = run(self.ledger.status(CAMPAIGN))
        counts = dict.fromkeys(("queued", "sending", "accepted", "rejected", "cancelled", "unknown"), 0)
        for batch in batches:
            counts[batch.state] += batch.included
            counts["cancelled"] += len(batch.people) - batch.included
        told = (status.queued, status.sending, status.accepted, status.rejected, status.not_sent)
        if (*told, status.unknown) != tuple(counts.values()) or status.recipients != len(PHONES):
            raise Violation(f"the counts {told} are not those of the batches, {counts}")
        if status.segments != spent_on(batches):
            raise Violation(f"{status.segments} segments are counted, the batches say {spent_on(batches)}")


def prepare(calls: CampaignCalls, batches: Batches) -> None:
    """Set calls up to be made by who has those batches under way, if anybody."""
    calls.tokens = {batch.number: token_of(batch) for batch in batches}
    calls.people = {
        batch.number: tuple([person.who for person in batch.people if not person.excluded])
        for batch in batches
    }


def token_of(batch: Batch) -> str:
    """Return the token of a batch in the tables."""
    return f"t{batch.number}"


def kind_of(campaign: Campaign, batches: Batches, step: Step, change: Change) -> tuple[object, ...]:
    """Return what kind of a step it is: by what it is told, finds, answers and does."""
    mine = [batch for batch in batches if batch.number == step.number] or batches
    about = [(batch.state, batch.doubts > 0, batch.included, batch.age) for batch in mine]
    opted_out = any(person.opted_out for batch in mine for person in batch.people)
    states = sorted([batch.state for batch in change.batches])
    told = (step.name, step.detail, step.is_holder, change.answer.split()[0])
    return (*told, campaign, change.campaign, *about, opted_out, *(states if step.number < 0 else ()))


def load(connection: Connection, campaign: Campaign, batches: Batches) -> None:
    """Put a state into the tables, which are empty."""
    connection.execute(
        "INSERT INTO campaign (seq, id, account, sender_id, plan_hash, created_at, revision, state, message,"
        " policy, max_segments, committed) VALUES (1, ?, ?, ?, 'hash', 1.0, ?, ?, ?, ?, ?, ?)",
        (CAMPAIGN, ACCOUNT, SENDER, REVISION, *campaign_values(campaign, batches)),
    )
    connection.executemany(
        "INSERT INTO batch (campaign, segments, attempt, worker, number, state, size, excluded,"
        " unknown_attempts, token, sending_at, message, result) VALUES (1, 1, 1, 'w', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [batch_values(campaign, batch) for batch in batches],
    )
    people = people_values(campaign, batches)
    connection.executemany(
        "INSERT INTO recipient (campaign, batch, position, phone, exclusion) VALUES (1, ?, ?, ?, ?)", people
    )
    connection.executemany(
        "INSERT INTO addressee (campaign, batch, phone) VALUES (1, ?, ?)", [row[:3:2] for row in people]
    )
    connection.executemany("INSERT INTO opt_out VALUES (?, 'cli', 1.0)", opt_out_values(batches))


def campaign_values(campaign: Campaign, batches: Batches) -> tuple[object, ...]:
    """Return the columns of a campaign that differ: state, message, policy, budget, what is spent."""
    message = "" if campaign.purged else TEXT
    policy, budget = make_policy(campaign.budget), BUDGETS[campaign.budget]
    return (campaign.state, message, policy, budget, spent_on(batches))


def batch_values(campaign: Campaign, batch: Batch, now: float = CLAIMED_AT) -> tuple[object, ...]:
    """Return the columns of a batch that differ, in the order of `load`."""
    has_ids = batch.state == "accepted" and not campaign.purged
    return (
        batch.number,
        batch.state,
        len(batch.people),
        len(batch.people) - batch.included,
        batch.doubts,
        token_of(batch),
        now - AGES[batch.age],
        "" if campaign.purged else TEXT,
        dump_record(ACCEPTED) if has_ids else None,
    )


def people_values(campaign: Campaign, batches: Batches) -> list[tuple[int, int, int, str | None]]:
    """Return the rows of the recipients; none once they are purged."""
    return [
        (batch.number, place, int(PHONES[person.who]), "opted_out" if person.excluded else None)
        for batch in batches
        for place, person in enumerate(batch.people)
        if campaign.purged < 2
    ]


def opt_out_values(batches: Batches) -> list[tuple[int]]:
    """Return who is on the opt-out list."""
    return [(int(PHONES[person.who]),) for batch in batches for person in batch.people if person.opted_out]


def read_batches(connection: Connection, before: Batches) -> tuple[Batches, frozenset[int]]:
    """Read the batches again, and whose token is still the same."""
    rows = connection.execute(
        "SELECT number, state, unknown_attempts, sending_at, token, size, excluded FROM batch ORDER BY number"
    ).fetchall()
    people: dict[int, list[Person]] = {}
    for number, phone, exclusion, source in connection.execute(
        "SELECT batch, phone, exclusion, source FROM recipient LEFT JOIN opt_out USING (phone)"
        " ORDER BY batch, position"
    ):
        person = Person(phone - int(PHONES[0]), exclusion is not None, source is not None)
        people.setdefault(number, []).append(person)
    return make_batches(rows, people, before)


def make_batches(
    rows: Sequence[tuple[Any, ...]],
    people: Mapping[int, Sequence[Person]],
    before: Batches,
    now: float = CLAIMED_AT,
    tokens: Mapping[int, str] | None = None,
) -> tuple[Batches, frozenset[int]]:
    """Make the batches of their rows, and say whose token is still the same."""
    found, held = [], set()
    known = {batch.number: batch.people for batch in before}
    tokens = {batch.number: token_of(batch) for batch in before} if tokens is None else tokens
    for number, state, doubts, sending_at, token, size, excluded in rows:
        # Of a purged campaign nobody is left in the tables.
        group = tuple(people.get(number, ())) or known[number]
        batch = Batch(number, state, doubts, _read_age(sending_at, now), group)
        if (len(group), len(group) - batch.included) != (size, excluded):
            raise Violation(f"batch {number} counts {size} recipients and {excluded} left out, not {group}")
        found.append(batch)
        if token is not None and token == tokens.get(number):
            held.add(number)
    return tuple(found), frozenset(held)


def make_policy(budget: int) -> str:
    """Return the policy as the ledger keeps it: a segment costs one."""
    return dump_policy(Policy(unit_price=Decimal(1), budget=Decimal(BUDGETS[budget])))


def spent_on(batches: Batches) -> int:
    """Return the segments that are spent, for sure or possibly."""
    return sum([batch.segments for batch in batches])


def _check_change(campaign: Campaign, batches: Batches, step: Step, change: Change) -> None:
    """Raise `Violation` where a transaction touched what is not its own, or went where nothing leads."""
    after = {batch.number: batch for batch in change.batches}
    for batch in batches:
        now = after.get(batch.number)
        if now != batch:
            _check_batch_change(batch, now, step)
    if campaign.state == "cancelled" != change.campaign.state:
        raise Violation(f"the campaign was cancelled, and is {change.campaign.state}")
    if step.name == "claim" and change.answer != "refused":
        _check_claim(change)
    if change.campaign.state == "done" and any(
        batch.state in ("queued", "sending") for batch in change.batches
    ):
        raise Violation("the campaign is done, and something of it waits or is under way")


def _check_batch_change(batch: Batch, now: Batch | None, step: Step) -> None:
    if step.name in _OF_ONE_BATCH and batch.number != step.number:
        raise Violation(f"{step.name} of batch {step.number} changed batch {batch.number}")
    if batch.state in FINAL:
        found = "gone" if now is None else now.state
        raise Violation(f"batch {batch.number} was {batch.state} for good, and {step.name} makes it {found}")
    if not step.is_holder:
        raise Violation(f"{step.name} of batch {batch.number} counts, with a token of an older claim")


def _check_claim(change: Change) -> None:
    spent, budget = spent_on(change.batches), BUDGETS[change.campaign.budget]
    if spent > budget:
        raise Violation(f"{spent} segments are spent of a budget of {budget}")
    if change.campaign.state != "running":
        raise Violation(f"a batch was claimed of a campaign that is {change.campaign.state}")
    wanted = {int(each) for each in change.answer.split()[1].split(",")}
    people = [person for batch in change.batches for person in batch.people if person.who in wanted]
    if any(person.opted_out for person in people):
        raise Violation("a batch was claimed for one who opted out")


def _check_forgotten(connection: Connection) -> None:
    (texts,) = connection.execute("SELECT count(*) FROM batch WHERE message <> ''").fetchone()
    (ids,) = connection.execute("SELECT count(*) FROM batch WHERE result LIKE '%ids%'").fetchone()
    if texts or ids:
        raise Violation("a purged campaign keeps texts or message ids")


def _read_age(sending_at: float | None, now: float) -> int:
    if sending_at is None:
        return 0
    # A little goes by where a database has a clock of its own.
    return sum([now - sending_at > age - 0.5 for age in AGES[1:]])
