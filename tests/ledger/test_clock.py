"""A clock is put right by the ledger's, whatever happens to it meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import define

from vavasms.ledger.clock import SharedClock

pytestmark = pytest.mark.anyio


@define
class Own:
    """A machine's clock."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def answer(theirs: float, own: Own, *, jump: float = 0.0) -> Callable[[], Awaitable[float]]:
    """Return a ledger's answer, during which the machine's clock is set."""

    async def now() -> float:
        own.now += jump
        return theirs

    return now


async def test_it_is_the_ledgers_time_however_the_machines_is_set() -> None:
    own = Own()
    clock = SharedClock(own)
    assert clock() == 1000.0
    await clock.ask(answer(5000.0, own))
    assert clock() == 5000.0
    own.now += 10
    assert clock() == 5010.0
    own.now -= 600
    await clock.ask(answer(5012.0, own))
    assert clock() == 5012.0


@pytest.mark.parametrize("jump", [-600.0, 600.0])
async def test_a_clock_that_is_set_during_the_answer_teaches_nothing(jump: float) -> None:
    own = Own()
    clock = SharedClock(own)
    await clock.ask(answer(5000.0, own))
    await clock.ask(answer(5000.0, own, jump=jump))
    # As it was, by the jump wrong; and right with the next answer.
    assert clock() == 5000.0 + jump
    await clock.ask(answer(5001.0, own))
    assert clock() == 5001.0
