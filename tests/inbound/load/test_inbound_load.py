"""Many posts at once, good and bad: each id is handled once, and memory does not grow."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from attrs import frozen

from tests.inbound.load.sender import Line, Post, pour
from tests.inbound.load.stage import ReceiverServer, resident

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

LINES = 16
MIB = 1_048_576
#: Bytes by which bodies are too large: by one, and up to what is read to its end.
_LARGE = (65_536, 100_000, 500_000, 1_000_000)


@frozen(kw_only=True)
class Load:
    """How much of each is posted."""

    #: Repeats among them.
    posts: int
    repeats: int
    wrong: int
    oversize: int
    slow: int


def make_posts(load: Load, prefix: str) -> list[Post]:
    """Shuffle them; half of the repeats follow their first at once, so that both are under way together."""
    chance = random.Random(load.posts)
    first = [Post(message_id=f"{prefix}-{number}") for number in range(load.posts - load.repeats)]
    others = chance.sample(first, load.repeats // 2)
    others += [Post(message_id=None)] * load.wrong
    for number in range(load.oversize):
        size = _LARGE[number % len(_LARGE)]
        others.append(Post(message_id=f"{prefix}-large-{number}", padding=size, chunked=number % 8 > 3))
    mixed = [*first, *others]
    chance.shuffle(mixed)
    doubled = set(chance.sample(range(len(first)), load.repeats - load.repeats // 2))
    return list(_double(mixed, {first[number] for number in doubled}))


def _double(posts: list[Post], wanted: set[Post]) -> Iterator[Post]:
    for post in posts:
        yield post
        if post in wanted:
            wanted.discard(post)
            yield post


async def attack(server: ReceiverServer, load: Load, prefix: str) -> Counter[tuple[str, int | None]]:
    """Post all of it, the slow ones beside the others; count what was answered to each kind."""
    answers: Counter[tuple[str, int | None]] = Counter()

    async def crawl(number: int) -> None:
        answers["slow", await Line(server).post_slowly(trickles=number % 2 == 0)] += 1

    async with anyio.create_task_group() as tasks:
        for number in range(load.slow):
            tasks.start_soon(crawl, number)
        for post, status in await pour(server, make_posts(load, prefix), LINES):
            kind = "wrong" if post.message_id is None else "large" if post.padding else "message"
            answers[kind, status] += 1
    return answers


def check(server: ReceiverServer, load: Load, tmp_path: Path, store: str) -> int:
    """Run a load; give the bytes by which the receiver grew."""
    journal = tmp_path / "journal"
    pid = server.start(journal, tmp_path / "seen.db" if store == "sqlite" else None)
    warm = Load(posts=300, repeats=20, wrong=50, oversize=LINES, slow=0)
    anyio.run(attack, server, warm, "warm")
    before = resident(pid)
    journal.write_bytes(b"")
    answers = anyio.run(attack, server, load, "SM")
    grown = resident(pid) - before
    assert answers == Counter(
        {
            ("message", 200): load.posts,
            ("wrong", 404): load.wrong,
            ("large", 413): load.oversize,
            ("slow", 408): load.slow,
        }
    )
    handled = journal.read_text().splitlines()
    assert sorted(handled) == sorted(f"H SM-{number}" for number in range(load.posts - load.repeats))
    # It was not another one that was started anew.
    assert server.kill(pid) == -9
    print(f"{store}: {load}: grown by {grown / MIB:.2f} MiB from {before / MIB:.1f} MiB")
    return grown


def test_a_small_load_is_handled_once_an_id_in_little_memory(server: ReceiverServer, tmp_path: Path) -> None:
    load = Load(posts=500, repeats=50, wrong=100, oversize=10, slow=5)
    assert check(server, load, tmp_path, "sqlite") < 5 * MIB


@pytest.mark.full
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_large_load_is_handled_once_an_id_in_little_memory(
    server: ReceiverServer, tmp_path: Path, store: str
) -> None:
    load = Load(posts=5_000, repeats=500, wrong=1_000, oversize=100, slow=50)
    assert check(server, load, tmp_path, store) < 5 * MIB


def test_a_body_beyond_all_measure_is_cut_off_and_harms_nobody(
    server: ReceiverServer, tmp_path: Path
) -> None:
    pid = server.start(tmp_path / "journal", None)

    async def post() -> list[int | None]:
        # Whoever is still sending when the connection is closed may miss the answer.
        huge = [Post(message_id="SM-1", padding=4 * MIB, chunked=chunked) for chunked in (False, True)]
        results = await pour(server, [*huge, Post(message_id="SM-1")], 1)
        return [status for _, status in results]

    *cut, last = anyio.run(post)
    assert set(cut) <= {413, None}
    assert last == 200
    assert server.kill(pid) == -9
