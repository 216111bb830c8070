"""One simulation: its processes, started, killed and started again, from one seed to one verdict."""

from __future__ import annotations

import gc
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from anyio._backends._asyncio import _task_states
from attrs import define, field, frozen

from tests.simulation import callers, campaigns, outbox, person
from tests.simulation.clock import MachineClock, Timeline
from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.hooks import seed_secrets
from tests.simulation.host import Caller, Host, with_loop
from tests.simulation.injector import PlannedInjector
from tests.simulation.intents import Book, name_in, recipients_in
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.oracle import check, count_outcomes
from tests.simulation.plan import GATEWAY_FAULTS, draw_plan
from tests.simulation.recovery import Audit, recover
from tests.simulation.scenario import Role, Scenario, draw_scenario
from tests.simulation.scheduler import Scheduler, StuckError
from tests.simulation.server import PASSWORD, PlannedFaults, Server, SimulatedGateway
from tests.simulation.site import Site
from tests.simulation.storage import CurrentDisk, Disk, take_away_handles
from tests.simulation.trace import Trace
from vavasms.sandbox.journal import Entry

#: Callbacks after which a simulation has no end.
_MOST_STEPS = 60_000
#: Seconds after which a process that died is started again, at most.
_RESTART_SECONDS = 3.0
_FIRST_PID = 1000
#: Seconds after which an outcome is reported by another one than who settled it.
_REPORTED_AGAIN = 61.0

_PROGRAMS: Mapping[Role, Callable[[Site], Coroutine[Any, Any, None]]] = {
    Role.KEYED: callers.send_keyed,
    Role.PLAIN: callers.send_plain,
    Role.BULK: callers.send_bulk,
    Role.PRODUCER: outbox.enqueue,
    Role.WORKER: outbox.work,
    Role.RUNNER: campaigns.run_campaigns,
    Role.PERSON: person.decide,
}


@frozen(kw_only=True)
class Case:
    """What a simulation is made of: everything follows from it."""

    seed: int
    scenario: Scenario
    plan: tuple[Fault, ...]


def draw_case(seed: int) -> Case:
    """Draw the case of a seed."""
    scenario = draw_scenario(Random(f"{seed} scenario"))
    return Case(seed=seed, scenario=scenario, plan=draw_plan(Random(f"{seed} plan"), scenario))


@frozen(kw_only=True)
class Verdict:
    """What a simulation came to."""

    case: Case
    problems: tuple[str, ...]
    digest: str
    lines: tuple[str, ...]
    #: Seconds that passed in it, and callbacks.
    seconds: float
    steps: int
    struck: Counter[FaultKind]
    crashes: int
    #: Recipients by what the ledger, or who was told, says of them.
    outcomes: Counter[str]


@define(eq=False, kw_only=True)
class Simulation:
    """The simulation of one case."""

    case: Case
    folder: Path
    trace: Trace
    timeline: Timeline = field(factory=Timeline)
    draw: Random = field(init=False)
    scheduler: Scheduler = field(init=False)
    injector: PlannedInjector = field(init=False)
    clock: MachineClock = field(init=False)
    book: Book = field(init=False)
    site: Site = field(init=False)
    network: Network = field(init=False)
    gateway: SimulatedGateway = field(init=False)
    disk: Disk = field(factory=Disk)
    crashes: int = 0
    audit: Audit | None = None
    #: How many processes have not ended for good.
    _left: int = field(default=0, init=False)
    _next_pid: int = field(default=_FIRST_PID, init=False)
    #: Kept to the end: what is collected would run on.
    _ended: list[Host] = field(factory=list, init=False)
    #: Who sent what, by name.
    _senders: dict[str, tuple[Host, Caller | None]] = field(factory=dict, init=False)
    _restarts: Counter[str] = field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        seed, scenario = self.case.seed, self.case.scenario
        self.draw = Random(f"{seed} schedule")
        seed_secrets(Random(f"{seed} secrets"))
        self.scheduler = Scheduler(timeline=self.timeline, draw=self.draw, shuffles=scenario.shuffles)
        self.scheduler.after_step = self._after_step
        self.injector = PlannedInjector(self.case.plan, self._note_fault, self._strikes())
        self.clock = MachineClock(self.timeline)
        intents = {intent.name: intent for intent in scenario.intents}
        self.gateway = SimulatedGateway(MachineClock(self.timeline), scenario.balance, self._note_accepted)
        self.book = Book(intents=intents, gateway=self.gateway)
        self.site = Site(
            scenario=scenario,
            folder=self.folder,
            book=self.book,
            timeline=self.timeline,
            draw=Random(f"{seed} callers"),
        )
        self._start_gateway()
        CurrentDisk.disk = self.disk

    def run(self) -> None:
        """Run it to its end, and the recovery after it."""
        for number, role in enumerate(self.case.scenario.roles):
            self._left += 1
            # Who has no ledger cannot know what was sent, and does not send it again.
            restarts = 0 if role in (Role.PLAIN, Role.BULK) else self.case.scenario.restarts
            self._launch(f"{role.value}{number}", partial(_PROGRAMS[role], self.site), restarts)
        try:
            self.scheduler.run_until(lambda: not self._left, most_steps=_MOST_STEPS)
            self._calm_down()
            self._left = 1
            self._launch("recovery", self._recover)
            self.scheduler.run_until(lambda: not self._left, most_steps=_MOST_STEPS)
        except StuckError as error:
            self.book.problems.append(f"stuck: {error}")
        if self.audit is not None:
            self.book.problems += check(self.case.scenario, self.book, self.audit, self.injector.struck)

    def count_outcomes(self) -> Counter[str]:
        """Count the recipients by what became of them."""
        audit = Audit() if self.audit is None else self.audit
        return count_outcomes(self.case.scenario, self.book, audit)

    def note_end(self) -> None:
        """Note where all draws stand: they differ where anything was drawn that does not show."""
        draws = (self.draw.random(), self.site.draw.random())
        self.trace.note(self.timeline.now, "", "end", f"{self.scheduler.steps} callbacks, {draws}")

    def end_all(self) -> None:
        """End every process, once all is over."""
        for host in [*self.scheduler.hosts]:
            self._end(host)
        CurrentDisk.disk = None

    def _start_gateway(self) -> None:
        host = self._make_host("gateway", MachineClock(self.timeline))
        faults = PlannedFaults(host, tuple(GATEWAY_FAULTS))
        server = with_loop(host, lambda: Server(host, self.gateway, faults))
        self.network = server.network = Network(
            scheduler=self.scheduler,
            draw=self.draw,
            server=host,
            accept=server.accept,
            on_send=self._note_send,
        )

    def _make_host(self, name: str, clock: MachineClock) -> Host:
        self._next_pid += 1
        host = Host(name=name, pid=self._next_pid, clock=clock, draw=self.draw, injector=self.injector)
        host.loop = SimulatedLoop(
            clock.monotonic,
            lambda make, _address, _port: self.network.connect(host, make),
            partial(self._report, host),
        )
        self.scheduler.hosts.append(host)
        return host

    def _launch(self, name: str, program: Callable[[], Coroutine[Any, Any, None]], restarts: int = 0) -> None:
        host = self._make_host(name, self.clock)
        host.program, host.restarts = program, restarts
        self._note(host, "start", str(host.pid))
        with_loop(host, lambda: host.start(program()))
        host.happen(Event.START)

    async def _recover(self) -> None:
        self.audit = await recover(self.site)

    def _calm_down(self) -> None:
        """End all that goes wrong."""
        self.injector.is_quiet = True
        self.disk.failing_until = self.network.down_until = 0.0
        self._set_password(PASSWORD)
        # What is due is due, and whatever nobody was told of yet is reported once more.
        self.clock.set_right()
        self.clock.set_forward(_REPORTED_AGAIN)

    def _after_step(self, host: Host) -> None:
        self.injector.after_step(host)
        if host.has_ended or host.main is None:
            return
        if host.is_doomed:
            self._crash(host)
        elif host.main.done():
            self._finish(host)

    def _finish(self, host: Host) -> None:
        assert host.main is not None
        error = None if host.main.cancelled() else host.main.exception()
        if error is not None:
            self.book.problems.append(f"{host.name} ended with {type(error).__name__}: {error}")
        self._note(host, "end")
        self._end(host)
        self._left -= 1

    def _crash(self, host: Host) -> None:
        self.crashes += 1
        self._note(host, "crash")
        self._end(host)
        if self._restarts[host.name] < host.restarts:
            self._restarts[host.name] += 1
            program = host.program
            assert program is not None
            wait = self.draw.uniform(0.0, _RESTART_SECONDS)
            self.scheduler.call_later(wait, lambda: self._launch(host.name, program, host.restarts))
        else:
            self._left -= 1

    def _end(self, host: Host) -> None:
        host.end()
        take_away_handles(host.pid)
        self.scheduler.hosts.remove(host)
        self._ended.append(host)

    def _strikes(self) -> Mapping[FaultKind, Callable[[Fault, Host, Caller | None], object]]:
        return {
            FaultKind.CRASH: lambda _fault, host, _caller: self._crash(host),
            FaultKind.CANCEL: lambda _fault, host, caller: _cancel(host, caller, is_native=False),
            FaultKind.CANCEL_NATIVE: lambda _fault, host, caller: _cancel(host, caller, is_native=True),
            FaultKind.CLOCK_SET: lambda fault, host, _caller: host.clock.set_forward(fault.seconds),
            FaultKind.SUSPENDED: lambda fault, host, _caller: host.clock.suspend(fault.seconds),
            FaultKind.DISK_SLOW: lambda fault, host, _caller: self._slow_down(host, fault.seconds),
            FaultKind.GATEWAY_DOWN: lambda fault, _host, _caller: self.network.drop_all(fault.seconds),
            FaultKind.ACCOUNT_REFUSED: lambda fault, _host, _caller: self._refuse(fault.seconds),
        }

    def _slow_down(self, host: Host, seconds: float) -> None:
        host.disk_delay = seconds
        self.scheduler.call_later(2 * seconds, lambda: setattr(host, "disk_delay", 0.0))

    def _refuse(self, seconds: float) -> None:
        self._set_password("changed")
        self.scheduler.call_later(seconds, lambda: self._set_password(PASSWORD))

    def _set_password(self, password: str) -> None:
        self.gateway.password = password

    def _report(self, host: Host, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        self.book.problems.append(f"{host.name}: {context['message']}: {error!r}")

    def _note(self, host: Host, what: str, detail: str = "") -> None:
        self.trace.note(self.timeline.now, host.name, what, detail)

    def _note_fault(self, host: Host, fault: Fault) -> None:
        self._note(host, "fault", str(fault))

    def _note_send(self, host: Host, called: Caller | None, form: bytes) -> None:
        text = form.decode("ascii")
        name = name_in(text)
        self._senders[name] = host, called
        for recipient in recipients_in(text):
            self.book.left_at[name, recipient] = self.timeline.now
        self._note(host, "send", name)

    def _note_accepted(self, entry: Entry) -> Sequence[Fault]:
        name = name_in(entry.message)
        self.trace.note(self.timeline.now, "gateway", "accept", f"{name} {entry.to}")
        host, called = self._senders[name]
        return self.injector.happen_to(Event.ACCEPT, host, called)


def _cancel(host: Host, called: Caller | None, *, is_native: bool) -> None:
    if called is not None:
        with_loop(host, lambda: called.cancel(is_native))


def run_case(case: Case, *, keeps_lines: bool = False) -> Verdict:
    """Run a case and return what it came to."""
    try:
        return _run_case(case, Trace(keeps_lines=keeps_lines))
    finally:
        collect()


def _run_case(case: Case, trace: Trace) -> Verdict:
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        simulation = Simulation(case=case, folder=Path(folder), trace=trace)
        try:
            simulation.run()
        finally:
            simulation.end_all()
        simulation.note_end()
        return Verdict(
            case=case,
            problems=tuple(simulation.book.problems),
            digest=trace.digest,
            lines=tuple(trace.lines),
            seconds=simulation.timeline.now,
            steps=simulation.scheduler.steps,
            struck=_by_kind(simulation.injector.struck),
            crashes=simulation.crashes,
            outcomes=simulation.count_outcomes(),
        )


def collect() -> None:
    """Collect what died: its `finally` blocks run now, where they reach nobody.

    What they make anew is left to the next time.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What it knows of a task refers to the task: one that never ended would never be collected.
            _task_states.clear()
            gc.collect()
    finally:
        sys.unraisablehook = hook


def _by_kind(struck: Mapping[Fault, int]) -> Counter[FaultKind]:
    counts: Counter[FaultKind] = Counter()
    for fault, times in struck.items():
        counts[fault.kind] += times
    return counts


def _fast_folder() -> str | None:
    """Return a folder in memory, where there is one."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() else None
