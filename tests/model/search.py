"""Breadth-first search of a state space: every state once, the shortest way to what must not be."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field, frozen

from tests.model.violation import Violation

T = TypeVar("T")
#: A state: the codes of its parts.
State = tuple[int, ...]


class System(Protocol):
    """States, and what leads from one to others. Raises `Violation` where it must not."""

    @property
    def doing(self) -> Any:
        """What was tried when a violation was raised."""
        ...

    @property
    def start(self) -> State:
        """The first state."""
        ...

    def canonical(self, state: State) -> State:
        """Return the one state that stands for all that nothing can tell from it."""
        ...

    def successors(self, state: State) -> Iterable[tuple[Any, State]]:
        """Return each step that can be taken, and where it leads."""
        ...

    def tell(self, label: Any) -> str:
        """Return a step as a line."""
        ...


@define
class Table(Generic[T]):
    """Codes of values: a state made of them is compared in no time."""

    values: list[T] = field(factory=list)
    _codes: dict[T, int] = field(factory=dict)

    def code(self, value: T) -> int:
        """Return the code of a value, a new one for a new value."""
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code


@frozen(kw_only=True)
class Counterexample:
    """The shortest way to what must not be."""

    sentence: str
    trace: tuple[str, ...]


@frozen(kw_only=True)
class Exploration:
    """What a search came to."""

    states: int
    #: Steps that lead to another state.
    edges: int
    #: Steps of the longest of the shortest ways.
    depth: int
    #: Of the processor.
    seconds: float
    counterexample: Counterexample | None
    #: All of them, in the order in which they were found.
    found: tuple[State, ...] = field(repr=False)


class Explorer:
    """A search of one system."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._found: list[State] = []
        self._known: set[State] = set()
        self._before: list[int] = []
        self.edges = self.depth = 0

    def run(self) -> Exploration:
        """Search to the end, or to the first violation."""
        began = time.process_time()
        counterexample = self._search()
        return Exploration(
            states=len(self._found),
            edges=self.edges,
            depth=self.depth,
            seconds=time.process_time() - began,
            counterexample=counterexample,
            found=tuple(self._found),
        )

    def _search(self) -> Counterexample | None:
        at, level_ends = 0, 1
        self._add(self._system.canonical(self._system.start), -1)
        while at < len(self._found):
            if at == level_ends:
                self.depth, level_ends = self.depth + 1, len(self._found)
            try:
                self._expand(at)
            except Violation as violation:
                return self._explain(at, violation)
            at += 1
        return None

    def _expand(self, at: int) -> None:
        state, known, canonical = self._found[at], self._known, self._system.canonical
        for _label, found in self._system.successors(state):
            after = canonical(found)
            if after != state:
                self.edges += 1
                if after not in known:
                    self._add(after, at)

    def _add(self, state: State, before: int) -> None:
        self._known.add(state)
        self._found.append(state)
        self._before.append(before)

    def _explain(self, at: int, violation: Violation) -> Counterexample:
        """Return the way to a violation that was raised after a state, everyone by one name from end to end."""
        way = [at]
        while way[-1] > 0:
            way.append(self._before[way[-1]])
        state, trace = self._system.start, []
        for each in reversed(way[:-1]):
            label, state = self._follow(state, self._found[each])
            trace.append(self._system.tell(label))
        with suppress(Violation):
            for _step in self._system.successors(state):
                pass
        last = self._system.tell(self._system.doing)
        return Counterexample(sentence=str(violation), trace=(*trace, last))

    def _follow(self, state: State, target: State) -> tuple[Any, State]:
        for label, after in self._system.successors(state):
            if self._system.canonical(after) == target:
                return label, after
        raise AssertionError("a step is not there any more")
