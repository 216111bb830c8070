"""A seen store is opened by its place, and what names another database is never taken for a file."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.inbound.posting import TOKEN
from vavasms.errors import ConfigurationError
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.seen.open import open_seen
from vavasms.inbound.seen.sqlite import SqliteSeenStore

pytestmark = pytest.mark.anyio

OTHERS = [
    "postgresql+asyncpg://me:pw@host/name",
    "POSTGRESQL://me:pw@host/name",
    "mysql://me:pw@host/name",
    "sqlite:///inbound.db",
    "host=h password=pw",
]


async def listed(folder: Path) -> list[str]:
    return [each.name async for each in anyio.Path(folder).iterdir()]


@pytest.mark.parametrize("place", [*OTHERS, Path("postgresql+psycopg://me:pw@host/name")])
async def test_the_url_of_another_database_is_refused_before_anything_is_made(
    place: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="postgresql://user@host/name") as caught:
        await open_seen(place)
    assert "pw" not in str(caught.value)
    # At the start of the program, not at the first message.
    with pytest.raises(ConfigurationError, match="postgresql://user@host/name"):
        InboundApp(print, token=TOKEN, seen=place)
    assert await listed(tmp_path) == []


@pytest.mark.parametrize("name", ["inbound.db", "a folder/in=bound.db", "c+d:e.db"])
async def test_any_other_text_is_a_file(name: str, tmp_path: Path) -> None:
    async with await SqliteSeenStore.open(tmp_path / name):
        assert await anyio.Path(tmp_path / name).is_file()
    store = await open_seen(str(tmp_path / name))
    assert isinstance(store, SqliteSeenStore)
    await store.aclose()
