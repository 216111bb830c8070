"""Hold the campaign's account against the journal of the gateway, which is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from attrs import frozen

from vavasms.campaigns.contacts import Fate, Judge, read_contacts
from vavasms.campaigns.ledger.port import Ledger
from vavasms.campaigns.states import OUTCOMES
from vavasms.errors import Outcome
from vavasms.numbers import Msisdn
from vavasms.sandbox import Journal

_PAGE = 200
#: Recipients by their outcome; None: they have none yet.
Account = Mapping[Outcome | None, Sequence[Msisdn]]


@frozen(kw_only=True)
class Audit:
    """What the journal says."""

    #: Numbers that received the text once, and more than once.
    once: int
    several_times: int
    #: Of the unknown ones, how many did receive it.
    unknown_received: int
    #: Segments paid, over all recipients.
    segments: int
    cost: Decimal
    #: What does not add up, in words; empty where all does.
    faults: tuple[str, ...]


def read_recipients(path: Path) -> Iterator[Msisdn]:
    """Read the list once more, one number at a time: whom the campaign has to account for."""
    judge = Judge(region="CI", repair=True)
    with read_contacts(path) as contacts:
        for contact in contacts:
            verdict = judge.judge(contact.phone)
            if verdict.recipient is not None and verdict.fate in {Fate.KEPT, Fate.REPAIRED}:
                yield verdict.recipient


async def read_account(ledger: Ledger, campaign_id: str) -> Account:
    """Read from the ledger what became of each recipient."""
    account: dict[Outcome | None, list[Msisdn]] = {outcome: [] for outcome in (*Outcome, None)}
    after = -1
    while page := await ledger.batches(campaign_id, after=after, limit=_PAGE):
        for batch in page:
            for recipient, exclusion in batch.recipients:
                outcome = OUTCOMES[batch.state] if exclusion is None else Outcome.NOT_SENT
                account[outcome].append(recipient)
        after = page[-1].no
    return account


def audit(journal: Journal, recipients: Collection[Msisdn], account: Account, spent: Decimal) -> Audit:
    """Compare; `spent` is what left the balance."""
    received = Counter(journal.counts())
    cost = sum((entry.cost for entry in journal.entries), Decimal(0))
    settled = Counter(number for outcome in Outcome for number in account[outcome])
    untouched = (*account[Outcome.REJECTED], *account[Outcome.NOT_SENT])
    checks = {
        "a recipient is missing from the account": settled == Counter(recipients),
        "an accepted number did not receive it once": all(
            received[number] == 1 for number in account[Outcome.ACCEPTED]
        ),
        "a number received it twice": max(received.values(), default=0) <= 1,
        "a rejected or unsent number received it": not any(received[number] for number in untouched),
        "a stranger received it": received.keys() <= set(recipients),
        "the cost is not what left the balance": cost == spent,
    }
    return Audit(
        once=sum(times == 1 for times in received.values()),
        several_times=sum(times > 1 for times in received.values()),
        unknown_received=sum(received[number] > 0 for number in account[Outcome.UNKNOWN]),
        segments=sum(entry.segments * entry.recipients for entry in journal.entries),
        cost=cost,
        faults=tuple(fault for fault, holds in checks.items() if not holds),
    )
