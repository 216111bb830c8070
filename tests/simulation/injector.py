"""What makes things go wrong: counts events, and strikes where the plan of a simulation says so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field

from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.host import Caller, Host, caller

#: Left to whoever counted the event; all others strike a process.
_LOCAL = frozenset(
    {
        FaultKind.REFUSED,
        FaultKind.NO_ANSWER,
        FaultKind.CUT_REQUEST,
        FaultKind.CUT_REPLY,
        FaultKind.LOST_REQUEST,
        FaultKind.LOST_REPLY,
        FaultKind.LATE_REQUEST,
        FaultKind.LATE_REPLY,
        FaultKind.GATEWAY,
        FaultKind.ID_MISSING,
        FaultKind.CRASH_IN_JOB,
        FaultKind.DISK_ERROR,
        FaultKind.DISK_FULL,
        FaultKind.COMMIT_LOST,
    }
)

#: Does what a fault does to a process, and to the call that ran as it was counted.
Strike = Callable[[Fault, Host, Caller | None], object]


@define(eq=False)
class PlannedInjector:
    """The faults of one plan."""

    plan: Iterable[Fault]
    note: Callable[[Host, Fault], object]
    strikes: Mapping[FaultKind, Strike]
    #: No fault strikes any more.
    is_quiet: bool = False
    #: How often each kind struck.
    struck: Counter[Fault] = field(factory=Counter)
    _counts: Counter[Event] = field(factory=Counter, init=False)
    _by_event: dict[tuple[Event, int], list[Fault]] = field(init=False)
    #: By process and its step.
    _due: dict[Host, list[tuple[int, Fault, Caller | None]]] = field(
        factory=lambda: defaultdict(list), init=False
    )

    def __attrs_post_init__(self) -> None:
        self._by_event = defaultdict(list)
        for fault in self.plan:
            self._by_event[fault.event, fault.nth].append(fault)

    def happen(self, event: Event, host: Host) -> Sequence[Fault]:
        """Count an event of a process; return the faults that its caller has to see to."""
        return self.happen_to(event, host, caller.get())

    def happen_to(self, event: Event, host: Host, called: Caller | None) -> Sequence[Fault]:
        """Count an event that somebody else sees."""
        number = self._counts[event]
        self._counts[event] += 1
        faults = self._by_event.get((event, number), ())
        if self.is_quiet or not faults:
            return ()
        for fault in faults:
            if fault.kind in _LOCAL:
                self._note(host, fault)
            else:
                self._due[host].append((host.steps + fault.after, fault, called))
        return [fault for fault in faults if fault.kind in _LOCAL]

    def after_step(self, host: Host) -> None:
        """Strike a process where it is time for that."""
        due = self._due.get(host)
        if not due or self.is_quiet:
            return
        for entry in [entry for entry in due if entry[0] <= host.steps]:
            due.remove(entry)
            if not host.has_ended:
                _step, fault, called = entry
                self._note(host, fault)
                self.strikes[fault.kind](fault, host, called)

    def _note(self, host: Host, fault: Fault) -> None:
        self.struck[fault] += 1
        self.note(host, fault)
