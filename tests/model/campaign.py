"""A campaign of two batches and two workers: every step that anyone can take, and what must never be.

What can happen to a batch depends on its campaign and on the room in the budget, so it is found once, by the
real transactions, and taken from a table for every state in which it is so; `conformance` does a sample of them
again. States that nothing can tell apart are one:

- the workers may change places, and so may recipients of one batch, and batches of one recipient;
- of a batch that is over, and that nobody has under way, it does not matter any more how it came to that;
- whoever holds a token that the ledger has given up must not send any more, which is a violation at once, and can
  write nothing, which is tried of each batch by nobody in particular: so no such worker is kept;
- a worker knows the limits as they were when the campaign was started last, and those of an earlier start. By
  either it must claim nothing once they were changed, which is tried in each state, so what each knows is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attrs import define, field, frozen

from tests.model import moves
from tests.model.batches import Batch, Batches, Campaign, CampaignLedger, Change, Person
from tests.model.calls import BUDGETS, Step
from tests.model.cells import Attempt, Cell, Recipient, check_cell, close, expect_worst
from tests.model.machines import Machine, batch_machine
from tests.model.moves import FRESH, NOBODY, OLDEST, SILENT, CellMoves, Words, give_up
from tests.model.search import State, Table
from tests.model.violation import Violation

#: The numbers of the batches, and whom they are for: at first, and once the first was split.
_WHO: dict[int, dict[int, tuple[int, ...]]] = {2: {0: (0, 1), 1: (2,)}, 3: {1: (2,), 2: (0,), 3: (1,)}}
_OTHER_RUNNER = (1, 0, NOBODY)


class Phase(NamedTuple):
    """A campaign, and what is true of it whatever it says."""

    campaign: Campaign
    #: Whether it has other limits by now than when it was started last: a worker may know those.
    limits_changed: bool = False


class Move(NamedTuple):
    """What can happen, by codes."""

    words: Words
    phase: int
    #: What a batch becomes, one or two halves; or what all become; or empty.
    cells: tuple[int, ...]
    #: Who must be free for it.
    claimer: int = NOBODY
    is_opt_out: bool = False


class Facts(NamedTuple):
    """What is asked of a cell again and again."""

    segments: int
    opted_out: int
    #: Who has it under way.
    worker: int
    is_queued: bool
    #: The codes of the cell with the workers in each other's place, without one of them, without the opt-outs.
    swapped: int
    crashed: tuple[int, int]
    unopted: int


@frozen(kw_only=True)
class Scope:
    """How far the search goes."""

    is_shared: bool
    #: Whether a lot is refused as a whole, and split then.
    atomic: bool = True
    #: Batches that a worker has under way at once.
    slots: int = 1
    #: How often a person has each recipient sent to again, at most.
    resends: int = 1
    #: How many opt out, at most.
    opt_outs: int = 1
    #: Whether the budget changes, and what is purged.
    limits: bool = True
    purges: bool = True


@define(eq=False)
class CampaignSystem:
    """The system of a campaign: a state is a code of it, its runner, and a code of each batch."""

    scope: Scope
    ledger: CampaignLedger = field(init=False)
    machine: Machine = field(init=False)
    doing: Words = ()
    phases: Table[Phase] = field(factory=Table, init=False)
    cells: Table[Cell] = field(factory=Table, init=False)
    #: By the code of a cell.
    facts: dict[int, Facts] = field(factory=dict, init=False)
    #: What can happen, by what it depends on.
    _moves: dict[tuple[object, ...], Sequence[Move]] = field(factory=dict, init=False)
    _common: dict[tuple[Step, int, object], int] = field(factory=dict, init=False)
    _changed: dict[tuple[Step, int, int], int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.ledger = CampaignLedger(is_shared=self.scope.is_shared)
        self.machine = batch_machine(atomic=self.scope.atomic)

    @property
    def start(self) -> State:
        """A campaign that is loaded, and nobody who works."""
        cells = [self._code(Cell("queued", 0, 0, (Recipient(),) * size)) for size in (2, 1)]
        return (self.phases.code(Phase(Campaign("queued", 0, 0))), NOBODY, *cells)

    def canonical(self, state: State) -> State:
        """Return the state that stands for all that nothing can tell from it."""
        return min(self.variants(state))

    def variants(self, state: State) -> tuple[State, State]:
        """Return what stands for a state as it is, and with the workers in each other's place."""
        phase, runner, *cells = state
        if self._is_closed(phase):
            cells = [self.facts[cell].unopted for cell in cells]
        other = [self.facts[cell].swapped for cell in cells]
        if len(cells) > 2:
            cells.sort()
            other.sort()
        return (phase, runner, *cells), (phase, _OTHER_RUNNER[runner], *other)

    def _is_closed(self, phase: int) -> bool:
        campaign = self.phases.values[phase].campaign
        return campaign.state == "cancelled" or campaign.purged > 0

    def tell(self, label: Words) -> str:
        """Return a step as a line."""
        return " ".join([str(word) for word in label if word != ""])

    def successors(self, state: State) -> Iterator[tuple[Words, State]]:
        """Yield each step, and the state after it."""
        yield from self.steps(state)
        for worker in (0, 1):
            yield ("crash", f"worker {worker + 1}"), self.crash(state, worker)

    def crash(self, state: State, worker: int) -> State:
        """Return the state after the death of a worker."""
        phase, runner, *cells = state
        return (
            phase,
            NOBODY if runner == worker else runner,
            *[self.facts[cell].crashed[worker] for cell in cells],
        )

    def steps(self, state: State) -> Iterator[tuple[Words, State]]:
        """Yield each step but the death of a worker, and the state after it."""
        phase, runner, *cells = state
        facts = [self.facts[cell] for cell in cells]
        room = BUDGETS[self.phases.values[phase].campaign.budget] - sum([each.segments for each in facts])
        free = self._find_free(runner, facts)
        can_opt_out = sum([each.opted_out for each in facts]) < self.scope.opt_outs
        for place in range(len(cells)):
            before, behind = cells[:place], cells[place + 1 :]
            for move in self._find_moves(state, place, room):
                if free[move.claimer] and (can_opt_out or not move.is_opt_out):
                    one = len(move.cells) == 1
                    parts = (*before, *move.cells, *behind) if one else (*behind, *move.cells)
                    yield move.words, (move.phase, runner, *parts)
        if runner == NOBODY and not self.scope.is_shared:
            for worker in (0, 1):
                after, codes = self._change_all(state, _TAKE_OVER)
                yield ("take over", f"worker {worker + 1}"), (after, worker, *codes)
        yield from self._decide(state)

    def decode(self, state: State) -> tuple[Campaign, Batches]:
        """Return what the ledger has."""
        cells = [self.cells.values[code] for code in state[2:]]
        batches = [
            Batch(
                number,
                cell.state,
                cell.doubts,
                cell.age,
                tuple([Person(who, *each[:2]) for who, each in zip(people, cell.recipients, strict=True)]),
            )
            for cell, (number, people) in zip(cells, _WHO[len(cells)].items(), strict=True)
        ]
        return self.phases.values[state[0]].campaign, tuple(batches)

    def values(self, state: State) -> tuple[object, ...]:
        """Return a state by what its codes stand for."""
        cells = [self.cells.values[code] for code in state[2:]]
        return (self.phases.values[state[0]], state[1], *cells)

    def adopt(self, other: CampaignSystem, state: State) -> State:
        """Return the state of another system of this scope."""
        phase, runner, *cells = state
        codes = [self._code(other.cells.values[code]) for code in cells]
        return (self.phases.code(other.phases.values[phase]), runner, *codes)

    def forget(self) -> None:
        """Forget what was found: each transaction is done anew."""
        self._moves.clear()
        self._common.clear()
        self._changed.clear()

    # Workers

    def _find_free(self, runner: int, facts: Sequence[Facts]) -> tuple[bool, bool, bool]:
        """Return who has room for a batch: each worker, and nobody, who always has."""
        busy, is_shared, slots = [each.worker for each in facts], self.scope.is_shared, self.scope.slots
        first = (is_shared or runner == 0) and busy.count(0) < slots
        return (first, (is_shared or runner == 1) and busy.count(1) < slots, True)

    # People

    def _decide(self, state: State) -> Iterator[tuple[Words, State]]:
        _, budget, purged = self.phases.values[state[0]].campaign
        steps = [_START, _PAUSE, _PAUSE_LATE]
        if self.scope.limits:
            steps.append(_LIMITS[1 - budget])
        if self.scope.purges and purged < 2:
            steps.append(_PURGES[purged])
        for step in steps:
            yield _tell(step), (self._find_common(state, step, None), *state[1:])
        states = frozenset([self.cells.values[code].state for code in state[2:]])
        yield ("finish",), (self._find_common(state, _FINISH, states), *state[1:])
        phase, cells = self._change_all(state, _CANCEL)
        yield ("cancel",), (phase, state[1], *cells)

    def _find_common(self, state: State, step: Step, about: object) -> int:
        """Return what a step makes of the campaign that changes no batch; it depends on `about` of them."""
        key = (step, state[0], about)
        found = self._common.get(key)
        if found is None:
            self.doing = _tell(step)
            found = self._common[key] = self._make_common(state, step)
        return found

    def _make_common(self, state: State, step: Step) -> int:
        campaign, batches = self.decode(state)
        change = self.ledger.execute(campaign, batches, step)
        if change.batches != batches or len(change.held) < len(batches):
            raise Violation(f"{step.name} changes a batch")
        if step == _PAUSE_LATE and change.campaign != campaign:
            raise Violation("a worker paused a start that it did not know of")
        return self._code_phase(state[0], change)

    def _code_phase(self, before: int, change: Change) -> int:
        """Return the code of a campaign after a transaction."""
        campaign, limits_changed = self.phases.values[before]
        limits_changed = (
            limits_changed or change.campaign.budget != campaign.budget
        ) and not change.is_restart
        campaign = change.campaign
        if campaign.state == "cancelled" or campaign.purged:
            # Nothing is claimed any more.
            campaign, limits_changed = campaign._replace(budget=0), False
        return self.phases.code(Phase(campaign, limits_changed))

    def _change_all(self, state: State, step: Step) -> tuple[int, Sequence[int]]:
        """Return what a step makes of the campaign and of each batch, whatever the others are."""
        campaign, changed = state[0], self._changed
        try:
            return changed[step, campaign, -1], [changed[step, campaign, code] for code in state[2:]]
        except KeyError:
            self.doing = (step.name,)
            found = self.ledger.execute(*self.decode(state), step)
        codes = self._evolve(state, found.batches, found.held)
        after = (self._code_phase(campaign, found), *codes)
        for code, now in zip((-1, *state[2:]), after, strict=True):
            if changed.setdefault((step, campaign, code), now) != now:
                raise Violation(f"{step.name} makes something else of a batch beside other batches")
        return after[0], codes

    def _evolve(self, state: State, batches: Batches, held: frozenset[int]) -> tuple[int, ...]:
        cells = [
            self.cells.values[code].evolve(batch) for code, batch in zip(state[2:], batches, strict=True)
        ]
        return tuple(
            [
                self._code(cell if batch.number in held else give_up(cell, self.machine))
                for cell, batch in zip(cells, batches, strict=True)
            ]
        )

    # One batch

    def _find_moves(self, state: State, place: int, room: int) -> Sequence[Move]:
        """Return what can happen to a batch."""
        cell = state[2 + place]
        key = (state[0], cell, room if self.facts[cell].is_queued else None)
        found = self._moves.get(key)
        if found is None:
            found = self._moves[key] = [*self._make_moves(state, place)]
        return found

    def _make_moves(self, state: State, place: int) -> Iterator[Move]:
        campaign, batches = self.decode(state)
        local = CellMoves(
            self.scope,
            self.ledger,
            self.machine,
            campaign,
            batches,
            self.cells.values[state[2 + place]],
            batches[place].number,
            self.phases.values[state[0]].limits_changed,
        )
        seen = set()
        try:
            for move in local.find():
                self.doing = (f"batch {local.number}:", *move.words)
                cells = tuple([self._code(cell) for cell in move.cells])
                code = self._code_phase(
                    state[0], Change(move.campaign, (), "", frozenset(), is_restart=False)
                )
                key = (code, cells, move.claimer)
                if key not in seen and (code, *cells) != (state[0], state[2 + place]):
                    seen.add(key)
                    yield Move(self.doing, code, cells, move.claimer, move.is_opt_out)
        except Violation:
            self.doing = (f"batch {local.number}:", *local.doing)
            raise

    def _code(self, cell: Cell) -> int:
        """Return the code of a cell, as it is kept. Raises `Violation` for one that must not be."""
        check_cell(cell)
        cell = self._trim(cell)
        code = self.cells.code(cell)
        if code not in self.facts:
            self._note_facts(code, cell)
        return code

    def _note_facts(self, code: int, cell: Cell) -> None:
        worker = cell.attempts[0].worker if cell.attempts else NOBODY
        opted_out = sum([each.opted_out for each in cell.recipients])
        facts = Facts(cell.segments, opted_out, worker, cell.state == "queued", code, (code, code), code)
        # Before the others: each of them is one of the others' others.
        self.facts[code] = facts
        if opted_out:
            recipients = tuple([each._replace(opted_out=False) for each in cell.recipients])
            facts = facts._replace(unopted=self._code(cell._replace(recipients=recipients)))
        if cell.attempts:
            left = self._code(cell._replace(attempts=()))
            other = cell._replace(attempts=(Attempt(1 - worker, cell.attempts[0].at),))
            crashed = (left, code) if worker == 0 else (code, left)
            facts = facts._replace(swapped=self._code(other), crashed=crashed)
        self.facts[code] = facts

    def _trim(self, cell: Cell) -> Cell:
        """Return a cell without what nothing depends on."""
        if cell.is_over:
            return close(cell)
        if not cell.attempts:
            return expect_worst(cell._replace(age=FRESH))
        # Elsewhere it is told by who goes by it.
        can_send = self.scope.is_shared and self.machine.effects[cell.attempts[0].at].name == "connect"
        age = FRESH
        if can_send:
            age = OLDEST if cell.age == OLDEST else FRESH if cell.state == "sending" else SILENT
        return Cell(cell.state, cell.doubts, age, tuple(sorted(cell.recipients)), cell.attempts)


def _tell(step: Step) -> Words:
    return (step.name, *moves.tell(step.detail))


_START, _CANCEL, _FINISH, _TAKE_OVER = Step("start"), Step("cancel"), Step("finish"), Step("take_over")
_PAUSE, _PAUSE_LATE = Step("pause", detail="same"), Step("pause", detail="stale")
_LIMITS = tuple([Step("limit", detail=budget) for budget in range(len(BUDGETS))])
_PURGES = (Step("purge", detail="begin"), Step("purge", detail="rows"))
