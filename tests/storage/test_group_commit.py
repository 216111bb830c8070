"""Writes that wait are made together, and each caller has what came of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint
from attrs import define, field

from vavasms.errors import ConfigurationError, LedgerError
from vavasms.storage.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


@define
class Server:
    """Writes numbers and answers with their doubles, once it is let."""

    let: anyio.Event = field(factory=anyio.Event)
    asked: anyio.Event = field(factory=anyio.Event)
    made: list[list[int]] = field(factory=list)
    failure: Exception | None = None

    async def make(self, items: Sequence[int]) -> Sequence[int]:
        self.made.append([*items])
        self.asked.set()
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return [2 * item for item in items]


@pytest.fixture
def server(anyio_backend: str) -> Server:
    return Server()


@define
class Writers:
    """Callers that write a number each, and keep what came of it."""

    commit: GroupCommit[int, int]
    results: dict[int, int] = field(factory=dict)
    errors: dict[int, BaseException] = field(factory=dict)

    async def write(self, item: int) -> None:
        try:
            self.results[item] = await self.commit.write(item)
        except BaseException as error:
            self.errors[item] = error
            if not isinstance(error, Exception):
                raise


async def start(writers: Writers, server: Server, items: Sequence[int], tasks: anyio.abc.TaskGroup) -> None:
    """Start the first one, and the others wait."""
    tasks.start_soon(writers.write, items[0])
    await server.asked.wait()
    for item in items[1:]:
        tasks.start_soon(writers.write, item)
    for _ in range(5):
        await checkpoint()


async def test_what_comes_while_one_is_made_is_made_next_in_one_call(server: Server) -> None:
    writers = Writers(GroupCommit(server.make))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await start(writers, server, range(6), tasks)
            server.let.set()
    assert [sorted(batch) for batch in server.made] == [[0], [1, 2, 3, 4, 5]]
    assert writers.results == {item: 2 * item for item in range(6)}


async def test_no_call_takes_more_than_its_most(server: Server) -> None:
    writers = Writers(GroupCommit(server.make, most=2))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await start(writers, server, range(6), tasks)
            server.let.set()
    assert [len(batch) for batch in server.made] == [1, 2, 2, 1]
    assert writers.results == {item: 2 * item for item in range(6)}


async def test_one_alone_waits_for_nobody(server: Server) -> None:
    server.let.set()
    commit = GroupCommit(server.make)
    with anyio.fail_after(10):
        assert [await commit.write(1), await commit.write(2)] == [2, 4]
    assert server.made == [[1], [2]]


async def test_a_call_that_fails_fails_for_all_in_it_and_for_nobody_else(server: Server) -> None:
    writers = Writers(GroupCommit(server.make))
    server.failure = LedgerError("the disk is full")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await start(writers, server, range(3), tasks)
            server.let.set()
        server.failure = None
        assert await writers.commit.write(9) == 18
    assert {item: str(error) for item, error in writers.errors.items()} == dict.fromkeys(
        range(3), "the disk is full"
    )
    # A traceback grows where an error is raised: no two share one.
    assert len({id(error) for error in writers.errors.values()}) == 3


async def test_a_fault_of_our_own_is_never_taken_for_written(server: Server) -> None:
    writers = Writers(GroupCommit(server.make))
    server.failure = RuntimeError("a fault")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await start(writers, server, range(3), tasks)
            server.let.set()
    assert isinstance(writers.errors[0], RuntimeError)
    # Whoever leads meets the fault; whoever waited only knows that nothing is sure.
    assert sorted(type(error).__name__ for error in writers.errors.values()) == [
        "LedgerError",
        "RuntimeError",
        "RuntimeError",
    ]
    assert writers.results == {}


async def test_a_cancellation_waits_for_the_end(server: Server) -> None:
    writers = Writers(GroupCommit(server.make))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await start(writers, server, range(4), tasks)
            tasks.cancel_scope.cancel()
            server.let.set()
    assert [sorted(batch) for batch in server.made] == [[0], [1, 2, 3]]
    assert writers.results == {item: 2 * item for item in range(4)}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class TestNativeCancellation:
    """asyncio's own, which no scope holds back."""

    async def test_who_waits_is_taken_out_and_the_others_are_written(self, server: Server) -> None:
        writers = Writers(GroupCommit(server.make))
        tasks = [asyncio.create_task(writers.write(0))]
        await server.asked.wait()
        tasks += [asyncio.create_task(writers.write(item)) for item in range(1, 5)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[3].cancel()
        server.let.set()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert server.made == [[0], [2, 4]]
        assert writers.results == {0: 0, 2: 4, 4: 8}

    async def test_who_is_cancelled_as_it_is_told_to_lead_hands_that_on(self, server: Server) -> None:
        writers = Writers(GroupCommit(server.make))
        tasks = [asyncio.create_task(writers.write(0))]
        await server.asked.wait()
        tasks += [asyncio.create_task(writers.write(item)) for item in range(1, 4)]
        await asyncio.sleep(0)
        server.let.set()
        while not tasks[0].done():
            await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert writers.results == {0: 0, 2: 4, 3: 6}
        assert await asyncio.wait_for(writers.commit.write(9), 10) == 18

    async def test_who_leads_and_is_cancelled_leaves_the_others_unsure_and_the_next_written(
        self, server: Server
    ) -> None:
        writers = Writers(GroupCommit(server.make))
        first = asyncio.create_task(writers.write(0))
        await server.asked.wait()
        second = asyncio.create_task(writers.write(1))
        await asyncio.sleep(0)
        first.cancel()
        server.let.set()
        with suppress(asyncio.CancelledError):
            await first
        await asyncio.wait_for(second, 10)
        assert writers.results == {1: 2}

    async def test_flush_waits_for_what_is_under_way_for_one_who_left(self, server: Server) -> None:
        writers = Writers(GroupCommit(server.make))
        tasks = [asyncio.create_task(writers.write(0))]
        await server.asked.wait()
        tasks += [asyncio.create_task(writers.write(item)) for item in (1, 2)]
        await asyncio.sleep(0)
        server.let.set()
        server.let = anyio.Event()
        while len(server.made) < 2:
            await asyncio.sleep(0)
        # Made by the first of both, for the sake of the second, which leaves.
        tasks[2].cancel()
        flushed = asyncio.create_task(writers.commit.flush())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not flushed.done()
        server.let.set()
        await asyncio.wait_for(flushed, 10)
        assert server.made == [[0], [1, 2]]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_flush_with_nothing_under_way_returns_at_once(self, server: Server) -> None:
        await asyncio.wait_for(GroupCommit(server.make).flush(), 10)
        assert server.made == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_event_loops_at_a_time_are_refused(server: Server) -> None:
    writers = Writers(GroupCommit(server.make))

    def write_elsewhere() -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            anyio.run(writers.commit.write, 2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writers.write, 1)
        await server.asked.wait()
        await to_thread.run_sync(write_elsewhere)
        server.let.set()
    assert writers.results == {1: 2}


def test_what_a_loop_had_under_way_as_it_ended_holds_up_no_other() -> None:
    hangs: list[int] = []

    async def make(items: Sequence[int]) -> Sequence[int]:
        if not hangs:
            hangs.extend(items)
            await anyio.sleep_forever()
        return items

    commit: GroupCommit[int, int] = GroupCommit(make)

    async def begin() -> None:
        tasks.append(asyncio.ensure_future(commit.write(1)))
        while not hangs:
            await checkpoint()
        tasks.append(asyncio.ensure_future(commit.write(2)))
        await checkpoint()

    tasks: list[asyncio.Future[int]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    assert asyncio.run(asyncio.wait_for(commit.write(3), 10)) == 3
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks))
    loop.close()
