"""What can happen to one batch: by who has it under way, by anybody who would, by time, by a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from attrs import define

from tests.model.batches import AGES, Batches, Campaign, CampaignLedger, Change
from tests.model.calls import Step
from tests.model.cells import Attempt, Cell
from tests.model.machines import PROOFS, SAME, Machine
from tests.model.violation import Violation
from vavasms.ledger.states import BatchEvent

#: Places in `AGES`.
FRESH, SILENT, OLDEST = range(len(AGES))
_ANSWERS = (BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.REQUEUE)
#: In the place of a worker.
NOBODY = 2
Words = tuple[object, ...]


class Move(NamedTuple):
    """What can happen to a batch."""

    words: Words
    campaign: Campaign
    #: What the batch becomes: one, or two halves.
    cells: tuple[Cell, ...]
    #: Who must be free for it.
    claimer: int = NOBODY
    is_opt_out: bool = False


class Rules(Protocol):
    """What moves are made by."""

    @property
    def is_shared(self) -> bool:
        """Whether any number of workers shares the ledger."""
        ...

    @property
    def atomic(self) -> bool:
        """Whether the gateway refuses a lot as a whole."""
        ...

    @property
    def resends(self) -> int:
        """How often a person has a recipient sent to again, at most."""
        ...


@define
class CellMoves:
    """The moves of one batch in one state of its campaign."""

    rules: Rules
    ledger: CampaignLedger
    machine: Machine
    campaign: Campaign
    batches: Batches
    cell: Cell
    number: int
    #: Whether its campaign has other limits by now than when it was started last.
    limits_changed: bool
    #: The move that is tried.
    doing: Words = ()

    def find(self) -> Iterator[Move]:
        """Yield what can happen. Raises `Violation`."""
        self._write_late()
        yield from self._claim()
        for attempt in self.cell.attempts:
            yield from self._go_on(attempt)
        if self.rules.is_shared:
            yield from self._grow_older()
            yield from self._orphan()
        yield from self._decide()
        yield from self._opt_out()

    # Whoever would

    def _claim(self) -> Iterator[Move]:
        (passed,) = self.machine.effects[self.machine.start].detail
        self.doing = ("claim", "by older limits")
        late = self._execute(Step("claim", self.number, "any" if passed is None else "stale"))
        if self._differs(late):
            raise Violation("a batch was claimed under limits that may have been changed")
        self.doing = ("claim",)
        change = self._execute(Step("claim", self.number, "same"))
        if change.answer != "refused" and self.limits_changed:
            raise Violation("a batch was claimed by limits that were changed since its campaign was started")
        for worker in (0, 1):
            self.doing = ("claim", f"worker {worker + 1}")
            if change.answer != "refused":
                yield from self._grant(change, worker)
            else:
                for move in self._change(change):
                    yield move._replace(claimer=worker)

    def _grant(self, change: Change, worker: int) -> Iterator[Move]:
        moves = self.machine.moves[self.machine.start]
        cell = self._after(change)[0]
        yield self._hold(change, cell, Attempt(worker, moves["lost"]), "its answer is lost")
        for age, note in (("0", ""), ("1", "and waits")):
            at = moves[f"granted {cell.included} {age}"]
            yield self._hold(change, cell, Attempt(worker, at), note)

    def _hold(self, change: Change, cell: Cell, attempt: Attempt, note: str) -> Move:
        after = self.move(cell, attempt, attempt.at)
        return Move((*self.doing, note), change.campaign, (after,), claimer=attempt.worker)

    def _write_late(self) -> None:
        """Raise `Violation` where an answer to an older claim changes anything."""
        steps = [Step("settle", self.number, event, is_holder=False) for event in _ANSWERS]
        steps += [Step(name, self.number, is_holder=False) for name in ("abandon", "split")]
        for step in steps:
            self.doing = ("late", step.name, *tell(step.detail))
            change = self._execute(step)
            if self._differs(change) or change.answer != "refused":
                raise Violation("an answer to an older claim counts")

    # Whoever has it under way

    def move(self, cell: Cell, attempt: Attempt, at: int) -> Cell:
        """Return a batch whose holder is in another state."""
        attempts = () if self.machine.is_end(at) else (Attempt(attempt.worker, at),)
        return cell._replace(attempts=attempts)

    def _go_on(self, attempt: Attempt) -> Iterator[Move]:
        effect = self.machine.effects[attempt.at]
        if effect.name == "connect":
            yield from self._connect(attempt)
        elif effect.name == "answer":
            yield from self._answer(attempt)
        else:
            event = effect.detail[0] if effect.detail else None
            yield from self._write(attempt, Step(effect.name, self.number, event))

    def _connect(self, attempt: Attempt) -> Iterator[Move]:
        moves = self.machine.moves[attempt.at]
        # On a file nobody goes by the age of a claim, and it is any.
        ages = (self.cell.age,) if self.rules.is_shared else (FRESH, OLDEST)
        for name in (*[f"go {age}" for age in ages], "unreachable", "interrupted"):
            self.doing = (name if name[:2] != "go" else "send", f"worker {attempt.worker + 1}")
            cell = self.move(self.cell, attempt, moves[name])
            yield Move(self.doing, self.campaign, (self._count_sent(cell, moves[name]),))

    def _answer(self, attempt: Attempt) -> Iterator[Move]:
        for name, at in self.machine.moves[attempt.at].items():
            self.doing = ("answer", f"worker {attempt.worker + 1}", name)
            cell = self.move(self.cell, attempt, at)
            is_whole = self.rules.atomic or self.cell.included == 1 or name != "number refused"
            if name in PROOFS and is_whole:
                cell = cell.add(reached=-1)
            yield Move(self.doing, self.campaign, (self._count_sent(cell, at),))

    def _count_sent(self, cell: Cell, at: int) -> Cell:
        """Return the batch with a message more for each, if the next thing is an answer."""
        effect = self.machine.effects[at]
        if effect.name != "answer":
            return cell
        if effect.detail != (tuple(range(cell.included)),):
            raise Violation("it is sent to others than it was claimed for")
        return cell.add(reached=1)

    def _write(self, attempt: Attempt, step: Step) -> Iterator[Move]:
        moves = self.machine.moves[attempt.at]
        words = (step.name, f"worker {attempt.worker + 1}", *tell(step.detail))
        self.doing = words
        change = self._execute(step)
        cells = self._after(change)
        yield Move(words, change.campaign, self._move_held(cells, attempt, moves[change.answer]))
        if "lost" in moves:
            at = attempt.at if moves["lost"] == SAME else moves["lost"]
            lost = self._move_held(cells, attempt, at)
            yield Move((*words, "its answer is lost"), change.campaign, lost)
            yield Move((*words, "it does not happen"), self.campaign, (self.move(self.cell, attempt, at),))

    def _move_held(self, cells: tuple[Cell, ...], attempt: Attempt, at: int) -> tuple[Cell, ...]:
        """Return what a batch became with its holder in another state, if it has one yet."""
        return tuple([self.move(cell, attempt, at) if cell.attempts else cell for cell in cells])

    # Time, and people

    def _grow_older(self) -> Iterator[Move]:
        """Yield that it becomes too late to send it; all other time goes by where somebody goes by it."""
        if self._can_send() and self.cell.age < OLDEST:
            self.doing = ("time goes by",)
            yield Move(self.doing, self.campaign, (self.cell._replace(age=OLDEST),))

    def _can_send(self) -> bool:
        return any(self.machine.effects[each.at].name == "connect" for each in self.cell.attempts)

    def _orphan(self) -> Iterator[Move]:
        self.doing = ("orphan", "too early")
        if self._differs(self._execute(Step("orphan", self.number), FRESH)):
            raise Violation("a worker was taken for dead that had just claimed")
        self.doing = ("orphan",)
        yield from self._change(self._execute(Step("orphan", self.number), max(self.cell.age, SILENT)))

    def _decide(self) -> Iterator[Move]:
        self.doing = ("mark sent",)
        for move in self._change(self._execute(Step("mark_sent", self.number))):
            yield move._replace(cells=(move.cells[0].add(marked=True),))
        step, age = Step("resend", self.number), self.cell.age
        if self.rules.is_shared:
            self.doing = ("resend", "too early")
            if self._differs(self._execute(step, SILENT)):
                raise Violation("a batch was queued again whose worker might still send")
            age = age if self._can_send() else OLDEST
        self.doing = ("resend",)
        again = [each.again for each in self.cell.recipients if not each.excluded]
        for move in self._change(self._execute(step, age)):
            if max(again, default=0) < self.rules.resends:
                yield move._replace(cells=(move.cells[0].add(again=1),))

    def _opt_out(self) -> Iterator[Move]:
        self.doing = ("opt out",)
        for place, each in enumerate(self.cell.recipients):
            if not (each.opted_out or each.excluded or self.cell.is_over):
                recipients = [*self.cell.recipients]
                recipients[place] = each._replace(opted_out=True)
                cell = self.cell._replace(recipients=tuple(recipients))
                yield Move(self.doing, self.campaign, (cell,), is_opt_out=True)

    # The ledger

    def _execute(self, step: Step, age: int | None = None) -> Change:
        """Do a transaction, so long after the claim."""
        batches = self.batches if age is None else self._aged(age)
        return self.ledger.execute(self.campaign, batches, step)

    def _aged(self, age: int) -> Batches:
        return tuple(
            [each._replace(age=age) if each.number == self.number else each for each in self.batches]
        )

    def _differs(self, change: Change) -> bool:
        """Return whether it did anything but let time go by."""
        batches = change.batches
        if len(batches) == len(self.batches):
            ages = [each.age for each in self.batches]
            batches = tuple([each._replace(age=age) for each, age in zip(batches, ages, strict=True)])
        return (change.campaign, batches) != (self.campaign, self.batches)

    def _change(self, change: Change) -> Iterator[Move]:
        """Yield what a transaction did, if anything."""
        if self._differs(change):
            yield Move(self.doing, change.campaign, self._after(change))

    def _after(self, change: Change) -> tuple[Cell, ...]:
        """Return what a transaction made of the batch."""
        others = {batch.number for batch in self.batches if batch.number != self.number}
        mine = [batch for batch in change.batches if batch.number not in others]
        if len(mine) > 1:
            return tuple(
                [
                    Cell(batch.state, batch.doubts, batch.age, (each,))
                    for batch, each in zip(mine, self.cell.recipients, strict=True)
                ]
            )
        cell = self.cell.evolve(mine[0])
        return (cell if self.number in change.held else give_up(cell, self.machine),)


def give_up(cell: Cell, machine: Machine) -> Cell:
    """Return a batch whose token is another by now. Raises `Violation` where its holder may still send."""
    for attempt in cell.attempts:
        for age in range(cell.age, len(AGES)):
            at = machine.moves[attempt.at].get(f"go {age}")
            if at is not None and machine.effects[at].name == "answer":
                raise Violation("the ledger gives up a claim on which its worker can still send")
    return cell._replace(attempts=())


def tell(detail: object) -> Words:
    """Return a detail of a step as words."""
    if isinstance(detail, BatchEvent):
        return (detail.value,)
    return () if detail is None else (detail,)
