"""The seen store in a database: in a schema of its own, beside a ledger or without one."""

from __future__ import annotations

import traceback
from urllib.parse import quote

import anyio
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vavasms.errors import ConfigurationError
from vavasms.inbound.seen.base import ClaimStatus
from vavasms.inbound.seen.open import LazySeen
from vavasms.inbound.seen.postgres import PostgresSeenStore
from vavasms.ledger.postgres.ledger import PostgresLedger

pytestmark = pytest.mark.anyio

SAME = b"s" * 16


@pytest.fixture
def url(bare_postgres: str) -> str:
    return bare_postgres


def run(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vavasms%' ORDER BY 1"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_makes_its_own_schema_and_no_other(url: str) -> None:
    async with await PostgresSeenStore.open(url):
        assert run(url, SCHEMAS) == [("vavasms_inbound",)]
    assert run(url, "SELECT version FROM vavasms_inbound.schema_version") == [(1,)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_lives_beside_a_ledger_whichever_comes_first(url: str) -> None:
    async with await PostgresSeenStore.open(url) as store, await PostgresLedger.open(url):
        await store.commit("a", SAME, "me")
    async with await PostgresLedger.open(url), await PostgresSeenStore.open(url) as store:
        assert await store.claim("a", SAME, "me") is ClaimStatus.HANDLED


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_schema_of_that_name_that_is_not_ours_is_refused(url: str) -> None:
    run(url, "CREATE SCHEMA vavasms_inbound; CREATE TABLE vavasms_inbound.theirs (x INTEGER)")
    with pytest.raises(ConfigurationError, match="`vavasms_inbound` is not ours"):
        await PostgresSeenStore.open(url)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_clean_up_that_fails_costs_no_message(url: str) -> None:
    async with await PostgresSeenStore.open(url) as store:
        run(
            url,
            """CREATE FUNCTION vavasms_inbound.no() RETURNS trigger AS 'BEGIN RAISE EXCEPTION $$no$$; END' LANGUAGE plpgsql;
            CREATE TRIGGER no BEFORE DELETE ON vavasms_inbound.seen FOR EACH ROW EXECUTE FUNCTION vavasms_inbound.no();
            INSERT INTO vavasms_inbound.seen VALUES ('old', '', NULL, NULL, now() - interval '1 year')""",
        )
        assert await store.claim("a", SAME, "me") is ClaimStatus.CLAIMED


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_many_processes_that_race_agree_on_one(url: str) -> None:
    found: list[ClaimStatus] = []

    async def race(store: PostgresSeenStore, owner: str) -> None:
        for each in range(20):
            found.append(await store.claim(f"SM-{each}", SAME, owner))

    async with (
        await PostgresSeenStore.open(url) as one,
        await PostgresSeenStore.open(url) as two,
        anyio.create_task_group() as tasks,
    ):
        for no, store in enumerate((one, two, one, two)):
            tasks.start_soon(race, store, f"owner-{no}")
    assert found.count(ClaimStatus.CLAIMED) == 20
    assert found.count(ClaimStatus.BUSY) == 60


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_is_refused_in_a_sentence(postgres: str) -> None:
    with pytest.raises(ConfigurationError, match="asyncio"):
        await PostgresSeenStore.open(postgres)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_error_shows_nothing_of_the_connection_string(url: str) -> None:
    secret = make_conninfo(url, password="s3cr3t-pass", user="s3cr3t-user")
    with pytest.raises(ConfigurationError) as caught:
        await PostgresSeenStore.open(secret)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=False).format())
    assert "s3cr3t" not in shown


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_is_a_moment_too_late_finds_it_busy(url: str) -> None:
    found: list[ClaimStatus] = []
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%WITH claimed%'"
    )

    async def claim(store: PostgresSeenStore) -> None:
        found.append(await store.claim("a", SAME, "me"))

    async with (
        await PostgresSeenStore.open(url) as store,
        await psycopg.AsyncConnection.connect(url) as other,
    ):
        await other.execute(
            "INSERT INTO vavasms_inbound.seen VALUES ('a', '', 'you', now() + interval '1 hour', now())"
        )
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(claim, store)
                while run(url, waiting) == [(0,)]:
                    await anyio.lowlevel.checkpoint()
                await other.commit()
    assert found == [ClaimStatus.BUSY]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_place_that_is_a_url_is_opened_as_one(url: str) -> None:
    parts = conninfo_to_dict(url)
    names = {
        name: quote(str(parts.get(name) or ""), safe="") for name in ("user", "password", "host", "port")
    }
    query = "&".join(f"{name}={value}" for name, value in names.items() if value)
    seen = LazySeen(f"postgresql:///{parts['dbname']}?{query}")
    assert isinstance(await seen.get(), PostgresSeenStore)
    assert "postgres" not in repr(vars(seen)).replace("PostgresSeenStore", "").replace("seen.postgres", "")
    await seen.aclose()
