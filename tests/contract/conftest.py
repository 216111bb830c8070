"""Every ledger there is, one after the other, and the few steps that each test begins with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from math import inf
from pathlib import Path

import pytest
from attrs import frozen

from tests.postgres import empty
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Claim, NewBatch, NewCampaign
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.numbers import Msisdn

#: What is `unknown` now, by campaign.
Orphans = AbstractAsyncContextManager[Mapping[str, Sequence[int]]]


def take_over(ledger: Ledger) -> Orphans:
    """Take over from whoever was sending, for an embedded ledger: a new runner comes."""
    return ledger.take_over(2000.0)


@frozen(kw_only=True)
class Factory:
    """How to open a ledger, and what is particular to it."""

    #: In a folder of its own.
    open: Callable[[Path], AbstractAsyncContextManager[Ledger]]
    orphan: Callable[[Ledger], Orphans] = take_over
    backends: tuple[str, ...] = ("asyncio", "trio")
    #: Many workers at a time: `take_over` excludes nobody.
    is_distributed: bool = False
    #: How many random walks it has time for.
    walks: int = 40


@asynccontextmanager
async def open_memory(folder: Path) -> AsyncIterator[Ledger]:
    """A ledger that lives in the process; it needs no folder."""
    ledger = MemoryLedger()
    yield ledger
    await ledger.aclose()


@asynccontextmanager
async def open_sqlite(folder: Path) -> AsyncIterator[Ledger]:
    """The embedded one, in a file."""
    async with await SqliteLedger.open(folder / "ledger.db") as ledger:
        yield ledger


@asynccontextmanager
async def reap(ledger: Ledger) -> AsyncIterator[Mapping[str, Sequence[int]]]:
    """Yield the sweep of a worker, for a distributed ledger, where whoever was sending is dead."""
    assert isinstance(ledger, PostgresLedger)
    found: dict[str, list[int]] = {}
    for campaign_id, number in await ledger.maintenance.sending(sent_before=inf):
        assert await ledger.maintenance.reap_orphan(campaign_id, number, sent_before=inf)
        found.setdefault(campaign_id, []).append(number)
    yield found


def postgres_factory(request: pytest.FixtureRequest) -> Factory:
    """The distributed one, in a database that is emptied before each."""
    url: str = request.getfixturevalue("postgres")

    @asynccontextmanager
    async def open_postgres(folder: Path) -> AsyncIterator[Ledger]:
        async with await PostgresLedger.open(url) as ledger:
            empty(url)
            yield ledger

    return Factory(open=open_postgres, orphan=reap, backends=("asyncio",), is_distributed=True, walks=12)


#: Every implementation. A new ledger is one line here.
FACTORIES: Mapping[str, Callable[[pytest.FixtureRequest], Factory]] = {
    "memory": lambda request: Factory(open=open_memory),
    # In a file; its logic is that of the one in memory.
    "sqlite": lambda request: Factory(open=open_sqlite, walks=12),
    "postgres": postgres_factory,
}

_tokens = count(1)


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Factory:
    """Return how to open a ledger."""
    return FACTORIES[request.param](request)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out PostgreSQL under trio: psycopg is for asyncio, and the ledger refuses to open (its own test)."""
    out = [item for item in items if _is_for_no_one(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [each for each in items if each not in out]


def _is_for_no_one(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    params = {} if callspec is None else callspec.params
    return (params.get("factory"), params.get("anyio_backend")) == ("postgres", "trio")


@pytest.fixture
async def ledger(factory: Factory, tmp_path: Path) -> AsyncIterator[Ledger]:
    """Yield an empty ledger."""
    async with factory.open(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def orphan(factory: Factory, ledger: Ledger) -> Callable[[], Orphans]:
    """Return what makes whoever was sending dead."""
    return lambda: factory.orphan(ledger)


@pytest.fixture
def embedded(factory: Factory) -> None:
    """Leave a test to the ledgers that have one runner at a time."""
    if factory.is_distributed:
        pytest.skip("a distributed ledger excludes nobody: see its own tests")


@pytest.fixture
def phones() -> Callable[..., tuple[Msisdn, ...]]:
    """Return so many numbers, from the `first` on."""

    def build(number: int, first: int = 0) -> tuple[Msisdn, ...]:
        return tuple(Msisdn(2250700000100 + index) for index in range(first, first + number))

    return build


@pytest.fixture
def create(ledger: Ledger, phones: Callable[..., tuple[Msisdn, ...]]) -> Callable[..., Awaitable[None]]:
    """Keep a campaign with batches of these sizes, `loading`; numbers from `first` on."""

    async def build(
        campaign_id: str, *sizes: int, first: int = 0, segments: int = 1, **options: object
    ) -> None:
        values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour {name}", "created_at": 10.0}
        await ledger.create(NewCampaign(id=campaign_id, **{**values, **options}))  # type: ignore[arg-type]
        batches = []
        for number, size in enumerate(sizes):
            recipients = phones(size, first)
            batches.append(
                NewBatch(number=number, message=f"Text {number}", segments=segments, recipients=recipients)
            )
            first += size
        await ledger.load(campaign_id, batches)

    return build


@pytest.fixture
def run(ledger: Ledger, create: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Keep such a campaign and start it."""

    async def build(campaign_id: str, *sizes: int, **options: object) -> None:
        await create(campaign_id, *sizes, **options)
        await ledger.finish_loading(campaign_id, plan="{}", plan_hash="hash")
        assert await ledger.start(campaign_id)

    return build


@pytest.fixture
def claim(ledger: Ledger) -> Callable[..., Awaitable[Claim | None]]:
    """Claim a batch under a new token."""

    async def call(campaign_id: str, number: int = 0, *, now: float = 1000.0) -> Claim | None:
        token = f"token-{next(_tokens)}"
        return await ledger.claim(campaign_id, number, token=token, worker="w1", now=now)

    return call


@pytest.fixture
def take(claim: Callable[..., Awaitable[Claim | None]]) -> Callable[..., Awaitable[Claim]]:
    """Claim a batch that can be claimed."""

    async def call(campaign_id: str, number: int = 0, *, now: float = 1000.0) -> Claim:
        made = await claim(campaign_id, number, now=now)
        assert made is not None
        return made

    return call
