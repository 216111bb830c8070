"""Every seen store there is, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.inbound.stores import KINDS, Kind
from vavasms.inbound.seen.base import SeenStore


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return how to open a store."""
    return KINDS[request.param](request)


@pytest.fixture
async def store(kind: Kind) -> AsyncIterator[SeenStore]:
    """Yield an empty store."""
    async with kind.open() as store:
        yield store


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out PostgreSQL under trio: psycopg is for asyncio, and the store refuses to open (its own test)."""
    out = [each for each in items if _is_for_no_one(each)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [each for each in items if each not in out]


def _is_for_no_one(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    params = {} if callspec is None else callspec.params
    return (params.get("kind"), params.get("anyio_backend")) == ("postgres", "trio")
