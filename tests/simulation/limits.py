"""Whether a simulation kept to what its campaigns may cost, and to how many messages anybody may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from tests.simulation.faults import Fault, FaultKind
from tests.simulation.intents import Book, IntentKind
from tests.simulation.recovery import Audit
from tests.simulation.scenario import Role, Scenario

#: A day passes at once, for what is counted by the clock.
_TIME_PASSES = (FaultKind.CLOCK_SET, FaultKind.SUSPENDED)


def check_spending(scenario: Scenario, book: Book, audit: Audit) -> Iterator[str]:
    """Check that no campaign spent more than its budget, and that what it counts as spent is what may be."""
    for intent in scenario.of(IntentKind.CAMPAIGN):
        audits = [each for each in audit.campaigns if each.campaign.message == intent.text]
        spent = sum(book.accepted(intent.name).values()) * intent.segments
        budgets = [each.max_segments for each in audits]
        # Whoever found it cancelled made another one, with a budget of its own.
        if None not in budgets and spent > sum(filter(None, budgets)):
            yield f"{intent.name}: {spent} segments spent, of {budgets}"
        for each in audits:
            if each.max_segments is None:
                continue
            if each.committed > each.max_segments:
                yield f"{intent.name}: {each.committed} segments counted, of {each.max_segments}"
            if each.committed != each.status.segments:
                yield (
                    f"{intent.name}: {each.committed} segments count as spent, and {each.status.segments} may be"
                )


def check_floor(scenario: Scenario, book: Book, audit: Audit, struck: Collection[Fault]) -> Iterator[str]:
    """Check that what must stay on the account is there, where campaigns alone spend from it."""
    floors = [policy.balance_floor for policy in scenario.policies if policy.balance_floor is not None]
    spenders = {role for role in scenario.roles if role not in (Role.RUNNER, Role.PERSON)}
    # Of what is unknown nobody knows whether it is still to be paid.
    is_doubtful = any(each.status.unknown for each in audit.campaigns) or book.resends or book.marked
    if len(floors) < len(scenario.policies) or spenders or is_doubtful:
        return
    if book.gateway.balance < min(min(floors), scenario.balance):
        yield f"the balance is {book.gateway.balance}, under the floor of {min(floors)}"


def check_cap(scenario: Scenario, book: Book, struck: Collection[Fault]) -> Iterator[str]:
    """Check that nobody has more messages of the campaigns than the cap allows, within one day."""
    caps = [policy.daily_cap for policy in scenario.policies if policy.daily_cap is not None]
    if len(caps) < len(scenario.policies) or any(fault.kind in _TIME_PASSES for fault in struck):
        return
    counts: Counter[str] = Counter()
    for intent in scenario.of(IntentKind.CAMPAIGN):
        counts.update(book.accepted(intent.name))
    for recipient, count in counts.items():
        again = sum(times for (_name, to), times in book.resends.items() if to == recipient)
        if count > max(caps) + again:
            yield f"{recipient} has {count} messages, and the cap is {max(caps)}"
