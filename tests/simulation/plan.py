"""The plan of a simulation: which faults strike, and when. Drawn from the seed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.scenario import Role, Scenario
from vavasms.sandbox import Fault as SandboxFault
from vavasms.sandbox import FaultKind as SandboxKind
from vavasms.sandbox import Moment

_READ, _ACCEPTED = Moment.AFTER_READING, Moment.AFTER_ACCEPTING

#: The gateway's own faults, as far as they keep to what the documentation and RFC 9110 say: it does not answer 429 to
#: what it accepted.
GATEWAY_FAULTS: Sequence[SandboxFault] = (
    *(SandboxFault(kind=SandboxKind.STATUS, status=status) for status in (500, 502, 503, 400, 403, 408)),
    *(
        SandboxFault(kind=SandboxKind.STATUS, status=status, moment=_ACCEPTED)
        for status in (500, 502, 504, 400, 403, 408)
    ),
    SandboxFault(kind=SandboxKind.HTML),
    SandboxFault(kind=SandboxKind.HTML, moment=_ACCEPTED),
    SandboxFault(kind=SandboxKind.EMPTY),
    SandboxFault(kind=SandboxKind.EMPTY, moment=_ACCEPTED),
    SandboxFault(kind=SandboxKind.REDIRECT),
    SandboxFault(kind=SandboxKind.REDIRECT, moment=_ACCEPTED),
    SandboxFault(kind=SandboxKind.CLOSE_BEFORE_READING),
    SandboxFault(kind=SandboxKind.CLOSE_AFTER_READING),
    *[SandboxFault(kind=SandboxKind.CLOSE_AFTER_ACCEPTING)] * 3,
    *(SandboxFault(kind=SandboxKind.RESET, moment=moment) for moment in Moment),
    *(SandboxFault(kind=SandboxKind.STALL, moment=_READ, seconds=seconds) for seconds in (1.0, 9.0)),
    *(SandboxFault(kind=SandboxKind.STALL, moment=_ACCEPTED, seconds=seconds) for seconds in (1.0, 9.0)),
    *(SandboxFault(kind=SandboxKind.CUT, at=at) for at in (0, 17, 60)),
    SandboxFault(kind=SandboxKind.CUT, at=40, in_head=True),
    SandboxFault(kind=SandboxKind.PHP_WARNING),
    SandboxFault(kind=SandboxKind.BOM),
    *(SandboxFault(kind=SandboxKind.RATE_LIMIT, retry_after=after) for after in (None, "0", "2", "soon")),
    SandboxFault(kind=SandboxKind.RATE_LIMIT, status=421),
    SandboxFault(kind=SandboxKind.RATE_LIMIT, status=425),
)

_ON_THE_WAY = (
    FaultKind.CUT_REQUEST,
    FaultKind.CUT_REPLY,
    FaultKind.LOST_REQUEST,
    FaultKind.LOST_REPLY,
    FaultKind.LATE_REQUEST,
    FaultKind.LATE_REPLY,
)
_ANYWHERE = (
    *[FaultKind.CRASH] * 5,
    *[FaultKind.CANCEL] * 2,
    *[FaultKind.CANCEL_NATIVE] * 2,
    FaultKind.GATEWAY_DOWN,
    FaultKind.ACCOUNT_REFUSED,
    FaultKind.DISK_SLOW,
    FaultKind.CLOCK_SET,
    FaultKind.SUSPENDED,
)
_IN_A_COMMIT = (
    FaultKind.CRASH_IN_JOB,
    FaultKind.DISK_ERROR,
    FaultKind.DISK_FULL,
    *[FaultKind.COMMIT_LOST] * 3,
)
#: What can go wrong at each event, and how likely the event is chosen.
_KINDS: Mapping[Event, tuple[tuple[FaultKind, ...], int]] = {
    Event.CONNECT: ((FaultKind.REFUSED, FaultKind.NO_ANSWER, *_ANYWHERE), 3),
    Event.SEND: ((*_ON_THE_WAY, *_ON_THE_WAY, *_ANYWHERE), 8),
    Event.BALANCE: (_ON_THE_WAY, 1),
    Event.REQUEST: ((FaultKind.GATEWAY,), 5),
    Event.READING: ((FaultKind.GATEWAY,), 1),
    Event.ACCEPT: ((FaultKind.ID_MISSING, FaultKind.ID_MISSING, *_ANYWHERE), 4),
    Event.JOB: (_ANYWHERE, 3),
    Event.COMMIT: ((*_IN_A_COMMIT, *_IN_A_COMMIT, *_ANYWHERE), 3),
    Event.CLAIM: ((*_IN_A_COMMIT, *_IN_A_COMMIT, *_ANYWHERE), 5),
    Event.SETTLE: ((*_IN_A_COMMIT, *_IN_A_COMMIT, *_ANYWHERE), 7),
    Event.FILE: ((FaultKind.CRASH_IN_JOB, FaultKind.DISK_ERROR, FaultKind.DISK_FULL), 1),
    Event.START: ((FaultKind.CRASH,), 1),
}
_EVENTS, _WEIGHTS = [*_KINDS], [weight for _kinds, weight in _KINDS.values()]

_DAY = 86_400.0
#: How the clock is set, in seconds: by a hand, by NTP, by a machine that begins in another year.
_SETTINGS = (-3.0, 3.0, -600.0, 600.0, 2 * _DAY, -2 * _DAY, 400 * _DAY)


def expect_events(scenario: Scenario) -> dict[Event, int]:
    """Return about how often each event happens: where faults are to strike."""
    sends = 2 + sum(1 + len(intent.recipients) // 2 for intent in scenario.intents)
    processes = len(scenario.roles)
    jobs = 4 * sends + 12 * processes
    if Role.RUNNER in scenario.roles:
        jobs += 25
    commits = 3 * sends + 2 * processes
    return {
        Event.CONNECT: 2 * processes + 2,
        Event.SEND: sends,
        Event.BALANCE: 3,
        Event.REQUEST: sends,
        Event.READING: 3,
        Event.ACCEPT: sends,
        Event.JOB: jobs,
        Event.COMMIT: commits,
        Event.CLAIM: sends,
        Event.SETTLE: sends,
        Event.FILE: 4 * processes,
        Event.START: 2 * processes,
    }


def draw_plan(draw: Random, scenario: Scenario) -> tuple[Fault, ...]:
    """Draw the faults of a scenario; now and then none at all."""
    expected = expect_events(scenario)
    count = draw.choice((0, 1, 1, 2, 2, 3, 4, 6, 9))
    return tuple(_draw_fault(draw, expected) for _fault in range(count))


def _draw_fault(draw: Random, expected: Mapping[Event, int]) -> Fault:
    event = draw.choices(_EVENTS, _WEIGHTS)[0]
    kind = draw.choice(_KINDS[event][0])
    return Fault(
        kind=kind,
        event=event,
        nth=draw.randrange(expected[event]),
        after=draw.choice((0, 0, draw.randrange(6), draw.randrange(60))),
        seconds=_draw_seconds(draw, kind),
        place=draw.random(),
        variant=draw.randrange(len(GATEWAY_FAULTS)) if kind is FaultKind.GATEWAY else draw.randrange(2),
    )


def _draw_seconds(draw: Random, kind: FaultKind) -> float:
    match kind:
        case FaultKind.CLOCK_SET:
            return draw.choice(_SETTINGS)
        case FaultKind.SUSPENDED:
            return draw.choice((2.0, 30.0, 3600.0, _DAY))
        case FaultKind.LATE_REQUEST | FaultKind.LATE_REPLY:
            return draw.choice((1.5, 3.0, 8.0))
        case FaultKind.DISK_ERROR | FaultKind.DISK_FULL:
            return draw.choice((0.0, 0.0, 0.5, 15.0))
        case FaultKind.GATEWAY_DOWN | FaultKind.ACCOUNT_REFUSED:
            return draw.choice((0.1, 1.0, 5.0))
        case FaultKind.DISK_SLOW:
            return draw.choice((0.2, 7.0))
        case _:
            return 0.0
