"""A ledger that the version before wrote is upgraded when that is asked for, and goes on where it was."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import psycopg
import pytest

from vavasms.config import Secret
from vavasms.errors import ConfigurationError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.postgres.ledger import MIGRATIONS as POSTGRES
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import APPLICATION_ID, SqliteLedger
from vavasms.ledger.sqlite.ledger import MIGRATIONS as SQLITE
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.numbers import Msisdn
from vavasms.storage.postgres.database import PostgresDatabase
from vavasms.storage.sqlite.database import Database

pytestmark = pytest.mark.anyio

CAMPAIGN = "(id, state, account, sender_id, message, policy, created_at)"
BATCH = "(campaign, number, state, segments, size, message, token, sending_at, unknown_attempts)"
#: As version 1 left them: accepted, unknown, waiting; of the last an attempt before may have gone out.
STATEMENTS = (
    f"INSERT INTO campaign {CAMPAIGN} VALUES ('c', 'paused', 'ops', 'ACME', 'Bonjour', '{{}}', 10)",
    f"INSERT INTO batch {BATCH} VALUES (1, 0, 'accepted', 1, 1, 'Bonjour', 'a', 50, 0)",
    f"INSERT INTO batch {BATCH} VALUES (1, 1, 'unknown', 1, 1, 'Bonjour', 'b', 50, 0)",
    f"INSERT INTO batch {BATCH} VALUES (1, 2, 'queued', 1, 1, 'Bonjour', NULL, 50, 1)",
    *(
        f"INSERT INTO recipient (campaign, batch, position, phone) VALUES (1, {number}, 0, 225070000010{number})"
        for number in range(3)
    ),
    *(
        f"INSERT INTO addressee (phone, campaign, batch) VALUES (225070000010{number}, 1, {number})"
        for number in range(3)
    ),
    # A clock that was a year ahead had reserved this.
    "INSERT INTO rate (account, tat) VALUES ('ops', 40000000)",
)

#: Version 1 had them in PostgreSQL, the first with an argument less.
FUNCTIONS = (
    """CREATE FUNCTION claim_plainly(
        p_id TEXT, p_numbers INTEGER[], p_tokens TEXT[], p_workers TEXT[], p_nows DOUBLE PRECISION[], p_balances TEXT[]
    ) RETURNS TABLE (token TEXT, message TEXT, segments INTEGER, attempt INTEGER, phones BIGINT[])
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'of version 1'; END; $$""",
    """CREATE FUNCTION accept_batches(
        p_id TEXT, p_numbers INTEGER[], p_tokens TEXT[], p_results TEXT[], p_purged_results TEXT[]
    ) RETURNS SETOF TEXT
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'of version 1'; END; $$""",
)


async def _goes_on(ledger: Ledger, revision: int = 0) -> None:
    status = await ledger.status("c")
    assert (status.accepted, status.unknown, status.queued, status.segments) == (1, 1, 1, 3)
    assert (await ledger.campaign("c")).revision == revision
    assert await ledger.start("c")
    assert await ledger.reserve("ops", 1, rate=1.0, now=100.0) == pytest.approx(0.0)
    claim = await ledger.claim("c", 2, token="new", worker="w", now=100.0, revision=revision + 1)
    assert claim is not None
    assert await ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord())
    assert await ledger.mark_sent("c", [1], note="seen") == 1
    assert await ledger.finish("c")
    assert (await ledger.status("c")).state is CampaignState.DONE


async def test_a_file_of_the_version_before_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await (await Database.open(path, SQLITE[:1], application_id=APPLICATION_ID)).aclose()
    with closing(connect(path)) as connection, connection:
        for statement in STATEMENTS:
            connection.execute(statement)
    with pytest.raises(ConfigurationError, match="older vavasms: run `vavasms ledger migrate`"):
        await SqliteLedger.open(path)
    async with await SqliteLedger.open(path, upgrade=True) as ledger:
        await _goes_on(ledger)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_database_of_the_version_before_is_upgraded(bare_postgres: str) -> None:
    with psycopg.connect(bare_postgres, autocommit=True) as connection:
        await (await PostgresDatabase.open(Secret(bare_postgres), POSTGRES[:1])).aclose()
        connection.execute("SET search_path TO vavasms")
        for statement in (*FUNCTIONS, *STATEMENTS):
            connection.execute(statement.encode())
    with pytest.raises(ConfigurationError, match="older vavasms: run `vavasms ledger migrate`"):
        await PostgresLedger.open(bare_postgres)
    async with await PostgresLedger.open(bare_postgres, upgrade=True) as ledger:
        await _goes_on(ledger)
    with psycopg.connect(bare_postgres) as connection:
        query = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'vavasms'::regnamespace AND prosrc ~ 'version 1'"
        assert connection.execute(query.encode()).fetchone() == (0,)


#: Dumps of ledgers that the version without single sends made: a campaign of three, the last queued to be sent again.
SAMPLES = Path(__file__).parents[1] / "samples"


async def _sends_too(ledger: Ledger) -> None:
    assert [batch.record.lot_id for batch in await ledger.batches("c", after=-1, limit=1)] == ["LOT"]
    await _goes_on(ledger, revision=1)
    new = NewSend(
        account="ops",
        key="k",
        recipients=(Msisdn("2250700000200"),),
        sender_id="ACME",
        segments=1,
        text="Bonjour",
    )
    made = await ledger.sends.begin(new, token="t", now=200.0)
    assert isinstance(made, SendClaim)
    assert await ledger.sends.settle(made, BatchEvent.ACCEPT, BatchRecord(), now=201.0)
    found = await ledger.sends.find("ops", "k")
    assert found is not None
    assert found.outcome is Outcome.ACCEPTED


async def test_a_file_that_the_version_before_made_takes_single_sends(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(connect(path)) as connection:
        connection.executescript((SAMPLES / "ledger_file.sql").read_text("utf-8"))
    with pytest.raises(ConfigurationError, match="older vavasms: run `vavasms ledger migrate`"):
        await SqliteLedger.open(path)
    async with await SqliteLedger.open(path, upgrade=True) as ledger:
        await _sends_too(ledger)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_database_that_the_version_before_made_takes_single_sends(bare_postgres: str) -> None:
    with psycopg.connect(bare_postgres, autocommit=True) as connection:
        connection.execute((SAMPLES / "ledger_database.sql").read_text("utf-8").encode())
    with pytest.raises(ConfigurationError, match="older vavasms: run `vavasms ledger migrate`"):
        await PostgresLedger.open(bare_postgres)
    async with await PostgresLedger.open(bare_postgres, upgrade=True) as ledger:
        await _sends_too(ledger)
