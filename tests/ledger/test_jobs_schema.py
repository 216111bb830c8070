"""Two schemas in one database: made together, upgraded when asked, used with little right, named to nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.campaigns.crew import ask, muster, until
from tests.campaigns.staging import Stage, accepted, connect, phones, stall
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.workers.worker import CampaignWorker
from vavasms.config import Secret
from vavasms.errors import ConfigurationError, InvalidInputError, LedgerError
from vavasms.ledger.postgres.ledger import MIGRATIONS, PostgresLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import SandboxServer
from vavasms.storage.postgres.database import PostgresDatabase

pytestmark = pytest.mark.anyio

PASSWORD = "s3cr3t-pass"
STEPS = sorted(each.name for each in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
NEWER = "99.00.00_01_pre_something.sql"
#: What the role of a worker needs, and no more. For the user's handbook: keep it word for word.
GRANTS = (
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA vavasms, vavasms_jobs TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vavasms, vavasms_jobs TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA vavasms, vavasms_jobs TO {role}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vavasms, vavasms_jobs TO {role}",
)


@pytest.fixture
def anyio_backend() -> str:
    """psycopg and procrastinate are for asyncio."""
    return "asyncio"


@pytest.fixture
def url(bare_postgres: str) -> str:
    return bare_postgres


async def opened(url: str, *, upgrade: bool = False) -> None:
    async with await PostgresLedger.open(url, upgrade=upgrade):
        pass


def schemas(url: str) -> list[str]:
    # The inbound store has one of its own.
    rows = ask(url, "SELECT nspname FROM pg_namespace WHERE nspname ~ '^vavasms(_jobs)?$' ORDER BY nspname")
    return [name for (name,) in rows]


def steps(url: str) -> list[str]:
    return [step for (step,) in ask(url, "SELECT step FROM vavasms.jobs_step ORDER BY step")]


async def test_both_schemas_are_made(url: str) -> None:
    await opened(url)
    await opened(url)
    assert schemas(url) == ["vavasms", "vavasms_jobs"]
    assert steps(url) == STEPS[-1:]


async def test_many_that_open_a_new_database_at_once_make_each_schema_once(url: str) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(partial(opened, url))
    assert steps(url) == STEPS[-1:]


async def test_where_the_second_schema_cannot_be_made_neither_is(url: str) -> None:
    ask(url, "CREATE SCHEMA vavasms_jobs; CREATE TABLE vavasms_jobs.procrastinate_jobs (x INTEGER)")
    with pytest.raises(ConfigurationError, match="`vavasms_jobs` is not ours"):
        await opened(url, upgrade=True)
    assert schemas(url) == ["vavasms_jobs"]
    assert ask(url, "SELECT relname FROM pg_class WHERE relnamespace = 'vavasms_jobs'::regnamespace") == [
        ("procrastinate_jobs",)
    ]


async def test_an_empty_second_schema_is_taken(url: str) -> None:
    ask(url, "CREATE SCHEMA vavasms_jobs")
    await opened(url)
    assert steps(url) == STEPS[-1:]


async def test_jobs_of_a_newer_procrastinate_are_refused_untouched(url: str) -> None:
    await opened(url)
    ask(url, "INSERT INTO vavasms.jobs_step (step) VALUES (%s)", NEWER)
    for upgrade in (False, True):
        with pytest.raises(ConfigurationError, match="newer procrastinate: upgrade it"):
            await opened(url, upgrade=upgrade)
    assert steps(url) == [STEPS[-1], NEWER]


async def test_jobs_of_an_older_procrastinate_are_upgraded_when_asked(url: str) -> None:
    await opened(url)
    # The last step makes anew what is there: it can be taken twice.
    ask(url, "UPDATE vavasms.jobs_step SET step = %s", STEPS[-2])
    function = "vavasms_jobs.procrastinate_trigger_function_status_events_update_v1"
    before = ask(url, f"SELECT '{function}'::regproc::oid")
    with pytest.raises(ConfigurationError, match="older procrastinate: run `vavasms ledger migrate`"):
        await opened(url)
    assert steps(url) == STEPS[-2:-1]
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(partial(opened, url, upgrade=True))
    assert steps(url) == STEPS[-2:]
    assert ask(url, f"SELECT '{function}'::regproc::oid") != before
    await opened(url)


@pytest.fixture
def role(url: str) -> Iterator[tuple[str, str]]:
    """Yield the name of a role that may do nothing, and its connection string."""
    name = f"{conninfo_to_dict(url)['dbname']}_worker"
    ask(url, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    ask(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield name, make_conninfo(url, user=name, password=PASSWORD)
    ask(url, f"DROP OWNED BY {name}; DROP ROLE {name}")


def grant(url: str, role: str) -> None:
    """Grant a role what a worker's needs."""
    for each in GRANTS:
        ask(url, each.format(database=conninfo_to_dict(url)["dbname"], role=role))


async def test_a_role_of_little_right_submits_and_works_and_makes_no_tables(
    url: str, role: tuple[str, str], sandbox: SandboxServer, tmp_path: Path
) -> None:
    name, lowly = role
    with pytest.raises(ConfigurationError, match="as their owner"):
        await opened(lowly)
    await opened(url)
    grant(url, name)
    async with muster(lowly, sandbox, tmp_path, owner=url) as crew:
        campaign_id = await crew.start(
            8, batch_size=2, rate=1000.0, daily_cap=3, budget=Decimal(100), unit_price=Decimal(1)
        )
        async with crew.work(1):
            run = await crew.stage.runner.run(campaign_id)
        dropped = await crew.stage.submit(phones(2, 20))
        assert await crew.ledger.cancel(dropped, "enough")
        await crew.ledger.purge(dropped)
        with pytest.raises(InvalidInputError, match=campaign_id):
            await crew.stage.submit(8)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 8)


async def test_that_role_makes_and_drops_nothing(url: str, role: tuple[str, str]) -> None:
    name, lowly = role
    await opened(url)
    grant(url, name)
    making = [f"CREATE TABLE {each}.more (x INTEGER)" for each in ("vavasms", "vavasms_jobs", "public")]
    for forbidden in (*making, "CREATE SCHEMA more", "DROP TABLE vavasms.batch", "TRUNCATE vavasms.batch"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(lowly, forbidden)


def listen(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "psycopg", "psycopg.pool", "procrastinate", "vavasms", "asyncio"):
        caplog.set_level(logging.DEBUG, name)


def shown_by(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Yield what a log could hold of each record: its text, its fields, its traceback."""
    yield caplog.text
    for record in caplog.records:
        yield repr(vars(record))


async def test_a_wrong_password_shows_nothing_of_itself(
    url: str,
    caplog: pytest.LogCaptureFixture,
    all_tracebacks: Callable[[BaseException], Iterator[str]],
) -> None:
    listen(caplog)
    wrong = make_conninfo(url, user="s3cr3t-user", password=PASSWORD)
    with pytest.raises(ConfigurationError) as caught:
        await PostgresLedger.open(wrong)
    for shown in (*all_tracebacks(caught.value), *shown_by(caplog)):
        assert not [each for each in (PASSWORD, "s3cr3t-user") if each in shown]


async def is_out(ledger: PostgresLedger) -> bool:
    """Return whether the ledger takes nothing any more."""
    with suppress(LedgerError):
        await ledger.opted_out()
        return False
    return True


async def test_a_worker_whose_server_goes_away_shows_nothing_of_where_it_was(
    url: str,
    role: tuple[str, str],
    sandbox: SandboxServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    all_tracebacks: Callable[[BaseException], Iterator[str]],
) -> None:
    name, lowly = role
    await opened(url)
    grant(url, name)
    listen(caplog)
    stall(sandbox, 0.2)
    errors: list[BaseException] = []
    # Of a short patience: what it cannot reach it says soon.
    database = await PostgresDatabase.open(
        Secret(lowly), MIGRATIONS, search_path="vavasms_jobs", connections=4, patience=0.3
    )
    async with (
        PostgresLedger(database) as ledger,
        connect(sandbox) as sms,
        CampaignRunner(sms, ledger) as runner,
        anyio.create_task_group() as tasks,
    ):
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(40, batch_size=1)
        assert await ledger.start(campaign_id)
        worker = CampaignWorker(sms, ledger, concurrency=4)
        tasks.start_soon(worker.run)
        await accepted(sandbox, 2)
        with caplog.at_level(logging.INFO, "psycopg"):
            ask(url, f"ALTER ROLE {name} NOLOGIN")
            ask(url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", name)
        await until(partial(is_out, ledger))
        for call in (ledger.opted_out, partial(runner.run, campaign_id)):
            with pytest.raises(LedgerError) as caught:
                await call()
            errors.append(caught.value)
        reprs = [repr(each) for each in (worker, ledger, vars(worker), vars(ledger), database)]
        reprs += [repr(worker._maintenance), repr(worker._maintenance.job_worker)]
        with caplog.at_level(logging.INFO, "psycopg"):
            ask(url, f"ALTER ROLE {name} LOGIN")
        worker.stop()
    log = [*shown_by(caplog)]
    assert any("did not take it" in each for each in log)
    shown = [*log, *reprs, *(traceback for error in errors for traceback in all_tracebacks(error))]
    for secret in (PASSWORD, name, str(conninfo_to_dict(url)["host"])):
        assert not [each for each in shown if secret in each]
