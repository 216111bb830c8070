"""Compare the campaign's account with the journal of the gateway, which is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from vavasms.campaigns.planning.contacts import Fate, Judge, read_contacts
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.cli.commands.demo import report
from vavasms.client import AsyncVavaSMS
from vavasms.errors import Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.states import OUTCOMES
from vavasms.numbers import Msisdn
from vavasms.sandbox import Journal

_PAGE = 200
#: Recipients by their outcome; None: they have none yet.
Account = Mapping[Outcome | None, Sequence[Msisdn]]


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
        after = page[-1].number
    return account


async def audit_campaign(
    sms: AsyncVavaSMS, ledger: Ledger, campaign_id: str, plan: CampaignPlan, journal: Journal, contacts: Path
) -> report.Audit:
    """Compare the account of a campaign that has ended with the journal."""
    account, balance = await read_account(ledger, campaign_id), await sms.balance()
    assert plan.balance is not None
    recipients = list(read_recipients(contacts))
    return audit(journal, recipients, account, before=plan.balance, after=balance.amount)


def audit(
    journal: Journal, recipients: Collection[Msisdn], account: Account, *, before: Decimal, after: Decimal
) -> report.Audit:
    """Compare; `before` and `after` are the balances."""
    received = Counter(journal.counts())
    cost = sum((entry.cost for entry in journal.entries), Decimal(0))
    settled = Counter(number for outcome in Outcome for number in account[outcome])
    untouched = (*account[Outcome.REJECTED], *account[Outcome.NOT_SENT])
    checks = {
        report.MISSING: settled == Counter(recipients),
        report.NOT_RECEIVED: all(received[number] == 1 for number in account[Outcome.ACCEPTED]),
        report.RECEIVED_TWICE: max(received.values(), default=0) <= 1,
        report.NOT_EXPECTED: not any(received[number] for number in untouched),
        report.STRANGER: received.keys() <= set(recipients),
        report.WRONG_COST: cost == before - after,
    }
    return report.Audit(
        once=sum(times == 1 for times in received.values()),
        several_times=sum(times > 1 for times in received.values()),
        unknown_received=sum(received[number] > 0 for number in account[Outcome.UNKNOWN]),
        segments=sum(entry.segments * entry.recipients for entry in journal.entries),
        cost=cost,
        balance_before=before,
        balance_after=after,
        faults=tuple(fault for fault, holds in checks.items() if not holds),
    )
