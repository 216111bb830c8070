"""The verdict on a simulation: what the ledger and the callers say, held against the gateway's journal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import frozen

from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.intents import Book, Intent, IntentKind
from tests.simulation.limits import check_cap, check_floor, check_spending
from tests.simulation.recovery import Audit, CampaignAudit
from tests.simulation.scenario import BAD_NUMBER, Scenario
from vavasms.errors import Outcome
from vavasms.ledger.states import OUTCOMES

#: After these alone nothing is unknown: they strike before anything left, or only take time.
_HARMLESS = frozenset(
    {
        FaultKind.REFUSED,
        FaultKind.NO_ANSWER,
        FaultKind.ACCOUNT_REFUSED,
        FaultKind.ID_MISSING,
        FaultKind.CLOCK_SET,
        FaultKind.DISK_SLOW,
    }
)

_ON_DISK = (FaultKind.DISK_ERROR, FaultKind.DISK_FULL, FaultKind.COMMIT_LOST)
#: For so long a disk can fail, and everything is written all the same.
_PATIENT_SECONDS = 1.0

#: What is said of a recipient, and how often: None where there is no outcome.
Says = Mapping[str, Counter[Outcome | None]]


def check(scenario: Scenario, book: Book, audit: Audit, struck: Collection[Fault]) -> list[str]:
    """Return what breaks a promise, one sentence each."""
    checked = _Check(scenario, book, audit, struck)
    return [
        *checked.problems(),
        *check_spending(scenario, book, audit),
        *check_floor(scenario, book, audit, struck),
        *check_cap(scenario, book, struck),
    ]


def explains_unknown(struck: Iterable[Fault]) -> bool:
    """Return whether any of these faults can make a send unknown."""
    return any(
        fault.kind not in _HARMLESS
        and fault.event is not Event.READING
        # What could not be written is written a little later; who could not read was told so.
        and not (fault.kind in _ON_DISK and fault.seconds < _PATIENT_SECONDS and not fault.fails_reading)
        for fault in struck
    )


def _explains_claims(struck: Iterable[Fault]) -> bool:
    """Return whether any of these faults can leave something claimed of which nothing left."""
    kinds = {fault.kind for fault in struck}
    return not kinds.isdisjoint(
        (FaultKind.CRASH, FaultKind.CRASH_IN_JOB, FaultKind.DISK_ERROR, FaultKind.DISK_FULL)
    )


def read_ledger(scenario: Scenario, audit: Audit) -> Mapping[str, Says]:
    """Return what the ledger says of each recipient of each intent."""
    says: dict[str, dict[str, Counter[Outcome | None]]] = defaultdict(lambda: defaultdict(Counter))
    for record in audit.sends:
        for recipient in record.recipients:
            says[record.key][str(recipient)][record.outcome] += 1
    by_text = {intent.text: intent.name for intent in scenario.intents}
    for each in audit.campaigns:
        for line in each.report:
            says[by_text[each.campaign.message]][str(line.recipient)][line.outcome] += 1
    return says


def count_outcomes(scenario: Scenario, book: Book, audit: Audit) -> Counter[str]:
    """Count the recipients by what became of them, as far as anybody was told."""
    counts: Counter[str] = Counter()
    says = read_ledger(scenario, audit)
    for intent in scenario.intents:
        of_intent = says.get(intent.name, {}) if intent.kind.has_ledger else read_told(book, intent)
        for outcomes in of_intent.values():
            counts.update(
                {outcome.value: count for outcome, count in outcomes.items() if outcome is not None}
            )
    return counts


def read_told(book: Book, intent: Intent) -> Says:
    """Return what callers were told of each recipient who have no ledger."""
    told: dict[str, Counter[Outcome | None]] = defaultdict(Counter)
    for each in book.told.get(intent.name, ()):
        for recipient in each.recipients:
            told[recipient][each.outcome] += 1
    return told


@frozen
class _Check:
    scenario: Scenario
    book: Book
    audit: Audit
    struck: Collection[Fault]

    def problems(self) -> Iterator[str]:
        says = read_ledger(self.scenario, self.audit)
        for intent in self.scenario.intents:
            accepted = self.book.accepted(intent.name)
            yield from self._check_twice(intent, accepted)
            if intent.kind.has_ledger:
                yield from self._check_ledger(intent, accepted, says.get(intent.name, {}))
                yield from self._check_told_unknown(intent)
            else:
                yield from self._check_told(intent, accepted)
        for campaign in self.audit.campaigns:
            yield from self._check_campaign(campaign)
        yield from self._check_reported()

    def _check_twice(self, intent: Intent, accepted: Counter[str]) -> Iterator[str]:
        for recipient, count in accepted.items():
            if count > 1 + self.book.resends[intent.name, recipient]:
                yield f"{intent.name}: accepted {count} times for {recipient}"

    def _check_told(self, intent: Intent, accepted: Counter[str]) -> Iterator[str]:
        for recipient, outcomes in read_told(self.book, intent).items():
            maybe = outcomes[Outcome.ACCEPTED] + outcomes[Outcome.UNKNOWN] + self.book.untold[intent.name]
            if accepted[recipient] and not maybe:
                yield f"{intent.name}: {recipient} has it, and its caller was told {_names(outcomes)}"
            if not accepted[recipient] and outcomes[Outcome.ACCEPTED]:
                yield f"{intent.name}: {recipient} has nothing, and its caller was told accepted"
            if outcomes[Outcome.UNKNOWN]:
                yield from self._check_unknown(intent, recipient)

    def _check_told_unknown(self, intent: Intent) -> Iterator[str]:
        if self._is_refused(intent) or explains_unknown(self.struck):
            return
        for recipient, outcomes in read_told(self.book, intent).items():
            if outcomes[Outcome.UNKNOWN]:
                yield f"{intent.name}: a caller was told that {recipient} is unknown, and nothing explains it"

    def _check_ledger(self, intent: Intent, accepted: Counter[str], says: Says) -> Iterator[str]:
        for recipient in dict.fromkeys((*intent.recipients, *accepted)):
            outcomes = says.get(recipient, Counter())
            if outcomes[None]:
                yield f"{intent.name}: {recipient} has no outcome at the end"
            is_told = outcomes[Outcome.ACCEPTED] + outcomes[Outcome.UNKNOWN]
            # A person may have taken it for not sent.
            if accepted[recipient] and not is_told and not self.book.resends[intent.name, recipient]:
                yield f"{intent.name}: {recipient} has it, and the ledger says {_names(outcomes)}"
            is_marked = (intent.name, recipient) in self.book.marked
            if outcomes[Outcome.ACCEPTED] > accepted[recipient] and not is_marked:
                yield f"{intent.name}: {recipient} has nothing, and the ledger says accepted"
            if outcomes[Outcome.UNKNOWN]:
                yield from self._check_unknown(intent, recipient)

    def _check_unknown(self, intent: Intent, recipient: str) -> Iterator[str]:
        has_left = (intent.name, recipient) in self.book.left_at or _explains_claims(self.struck)
        if not has_left or not (self._is_refused(intent) or explains_unknown(self.struck)):
            yield f"{intent.name}: {recipient} is unknown, and nothing explains it"

    def _is_refused(self, intent: Intent) -> bool:
        """Return whether the gateway refuses it by a code of which nobody knows what it means for the others."""
        return BAD_NUMBER in intent.recipients and not self.scenario.lots_are_atomic

    def _check_campaign(self, audit: CampaignAudit) -> Iterator[str]:
        name = f"the campaign of {audit.campaign.message[:11]!r}"
        intent = next(each for each in self.scenario.intents if each.text == audit.campaign.message)
        held = Counter(str(line.recipient) for line in audit.report)
        if max(held.values(), default=1) > 1:
            yield f"{name}: somebody is in two batches: {dict(held)}"
        missing = {*intent.recipients} - held.keys() - self.book.maybe_opted_out
        # One that ended as it was loaded was never whole.
        if missing and audit.campaign.plan_hash:
            yield f"{name}: nobody knows of {sorted(missing)}"
        rows: Counter[Outcome | None] = Counter()
        for batch in audit.batches:
            left_out = sum(exclusion is not None for _recipient, exclusion in batch.recipients)
            rows[Outcome.NOT_SENT] += left_out
            rows[OUTCOMES[batch.state]] += len(batch.recipients) - left_out
        status = audit.status
        shown = {
            Outcome.ACCEPTED: status.accepted,
            Outcome.REJECTED: status.rejected,
            Outcome.NOT_SENT: status.not_sent,
            Outcome.UNKNOWN: status.unknown,
            None: status.queued + status.sending,
        }
        if {outcome: rows[outcome] for outcome in shown} != shown or status.recipients != sum(rows.values()):
            yield f"{name}: it counts {shown}, and its rows are {dict(rows)}"
        for line in audit.report:
            if line.message_id is not None:
                yield from self.book.check_pair(intent.name, str(line.recipient), line.message_id)

    def _check_reported(self) -> Iterator[str]:
        """Check that every outcome of what was enqueued was reported, by now at the latest."""
        if any(fault.kind is FaultKind.CLOCK_SET for fault in self.struck):
            # What was settled in the future is not late yet.
            return
        for record in self.audit.sends:
            is_enqueued = self.book.intents[record.key].kind is IntentKind.ENQUEUED
            if is_enqueued and record.outcome and not self.book.reported[record.key, record.outcome]:
                yield f"{record.key}: nobody was told that it is {record.outcome.value}"


def _names(outcomes: Counter[Outcome | None]) -> str:
    names = ["nothing" if outcome is None else outcome.value for outcome, count in outcomes.items() if count]
    return ", ".join(names) or "nothing"
