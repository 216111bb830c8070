"""Read the list and sort its numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from attrs import define, field

from vavasms.campaigns.contacts import Contact, Fate, Judge, Verdict, read_contacts
from vavasms.numbers import Msisdn


@define(kw_only=True)
class Screening:
    """What was found in the list."""

    #: The column the numbers were in.
    phone_column: str = ""
    #: Rows that hold anything, the header not counted.
    rows: int = 0
    #: Numbers by what became of them.
    fates: Counter[Fate] = field(factory=Counter)
    #: Repaired and refused numbers by the reason, a value of `NumberFault`.
    reasons: Counter[tuple[Fate, str]] = field(factory=Counter)
    #: The first number of each reason, as it was written, and what it became.
    examples: dict[tuple[Fate, str], tuple[str, Msisdn | None]] = field(factory=dict)
    #: Whom to send to.
    recipients: list[Msisdn] = field(factory=list)
    _last_row: int = 0

    def add(self, contact: Contact, verdict: Verdict) -> None:
        """Count one number."""
        self.rows += contact.row != self._last_row
        self._last_row = contact.row
        self.fates[verdict.fate] += 1
        if verdict.reason is not None:
            key = (verdict.fate, verdict.reason)
            self.reasons[key] += 1
            self.examples.setdefault(key, (contact.phone, verdict.recipient))
        if verdict.recipient is not None and verdict.fate in {Fate.KEPT, Fate.REPAIRED}:
            self.recipients.append(verdict.recipient)


def screen(path: Path) -> Screening:
    """Sort the numbers of the list, all of them known to be Ivorian, and repair what can be."""
    found = Screening()
    judge = Judge(region="CI", repair=True)
    with read_contacts(path) as contacts:
        found.phone_column = contacts.phone_column or ""
        for contact in contacts:
            found.add(contact, judge.judge(contact.phone))
    return found
