"""A message is handled once, whoever else comes with it meanwhile, and however slow or broken its handler is."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise

import anyio
import pytest
import trio
import trio.testing
from attrs import evolve

from vavasms.errors import LedgerError
from vavasms.inbound.idempotency import MAX_HANDLING, SPARE, handle_once
from vavasms.inbound.seen.base import ClaimStatus
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.models import InboundMessage

pytestmark = pytest.mark.anyio

MESSAGE = InboundMessage(message_id="SM-1", sender="+2250700000101", text="Bonjour")
#: Time passes at once where everybody waits for it.
on_fast_time = pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}), id="trio")],
)


class Boom(Exception):
    """A handler's own."""


async def fail() -> None:
    raise Boom


async def test_it_is_handled_and_then_never_again() -> None:
    store, done = MemorySeenStore(), []

    async def work() -> None:
        done.append(1)

    standings = [await handle_once(store, MESSAGE, work) for _ in range(3)]
    assert standings == [ClaimStatus.CLAIMED, ClaimStatus.HANDLED, ClaimStatus.HANDLED]
    assert done == [1]


async def test_copies_wait_for_the_end_of_the_first() -> None:
    store, go, begun, found = MemorySeenStore(), anyio.Event(), anyio.Event(), []

    async def work() -> None:
        begun.set()
        await go.wait()

    async def post() -> None:
        found.append(await handle_once(store, MESSAGE, work))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await begun.wait()
            for _ in range(5):
                tasks.start_soon(post)
            await anyio.wait_all_tasks_blocked()
            assert found == []
            go.set()
    assert found.count(ClaimStatus.CLAIMED) == 1
    assert found.count(ClaimStatus.HANDLED) == 5


async def test_what_failed_is_handled_anew_also_by_a_copy_that_waited() -> None:
    store, go, begun = MemorySeenStore(), anyio.Event(), anyio.Event()
    found: list[object] = []

    async def first() -> None:
        begun.set()
        await go.wait()
        raise Boom

    async def post_first() -> None:
        with pytest.raises(Boom):
            await handle_once(store, MESSAGE, first)

    async def second() -> None:
        found.append("handled")

    async def post_second() -> None:
        found.append(await handle_once(store, MESSAGE, second))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post_first)
            await begun.wait()
            tasks.start_soon(post_second)
            await anyio.wait_all_tasks_blocked()
            go.set()
    assert found == ["handled", ClaimStatus.CLAIMED]


@on_fast_time
async def test_a_claim_of_the_dead_is_taken_over_by_the_first_copy_that_comes() -> None:
    store = MemorySeenStore(clock=anyio.current_time)
    await store.claim(MESSAGE.message_id, b"", "dead")
    began = anyio.current_time()
    assert await handle_once(store, MESSAGE, trio.lowlevel.checkpoint) is ClaimStatus.CLAIMED
    assert store.lease <= anyio.current_time() - began < store.lease + SPARE


@on_fast_time
async def test_a_handler_slower_than_its_lease_keeps_its_claim_and_copies_are_told_to_come_later() -> None:
    store, go, found = MemorySeenStore(clock=anyio.current_time), anyio.Event(), []

    async def post() -> None:
        found.append(await handle_once(store, MESSAGE, go.wait))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(post)
        await anyio.sleep(10 * store.lease)
        began = anyio.current_time()
        assert await handle_once(store, MESSAGE, fail) is ClaimStatus.BUSY
        assert anyio.current_time() - began == pytest.approx(store.lease + SPARE, abs=1)
        go.set()
    assert found == [ClaimStatus.CLAIMED]
    assert await handle_once(store, MESSAGE, fail) is ClaimStatus.HANDLED


@on_fast_time
async def test_a_handler_that_never_ends_loses_its_claim_at_last() -> None:
    store = MemorySeenStore(clock=anyio.current_time)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle_once, store, MESSAGE, trio.sleep_forever)
        await anyio.sleep(MAX_HANDLING + 2 * store.lease)
        assert await handle_once(store, MESSAGE, trio.lowlevel.checkpoint) is ClaimStatus.CLAIMED
        tasks.cancel_scope.cancel()


async def test_a_cancelled_handler_gives_its_claim_up() -> None:
    store, begun = MemorySeenStore(), anyio.Event()

    async def work() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle_once, store, MESSAGE, work)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert await store.claim(MESSAGE.message_id, b"", "next") is ClaimStatus.CLAIMED


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_cancellation_does_so_too() -> None:
    store, begun = MemorySeenStore(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(handle_once(store, MESSAGE, work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.claim(MESSAGE.message_id, b"", "next") is ClaimStatus.CLAIMED


class BrokenStore(MemorySeenStore):
    """A store whose disk fills up after the claim."""

    async def renew(self, message_id: str, owner: str) -> None:
        raise LedgerError("full")

    async def release(self, message_id: str, owner: str) -> None:
        raise LedgerError("full")

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        raise LedgerError("full")


async def test_a_commit_that_fails_is_told_and_the_claim_left_to_its_lease() -> None:
    store = BrokenStore()
    with pytest.raises(LedgerError):
        await handle_once(store, MESSAGE, anyio.lowlevel.checkpoint)
    assert await store.claim(MESSAGE.message_id, b"", "next") is ClaimStatus.BUSY


@on_fast_time
async def test_a_store_that_fails_meanwhile_hides_neither_the_handlers_error_nor_stops_it() -> None:
    async def slow() -> None:
        await anyio.sleep(100)
        raise Boom

    with pytest.raises(Boom):
        await handle_once(BrokenStore(clock=anyio.current_time), MESSAGE, slow)


class WatchedStore(MemorySeenStore):
    """A store that takes a moment for each call, as one on a disk does, and notes it: what, when, by whom."""

    def __init__(self) -> None:
        super().__init__(clock=anyio.current_time)
        self.calls: list[tuple[str, float, str]] = []
        self.writes = anyio.Event()

    async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
        self.calls.append(("claim", anyio.current_time(), owner))
        return await super().claim(message_id, digest, owner)

    async def renew(self, message_id: str, owner: str) -> None:
        self.calls.append(("renew", anyio.current_time(), owner))
        await super().renew(message_id, owner)

    async def commit(self, message_id: str, digest: bytes, owner: str) -> None:
        await self._write("commit", owner)
        await super().commit(message_id, digest, owner)

    async def release(self, message_id: str, owner: str) -> None:
        await self._write("release", owner)
        await super().release(message_id, owner)

    async def _write(self, call: str, owner: str) -> None:
        self.calls.append((call, anyio.current_time(), owner))
        self.writes.set()
        await anyio.sleep(0.01)

    def times(self, call: str) -> list[float]:
        return [at for name, at, _owner in self.calls if name == call]


async def test_who_is_cut_off_while_it_commits_has_handled_it() -> None:
    store = WatchedStore()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle_once, store, MESSAGE, anyio.lowlevel.checkpoint)
        await store.writes.wait()
        tasks.cancel_scope.cancel()
    assert await handle_once(store, MESSAGE, fail) is ClaimStatus.HANDLED


async def test_who_is_cut_off_gives_its_claim_up_in_a_store_that_takes_its_time() -> None:
    store = WatchedStore()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle_once, store, MESSAGE, anyio.sleep_forever)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert await store.claim(MESSAGE.message_id, b"", "next") is ClaimStatus.CLAIMED


async def test_each_call_for_a_message_has_one_owner_and_the_next_message_another() -> None:
    store = WatchedStore()
    await handle_once(store, MESSAGE, anyio.lowlevel.checkpoint)
    with pytest.raises(Boom):
        await handle_once(store, evolve(MESSAGE, message_id="SM-2"), fail)
    calls, owners = [call for call, _at, _owner in store.calls], [owner for _call, _at, owner in store.calls]
    assert calls == ["claim", "commit", "claim", "release"]
    assert owners[0] == owners[1] != owners[2] == owners[3]
    assert all(owners)


@on_fast_time
async def test_a_claim_is_renewed_three_times_in_each_lease() -> None:
    store = WatchedStore()
    began = anyio.current_time()
    await handle_once(store, MESSAGE, partial(anyio.sleep, 1.1 * store.lease))
    assert [at - began for at in store.times("renew")] == pytest.approx(
        [store.lease * part / 3 for part in (1, 2, 3)]
    )


@on_fast_time
async def test_a_copy_asks_at_once_and_then_more_and_more_rarely() -> None:
    store = WatchedStore()
    await store.claim(MESSAGE.message_id, b"", "another")
    assert await handle_once(store, MESSAGE, trio.lowlevel.checkpoint) is ClaimStatus.CLAIMED
    asked = store.times("claim")[1:]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[:4] == pytest.approx([0.02, 0.03, 0.045, 0.0675])
    assert pauses[10:] == pytest.approx([0.5] * len(pauses[10:]))
