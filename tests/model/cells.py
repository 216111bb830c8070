"""A batch as the model has it: what the ledger says, what is true of its recipients, who has it under way.

What may have been sent is counted for the worst: a body that left is a message that somebody may have, until
the gateway proves that nobody has. So no step asks whether it arrived, and what holds here holds either way.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.model.batches import FINAL, SPENT, Batch
from tests.model.violation import Violation


class Attempt(NamedTuple):
    """Who has a batch under way, and how far: the state of its automaton."""

    worker: int
    at: int


class Recipient(NamedTuple):
    """A recipient of a batch: what the ledger says, and what is true whatever it says."""

    excluded: bool = False
    opted_out: bool = False
    #: Requests that left and were not proven refused; `CHECKED` where that cannot change any more.
    reached: int = 0
    #: How often a person had it sent again, on the chance that they have it.
    again: int = 0
    #: A person took it for sent.
    marked: bool = False


class Cell(NamedTuple):
    """All of a batch."""

    state: str
    #: Earlier attempts of which nobody knows.
    doubts: int
    #: The place in `AGES` of the time since its claim, as far as anybody goes by it.
    age: int
    recipients: tuple[Recipient, ...]
    #: Empty, or the one whose token is the batch's.
    attempts: tuple[Attempt, ...] = ()

    @property
    def included(self) -> int:
        """How many are not left out."""
        return sum([not each.excluded for each in self.recipients])

    @property
    def segments(self) -> int:
        """What is spent on it, for sure or possibly."""
        return self.included * (self.doubts + (self.state in SPENT))

    @property
    def is_over(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.state in FINAL and not self.attempts

    def evolve(self, batch: Batch) -> Cell:
        """Return it as the ledger has it after a transaction that kept its recipients."""
        recipients = [
            Recipient(person.excluded, person.opted_out, *each[2:])
            for each, person in zip(self.recipients, batch.people, strict=True)
        ]
        return Cell(batch.state, batch.doubts, batch.age, tuple(recipients), self.attempts)

    def add(self, reached: int = 0, again: int = 0, *, marked: bool = False) -> Cell:
        """Return it with so much more true of those who are not left out."""
        recipients = [
            each
            if each.excluded
            else Recipient(
                False, each.opted_out, each.reached + reached, each.again + again, each.marked or marked
            )
            for each in self.recipients
        ]
        return self._replace(recipients=tuple(recipients))


#: In the place of what is true of the recipients of a batch that is over.
CHECKED = -1


def close(cell: Cell) -> Cell:
    """Return a batch that is over as it stands for all that came to that in another way."""
    recipients = [Recipient(each.excluded, reached=CHECKED) for each in cell.recipients]
    return Cell(cell.state, cell.doubts, 0, tuple(sorted(recipients)))


def expect_worst(cell: Cell) -> Cell:
    """Return a batch that nobody has under way as if whoever may have it did: who the ledger says may have it.

    Whatever happens to it then is what must happen if they do.
    """
    counted = cell.doubts + (cell.state in SPENT)
    recipients = [
        Recipient(excluded=True) if each.excluded else each._replace(reached=counted, marked=False)
        for each in cell.recipients
    ]
    return cell._replace(recipients=tuple(sorted(recipients)))


def check_cell(cell: Cell) -> None:
    """Raise `Violation` where the ledger's word on a batch is not what happened to its recipients."""
    counted = cell.doubts + (cell.state in SPENT)
    for each in cell.recipients:
        if each.reached == CHECKED:
            continue
        if each.reached > 1 + each.again:
            times = f"was sent to {each.reached} times"
            raise Violation(f"a recipient {times}, and a person asked for {each.again} more than the first")
        if each.excluded:
            if each.reached:
                raise Violation("a recipient may have it, and was left out")
            continue
        if each.reached > (0 if cell.state in ("rejected", "cancelled") else counted):
            raise Violation(
                f"a recipient may have it, {counted} attempts are counted, the batch is {cell.state}"
            )
        if cell.state == "accepted" and not (each.reached or each.marked):
            raise Violation("a recipient was never sent to, and the batch is accepted")
