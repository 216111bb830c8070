"""Every ledger there is, one after the other, and the few steps that each test begins with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from vavasms.campaigns.ledger.memory import MemoryLedger
from vavasms.campaigns.ledger.port import Claim, Ledger, NewBatch, NewCampaign
from vavasms.campaigns.ledger.sqlite import SqliteLedger
from vavasms.numbers import Msisdn

Factory = Callable[[Path], AbstractAsyncContextManager[Ledger]]


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


#: How each implementation is opened, in a folder of its own. A new ledger is one line here.
FACTORIES: Mapping[str, Factory] = {"memory": open_memory, "sqlite": open_sqlite}

_tokens = count(1)


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Factory:
    """Give how to open a ledger."""
    return FACTORIES[request.param]


@pytest.fixture
async def ledger(factory: Factory, tmp_path: Path) -> AsyncIterator[Ledger]:
    """Give an empty ledger."""
    async with factory(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def phones() -> Callable[..., tuple[Msisdn, ...]]:
    """Give so many numbers, from the `first` on."""

    def build(number: int, first: int = 0) -> tuple[Msisdn, ...]:
        return tuple(Msisdn(2250700000100 + each) for each in range(first, first + number))

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
        for no, size in enumerate(sizes):
            recipients = phones(size, first)
            batches.append(NewBatch(no=no, message=f"Text {no}", segments=segments, recipients=recipients))
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

    async def call(campaign_id: str, no: int = 0, *, now: float = 1000.0) -> Claim | None:
        token = f"token-{next(_tokens)}"
        return await ledger.claim(campaign_id, no, token=token, worker="w1", now=now)

    return call


@pytest.fixture
def take(claim: Callable[..., Awaitable[Claim | None]]) -> Callable[..., Awaitable[Claim]]:
    """Claim a batch that can be claimed."""

    async def call(campaign_id: str, no: int = 0, *, now: float = 1000.0) -> Claim:
        made = await claim(campaign_id, no, now=now)
        assert made is not None
        return made

    return call
