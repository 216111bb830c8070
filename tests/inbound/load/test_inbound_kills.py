"""Kill -9 of the receiver: what was acknowledged is handled and stored, and never handled again."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from attrs import frozen

from tests.inbound.load.receiver_process import POINTS
from tests.inbound.load.sender import Line, Post
from tests.inbound.load.stage import ReceiverServer

pytestmark = pytest.mark.slow

KILLED = -9
#: Seconds that the handler takes: kills find some at work.
_PAUSE = 0.003
_LINES = 8
#: Messages that a receiver acknowledges at most before it is killed, and seconds that it lives on then.
_ACKNOWLEDGED, _LONGER = 30, 0.02


@frozen(kw_only=True)
class Audit:
    """What the journal of all receivers and of the platform tells, and the store beside it."""

    handled: Counter[str]
    acknowledged: set[str]
    #: Handled after they were acknowledged.
    again: list[str]
    #: As handled, in the store.
    stored: set[str]

    def check(self) -> None:
        """Find nothing lost and nothing handled too often."""
        assert self.again == []
        assert self.acknowledged - self.handled.keys() == set()
        assert self.acknowledged - self.stored == set()


class Platform:
    """Posts messages, each until it is acknowledged, and goes on until it is stopped."""

    def __init__(self, server: ReceiverServer, journal: Path) -> None:
        self._server = server
        # Receivers write to the same file: its order is that of all that happened.
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = iter(range(1_000_000))
        self._chance = random.Random(7)
        self._rung = anyio.Event()
        self.stopped = False
        self.acknowledged: list[str] = []
        #: Posts without an answer.
        self.lost = 0

    def close(self) -> None:
        """Close the journal."""
        os.close(self._file)

    async def post_all(self) -> None:
        """Post over several connections until it is stopped."""
        async with anyio.create_task_group() as tasks:
            for _ in range(_LINES):
                tasks.start_soon(self._work)

    async def wait_for(self, count: int) -> None:
        """Wait until so many messages were acknowledged."""
        while len(self.acknowledged) < count:
            self._rung = anyio.Event()
            await self._rung.wait()

    async def deliver(self, line: Line, message_id: str) -> None:
        """Post a message until it is acknowledged."""
        while (status := await line.post(Post(message_id=message_id))) != 200:
            # 500 and 503 would be as good: it is posted again. There is no reason for them here.
            assert status is None
            self.lost += 1
        os.write(self._file, f"A {message_id}\n".encode())

    async def _work(self) -> None:
        line = Line(self._server)
        while not self.stopped:
            message_id = f"SM-{next(self._numbers)}"
            await self.deliver(line, message_id)
            self.acknowledged.append(message_id)
            self._rung.set()
            if self._chance.random() < 0.2:
                await self.deliver(line, self._chance.choice(self.acknowledged))
        await line.aclose()


def read(journal: Path, seen: Path | None) -> Audit:
    """Read what happened."""
    handled, acknowledged, again = Counter[str](), set[str](), list[str]()
    for line in journal.read_text().splitlines():
        kind, _, message_id = line.partition(" ")
        if kind == "A":
            acknowledged.add(message_id)
            continue
        handled[message_id] += 1
        if message_id in acknowledged:
            again.append(message_id)
    stored = set() if seen is None else set(_read_store(seen))
    return Audit(handled=handled, acknowledged=acknowledged, again=again, stored=stored)


def _read_store(seen: Path) -> Iterator[str]:
    with closing(sqlite3.connect(seen)) as connection:
        for (message_id,) in connection.execute("SELECT message_id FROM seen WHERE until IS NULL"):
            yield str(message_id)


def kill_many(server: ReceiverServer, tmp_path: Path, seen: Path | None, kills: int) -> Audit:
    """Kill one receiver after the other while messages come; then let the last one see all of them again."""
    journal, chance = tmp_path / "journal", random.Random(kills)

    async def work() -> Platform:
        platform = Platform(server, journal)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(platform.post_all)
            for _ in range(kills):
                pid = await run_sync(lambda: server.start(journal, seen, pause=_PAUSE))
                await platform.wait_for(len(platform.acknowledged) + chance.randint(1, _ACKNOWLEDGED))
                await anyio.sleep(chance.uniform(0, _LONGER))
                assert await run_sync(server.kill, pid) == KILLED
            platform.stopped = True
            await run_sync(lambda: server.start(journal, seen, pause=_PAUSE))
        line = Line(server)
        for message_id in [*platform.acknowledged]:
            await platform.deliver(line, message_id)
        await line.aclose()
        platform.close()
        return platform

    platform = anyio.run(work)
    audit = read(journal, seen)
    twice = sum(count > 1 for count in audit.handled.values())
    print(
        f"{kills} kills: {len(audit.acknowledged):,} acknowledged, {platform.lost:,} posts cut off, "
        f"{twice:,} handled once more before their commit"
    )
    # There was something under way.
    assert platform.lost > 0
    return audit


def test_five_kills_lose_nothing_acknowledged_and_handle_nothing_again(
    server: ReceiverServer, tmp_path: Path
) -> None:
    kill_many(server, tmp_path, tmp_path / "seen.db", 5).check()


@pytest.mark.full
def test_a_hundred_kills_lose_nothing_acknowledged_and_handle_nothing_again(
    server: ReceiverServer, tmp_path: Path
) -> None:
    kill_many(server, tmp_path, tmp_path / "seen.db", 100).check()


def test_the_same_kills_find_what_a_store_in_memory_forgets(server: ReceiverServer, tmp_path: Path) -> None:
    """The test of the test."""
    assert kill_many(server, tmp_path, None, 2).again


#: How often a message is handled if the receiver dies at a point, its copy after the commit being none.
_TIMES = dict(zip(POINTS, (1, 1, 2, 2, 1), strict=True))


@pytest.mark.parametrize("point", POINTS)
def test_wherever_the_receiver_dies_the_next_try_is_handled_unless_it_was_committed(
    server: ReceiverServer, tmp_path: Path, point: str
) -> None:
    journal, seen = tmp_path / "journal", tmp_path / "seen.db"
    ids = [f"SM-{number}" for number in range(5)]

    async def work() -> None:
        platform, line = Platform(server, journal), Line(server)

        async def replace() -> None:
            pid = await run_sync(lambda: server.start(journal, seen, point=point, nth=3))
            assert await run_sync(server.wait, pid) == KILLED
            await run_sync(lambda: server.start(journal, seen))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(replace)
            for message_id in ids:
                await platform.deliver(line, message_id)
        await line.aclose()
        platform.close()
        assert platform.lost == 1

    anyio.run(work)
    audit = read(journal, seen)
    audit.check()
    assert audit.handled == Counter(ids) + Counter({ids[2]: _TIMES[point] - 1})
