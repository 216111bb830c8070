"""The bounded set of pools: never more lent than there are places, none lost, the last one first."""

from __future__ import annotations

import random

import anyio
import pytest

from vavasms.transport.pool import Pools

pytestmark = pytest.mark.anyio


class Pool:
    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = 0


class Factory:
    def __init__(self) -> None:
        self.made: list[Pool] = []

    def make(self) -> Pool:
        self.made.append(Pool(len(self.made)))
        return self.made[-1]

    async def close(self, pool: Pool) -> None:
        await anyio.lowlevel.checkpoint()
        pool.closed += 1


@pytest.fixture
def factory() -> Factory:
    return Factory()


async def test_a_pool_is_made_when_first_needed_and_kept(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 3)
    assert factory.made == []
    for _ in range(5):
        pools.release(await pools.acquire())
    assert len(factory.made) == 1


async def test_the_pool_used_last_is_taken_first(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 3)
    lent = [await pools.acquire() for _ in range(3)]
    for pool in (lent[1], lent[0], lent[2]):
        pools.release(pool)
    assert [(await pools.acquire()).number for _ in range(3)] == [2, 0, 1]


async def test_who_finds_no_place_waits_as_long_as_it_takes(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    lent = await pools.acquire()
    with anyio.move_on_after(0.05) as scope:
        await pools.acquire()
    assert scope.cancelled_caught
    pools.release(lent)
    assert await pools.acquire() is lent


async def test_who_came_first_is_served_first(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    lent, served = await pools.acquire(), []

    async def wait(name: int) -> None:
        pool = await pools.acquire()
        served.append(name)
        pools.release(pool)

    async with anyio.create_task_group() as tasks:
        for name in range(5):
            tasks.start_soon(wait, name)
            await anyio.wait_all_tasks_blocked()
        pools.release(lent)
    assert served == [0, 1, 2, 3, 4]


async def test_who_waits_gets_the_place_that_comes_free(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    lent = await pools.acquire()
    got: list[Pool] = []

    async def wait() -> None:
        got.append(await pools.acquire())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert got == []
        pools.release(lent)
    assert got == [lent]


async def test_a_discarded_pool_is_closed_and_replaced(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    first = await pools.acquire()
    await pools.discard(first)
    assert first.closed == 1
    second = await pools.acquire()
    assert second is not first
    with anyio.move_on_after(0) as scope:
        await pools.acquire()
    assert scope.cancelled_caught


async def test_a_cancelled_task_still_closes_what_it_discards(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    pool = await pools.acquire()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pools.discard(pool)
    assert pool.closed == 1
    pools.release(await pools.acquire())


async def test_a_pool_that_does_not_close_holds_nobody_for_ever() -> None:
    closing = anyio.Event()

    async def close(_: object) -> None:
        closing.set()
        await anyio.sleep_forever()

    pools = Pools(object, close, 1)
    with anyio.fail_after(30):
        await pools.discard(await pools.acquire())
        assert closing.is_set()
        await pools.acquire()


async def test_a_factory_that_fails_costs_no_place() -> None:
    fail = True

    def make() -> object:
        if fail:
            raise OSError("no more files")
        return object()

    async def close(_: object) -> None:
        return

    pools = Pools(make, close, 1)
    for _ in range(3):
        with pytest.raises(OSError, match="no more files"):
            await pools.acquire()
    fail = False
    await pools.acquire()


async def test_a_cancelled_wait_costs_no_place(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 1)
    lent = await pools.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pools.acquire)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    # Cancelled at the very moment the place came free: it may have been taken, or not.
    got: list[Pool] = []

    async def wait() -> None:
        got.append(await pools.acquire())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        pools.release(lent)
        tasks.cancel_scope.cancel()
    for pool in got:
        pools.release(pool)
    assert await pools.acquire() is lent


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_never_more_are_lent_than_there_are_places(factory: Factory, limit: int) -> None:
    pools = Pools(factory.make, factory.close, limit)
    lent: set[int] = set()
    most = 0
    dice = random.Random(limit)

    async def work() -> None:
        nonlocal most
        for _ in range(10):
            with anyio.move_on_after(dice.choice([0, 5, 5, 5])) as scope:
                pool = await pools.acquire()
            if scope.cancelled_caught:
                continue
            assert pool.number not in lent
            assert pool.closed == 0
            lent.add(pool.number)
            most = max(most, len(lent))
            try:
                with anyio.move_on_after(0) if dice.random() < 0.2 else anyio.CancelScope():
                    await anyio.lowlevel.checkpoint()
            finally:
                lent.discard(pool.number)
                if dice.random() < 0.3:
                    await pools.discard(pool)
                else:
                    pools.release(pool)

    async with anyio.create_task_group() as tasks:
        for _ in range(3 * limit):
            tasks.start_soon(work)
    assert most == limit
    # Every place is free again.
    for _ in range(limit):
        await pools.acquire()


async def test_closing_closes_what_is_idle_once(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 3)
    lent = [await pools.acquire() for _ in range(3)]
    for pool in lent[:2]:
        pools.release(pool)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pools.aclose)
        await anyio.wait_all_tasks_blocked()
        # What is lent is waited for.
        assert [pool.closed for pool in lent] == [0, 0, 0]
        await pools.discard(lent[2])
    await pools.aclose()
    assert [pool.closed for pool in lent] == [1, 1, 1]


async def test_closing_waits_no_more_once_it_is_cancelled(factory: Factory) -> None:
    pools = Pools(factory.make, factory.close, 2)
    lent = [await pools.acquire() for _ in range(2)]
    pools.release(lent[0])
    with anyio.move_on_after(0.05) as scope:
        await pools.aclose()
    assert scope.cancelled_caught
    pools.release(lent[1])
    await pools.aclose()
    assert [pool.closed for pool in lent] == [1, 1]
