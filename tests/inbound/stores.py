"""Every seen store there is, and how time passes for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import psycopg
import pytest
from attrs import define, frozen

from vavasms.inbound.seen.base import SeenStore
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.inbound.seen.postgres import PostgresSeenStore
from vavasms.inbound.seen.sqlite import SqliteSeenStore

LEASE = 15.0
KEEP_DAYS = 90.0


@define
class Clock:
    """A time that passes when it is told to."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@frozen(kw_only=True)
class Kind:
    """How to open a store, and how to let time pass for it."""

    #: At the place of this test; may be opened several times.
    open: Callable[[], AbstractAsyncContextManager[SeenStore]]
    #: Let so many seconds pass.
    wait: Callable[[float], None]
    #: Whether what one instance writes another one sees.
    is_shared: bool = True


def memory_kind(request: pytest.FixtureRequest) -> Kind:
    clock = Clock()

    @asynccontextmanager
    async def opened() -> AsyncIterator[SeenStore]:
        async with MemorySeenStore(lease=LEASE, clock=clock) as store:
            yield store

    return Kind(open=opened, wait=lambda seconds: setattr(clock, "now", clock.now + seconds), is_shared=False)


def sqlite_kind(request: pytest.FixtureRequest) -> Kind:
    clock, path = Clock(), request.getfixturevalue("tmp_path") / "seen.db"

    @asynccontextmanager
    async def opened() -> AsyncIterator[SeenStore]:
        async with await SqliteSeenStore.open(path, lease=LEASE, clock=clock) as store:
            yield store

    return Kind(open=opened, wait=lambda seconds: setattr(clock, "now", clock.now + seconds))


def postgres_kind(request: pytest.FixtureRequest) -> Kind:
    """The server's clock cannot be set: what it wrote is made older instead."""
    url: str = request.getfixturevalue("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS vavasms_inbound CASCADE")

    @asynccontextmanager
    async def opened() -> AsyncIterator[SeenStore]:
        async with await PostgresSeenStore.open(url, lease=LEASE) as store:
            yield store

    def wait(seconds: float) -> None:
        older = "UPDATE vavasms_inbound.seen SET at = at - make_interval(secs => %(s)s), until = until - make_interval(secs => %(s)s)"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(older, {"s": seconds})

    return Kind(open=opened, wait=wait)


#: Every implementation. A new store is one line here.
KINDS: dict[str, Callable[[pytest.FixtureRequest], Kind]] = {
    "memory": memory_kind,
    "sqlite": sqlite_kind,
    "postgres": postgres_kind,
}
