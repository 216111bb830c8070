"""A single send with a key, and two workers: callers, a worker of the outbox, time, a person.

Nobody else can have it under way than the one whose token is its row's: whoever asks beside finds that, or what
became of it, and ends. So a state is its row, who has it under way, and what is true of its recipient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attrs import define, field

from tests.model.batches import AGES, SPENT
from tests.model.calls import SendStep
from tests.model.machines import PROOFS, SAME, Machine, call_machine, outbox_machine
from tests.model.moves import FRESH, OLDEST, SILENT, Words, tell
from tests.model.search import State, Table
from tests.model.sends import DEAD, Send, SendChange, SendLedger
from tests.model.violation import Violation
from vavasms.ledger.states import BatchEvent

CALL, OUTBOX = range(2)
_ANSWERS = (BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.REQUEUE)


class Holder(NamedTuple):
    """Who has it under way: a worker, by a call or of the outbox, and the state of that automaton."""

    worker: int
    kind: int
    at: int


class Moment(NamedTuple):
    """All of a send at one moment."""

    send: Send = Send()
    #: Requests that left and were not proven refused, since its key was used first.
    reached: int = 0
    #: How often a person took it for not sent, on the chance that it was.
    again: int = 0
    #: A person took it for sent.
    marked: bool = False
    holders: tuple[Holder, ...] = ()


Moves = Sequence[tuple[Words, int]]


@define(eq=False)
class SendSystem:
    """The system of a send."""

    is_shared: bool
    #: How often a person takes it for not sent, at most.
    resends: int = 1
    ledger: SendLedger = field(init=False)
    machines: tuple[Machine, Machine] = field(init=False)
    doing: Words = ()
    moments: Table[Moment] = field(factory=Table, init=False)
    _moves: dict[int, Moves] = field(factory=dict, init=False)
    _swapped: dict[int, int] = field(factory=dict, init=False)
    _crashed: dict[tuple[int, int], int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.ledger = SendLedger(is_shared=self.is_shared)
        self.machines = (call_machine(is_shared=self.is_shared), outbox_machine(is_shared=self.is_shared))

    @property
    def start(self) -> State:
        """A key that was never used."""
        return (self.moments.code(Moment()),)

    def tell(self, label: Words) -> str:
        """Return a step as a line."""
        return " ".join([str(word) for word in label if word != ""])

    def canonical(self, state: State) -> State:
        """Return the state that stands for it and the one with the workers in each other's place."""
        return (min(self.variants(state[0])),)

    def variants(self, code: int) -> tuple[int, int]:
        """Return the code of a send, and the one with the workers in each other's place."""
        found = self._swapped.get(code)
        if found is None:
            found = self._swapped[code] = self.moments.code(swap(self.moments.values[code]))
            self._swapped[found] = code
        return code, found

    def successors(self, state: State) -> Iterator[tuple[Words, State]]:
        """Yield each step, and the state after it."""
        for words, after in self.find_moves(state[0]):
            yield words, (after,)
        for worker in (0, 1):
            yield ("crash", f"worker {worker + 1}"), (self.crash(state[0], worker),)

    def find_moves(self, code: int) -> Moves:
        """Return what can happen to a send but the death of a process."""
        found = self._moves.get(code)
        if found is None:
            moment = self.moments.values[code]
            found = self._moves[code] = [
                (words, self._code(after)) for words, after in self._find(moment) if after != moment
            ]
        return found

    def crash(self, code: int, worker: int) -> int:
        """Return a send without one of the workers."""
        found = self._crashed.get((code, worker))
        if found is None:
            moment = self.moments.values[code]
            owner = DEAD if moment.send.owner == worker else moment.send.owner
            holders = tuple([each for each in moment.holders if each.worker != worker])
            after = moment._replace(send=moment.send._replace(owner=owner), holders=holders)
            found = self._crashed[code, worker] = self._code(after)
        return found

    def _code(self, moment: Moment) -> int:
        check_moment(moment)
        return self.moments.code(self._trim(moment))

    def _trim(self, moment: Moment) -> Moment:
        """Return it without what nothing depends on; nobody knows of what nobody has under way."""
        send, reached, again, marked, holders = moment
        can_send = self.is_shared and self._can_send(moment)
        age = FRESH
        if can_send:
            age = OLDEST if send.age == OLDEST else FRESH if send.state == "sending" else SILENT
        owner = send.owner if send.state == "sending" and not self.is_shared else DEAD
        if not holders:
            reached, marked = again + (send.state in SPENT), False
        return Moment(send._replace(age=age, owner=owner), reached, again, marked, holders)

    def _can_send(self, moment: Moment) -> bool:
        return any(self._effect(each, each.at) == "connect" for each in moment.holders)

    def _effect(self, holder: Holder, at: int) -> str:
        return self.machines[holder.kind].effects[at].name

    # What can happen

    def _find(self, moment: Moment) -> Iterator[tuple[Words, Moment]]:
        self._write_late(moment)
        for worker in (0, 1):
            yield from self._begin(moment, worker)
            yield from self._claim_due(moment, worker)
        yield from self._try(moment, SendStep("enqueue"))
        for holder in moment.holders:
            yield from self._go_on(moment, holder)
        yield from self._grow_older(moment)
        yield from self._reap(moment)
        yield from self._decide(moment)
        yield from self._purge(moment)

    def _begin(self, moment: Moment, worker: int) -> Iterator[tuple[Words, Moment]]:
        self.doing = ("begin", f"worker {worker + 1}", "something else")
        other = self._execute(moment, SendStep("begin", "other", worker))
        if other.answer != "granted" and other.send != moment.send:
            raise Violation("a call for something else changed a send")
        self.doing = ("begin", f"worker {worker + 1}")
        change = self._execute(moment, SendStep("begin", worker=worker))
        if (change.answer, other.answer) not in (("granted", "granted"), (change.answer, "refused")):
            raise Violation(f"a key is used for something else, and that is {other.answer}")
        if change.answer == "granted":
            yield from self._grant(moment, change, worker, CALL)
        else:
            yield self.doing, self._after(moment, change)

    def _claim_due(self, moment: Moment, worker: int) -> Iterator[tuple[Words, Moment]]:
        self.doing = ("claim due", f"worker {worker + 1}")
        change = self._execute(moment, SendStep("claim_due", worker=worker))
        if change.answer == "granted":
            yield from self._grant(moment, change, worker, OUTBOX)

    def _grant(
        self, moment: Moment, change: SendChange, worker: int, kind: int
    ) -> Iterator[tuple[Words, Moment]]:
        machine, after = self.machines[kind], self._after(moment, change)
        for name, note in (("lost", "its answer is lost"), ("granted 1 0", ""), ("granted 1 1", "and waits")):
            at = machine.moves[machine.start].get(name)
            if at is not None:
                yield (*self.doing, note), after._replace(holders=(Holder(worker, kind, at),))

    def _go_on(self, moment: Moment, holder: Holder) -> Iterator[tuple[Words, Moment]]:
        machine, who = self.machines[holder.kind], f"worker {holder.worker + 1}"
        effect, moves = machine.effects[holder.at], machine.moves[holder.at]
        if effect.name == "connect":
            ages = (moment.send.age,) if self.is_shared else (FRESH, OLDEST)
            names = (*[f"go {age}" for age in ages], "unreachable", "interrupted")
            for name in names:
                yield (name if name[:2] != "go" else "send", who), self._move(moment, holder, moves[name])
        elif effect.name == "answer":
            for name, at in moves.items():
                proven = moment._replace(reached=moment.reached - (name in PROOFS))
                yield ("answer", who, name), self._move(proven, holder, at)
        else:
            event = effect.detail[0] if effect.detail else None
            yield from self._write(moment, holder, SendStep(effect.name, event))

    def _move(self, moment: Moment, holder: Holder, at: int) -> Moment:
        """Return it with its holder in another state, a message more if that waits for an answer."""
        sent = self._effect(holder, at) == "answer"
        holders = () if self.machines[holder.kind].is_end(at) else (holder._replace(at=at),)
        return moment._replace(holders=holders, reached=moment.reached + sent)

    def _write(self, moment: Moment, holder: Holder, step: SendStep) -> Iterator[tuple[Words, Moment]]:
        moves = self.machines[holder.kind].moves[holder.at]
        words = self.doing = (step.name, f"worker {holder.worker + 1}", *tell(step.detail))
        change = self._execute(moment, step)
        after = self._after(moment, change)
        yield words, self._move(after, holder, moves[change.answer]) if after.holders else after
        if "lost" in moves:
            at = holder.at if moves["lost"] == SAME else moves["lost"]
            lost = self._move(after, holder, at) if after.holders else after
            yield (*words, "its answer is lost"), lost
            yield (*words, "it does not happen"), self._move(moment, holder, at)

    def _write_late(self, moment: Moment) -> None:
        """Raise `Violation` where an answer to an older claim changes anything."""
        steps = [SendStep("settle", event, is_holder=False) for event in _ANSWERS]
        for step in (*steps, SendStep("abandon", is_holder=False), SendStep("abandon_due", is_holder=False)):
            self.doing = ("late", step.name, *tell(step.detail))
            if self._execute(moment, step).send != moment.send:
                raise Violation("an answer to an older claim counts")

    def _grow_older(self, moment: Moment) -> Iterator[tuple[Words, Moment]]:
        if self.is_shared and self._can_send(moment):
            yield ("time goes by",), moment._replace(send=moment.send._replace(age=OLDEST))

    def _reap(self, moment: Moment) -> Iterator[tuple[Words, Moment]]:
        if self.is_shared:
            self.doing = ("reap", "too early")
            if self._execute(moment, SendStep("reap"), FRESH).send != moment.send._replace(age=FRESH):
                raise Violation("a process was taken for dead that had just claimed")
            # A call with its key does the same.
            older = self._execute(moment, SendStep("begin"), max(moment.send.age, SILENT))
            if moment.send.state == "sending":
                yield ("begin", "later"), self._after(moment, older)
        yield from self._try(moment, SendStep("reap"), max(moment.send.age, SILENT))

    def _decide(self, moment: Moment) -> Iterator[tuple[Words, Moment]]:
        for detail in ("sent", "not sent", "again"):
            step, age = SendStep("resolve", detail), moment.send.age
            if self.is_shared:
                self._decide_early(moment, step)
                age = age if self._can_send(moment) else OLDEST
            self.doing = ("resolve", detail)
            change = self._execute(moment, step, age)
            after = self._after(moment, change)
            if change.answer == "refused":
                continue
            if detail == "sent":
                yield self.doing, after._replace(marked=True)
            elif moment.again < self.resends:
                yield self.doing, after._replace(again=moment.again + 1)

    def _decide_early(self, moment: Moment, step: SendStep) -> None:
        """Raise `Violation` where a send of a process that was taken for dead is free at once."""
        self.doing = ("resolve", *tell(step.detail), "too early")
        change = self._execute(moment, step, SILENT)
        if step.detail != "sent" and moment.send.died and change.answer != "refused":
            raise Violation("a send is taken for not sent whose process might still send it")

    def _purge(self, moment: Moment) -> Iterator[tuple[Words, Moment]]:
        self.doing = ("purge",)
        change = self._execute(moment, SendStep("purge"))
        # A day at least after its outcome: nothing is sent on its claim any more.
        if change.send != moment.send and not self._can_send(moment):
            yield self.doing, Moment()

    def _try(self, moment: Moment, step: SendStep, age: int | None = None) -> Iterator[tuple[Words, Moment]]:
        self.doing = (step.name,)
        yield self.doing, self._after(moment, self._execute(moment, step, age))

    # The ledger

    def _execute(self, moment: Moment, step: SendStep, age: int | None = None) -> SendChange:
        send = moment.send if age is None else moment.send._replace(age=age)
        return self.ledger.execute(send, step)

    def _after(self, moment: Moment, change: SendChange) -> Moment:
        """Return it after a transaction. Raises `Violation` where a claim is given up that may still be used."""
        if change.is_held:
            return moment._replace(send=change.send)
        for holder in moment.holders:
            moves = self.machines[holder.kind].moves[holder.at]
            for age in range(moment.send.age, len(AGES)):
                at = moves.get(f"go {age}")
                if at is not None and self._effect(holder, at) == "answer":
                    raise Violation("the ledger gives up a claim on which its process can still send")
        return moment._replace(send=change.send, holders=())


def swap(moment: Moment) -> Moment:
    """Return it with the workers in each other's place."""
    owner = moment.send.owner if moment.send.owner == DEAD else 1 - moment.send.owner
    holders = tuple([each._replace(worker=1 - each.worker) for each in moment.holders])
    return moment._replace(send=moment.send._replace(owner=owner), holders=holders)


def check_moment(moment: Moment) -> None:
    """Raise `Violation` where the ledger's word on a send is not what happened."""
    send, reached, again, marked, _ = moment
    if reached > 1 + again:
        raise Violation(f"it was sent {reached} times, and a person asked for {again} more than the first")
    if reached > again + (send.state in SPENT):
        found = f"the send is {send.state}" if send.state else "its key is free"
        raise Violation(f"the recipient may have it, and {found}")
    if send.state == "accepted" and not (reached or marked):
        raise Violation("it was never sent, and is accepted")
