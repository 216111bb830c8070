"""`vavasms.outbox.enqueue` and the SQL function: in the caller's transaction, over every connection it names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row, scalar_row
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.django_settings import configure_django
from tests.frames import locals_of
from vavasms.errors import IdempotencyConflictError, InvalidInputError, InvalidNumberError
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sends import NewSend
from vavasms.ledger.states import BatchState
from vavasms.numbers import Msisdn
from vavasms.outbox import enqueue

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

TO, TEXT = "+2250700000101", "Votre commande 42 est partie"
Do = Callable[[Any], Any]
Open = Callable[[str], Any]


@pytest.fixture
async def ledger(postgres: str) -> AsyncIterator[PostgresLedger]:
    async with await PostgresLedger.open(postgres) as ledger:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.orders (id INTEGER PRIMARY KEY)")
            connection.execute("TRUNCATE public.orders")
        await ledger.sends.serve("ops")
        yield ledger


def _driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@asynccontextmanager
async def _plain(url: str, **options: Any) -> AsyncIterator[Any]:
    with psycopg.connect(url, **options) as connection:
        yield connection


@asynccontextmanager
async def _async(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection


@asynccontextmanager
async def _alchemy(url: str) -> AsyncIterator[Any]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Any]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    try:
        with Session(engine) as session, session.begin():
            yield session
    finally:
        engine.dispose()


@asynccontextmanager
async def _scoped_session(url: str) -> AsyncIterator[Any]:
    """Yield what Flask-SQLAlchemy has as `db.session`."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    session = scoped_session(sessionmaker(engine))
    try:
        yield session
        session.commit()
    finally:
        session.remove()
        engine.dispose()


@asynccontextmanager
async def _async_session(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(
        "postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(url)
    )
    try:
        async with AsyncSession(engine) as session, session.begin():
            yield session
    finally:
        await engine.dispose()


@asynccontextmanager
async def _django(url: str) -> AsyncIterator[Any]:
    from django.db.backends.postgresql.base import DatabaseWrapper

    configure_django()
    parameters = psycopg.conninfo.conninfo_to_dict(url)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    defaults: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "PASSWORD": "",
        "PORT": "",
        "OPTIONS": {},
        "TIME_ZONE": None,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "AUTOCOMMIT": True,
    }
    wrapper = DatabaseWrapper({**defaults, **{names[key]: value for key, value in parameters.items()}})
    try:
        wrapper.set_autocommit(False)
        yield wrapper
        wrapper.commit()
    finally:
        wrapper.close()


CONNECTIONS: dict[str, Open] = {
    "psycopg": _plain,
    "psycopg with rows as dicts": lambda url: _plain(url, row_factory=dict_row),
    "psycopg with rows as numbers": lambda url: _plain(url, row_factory=scalar_row),
    "async psycopg": _async,
    "SQLAlchemy's connection": _alchemy,
    "SQLAlchemy's session": _session,
    "SQLAlchemy's scoped session": _scoped_session,
    "SQLAlchemy's async session": _async_session,
    "Django": _django,
}


@pytest.fixture(params=CONNECTIONS)
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Open:
    # Django's own connections are for code without await; a test may wait for one.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    return CONNECTIONS[request.param]


async def put(connection: Any, *, key: str = "order-42", text: str = TEXT, **options: Any) -> int:
    number = enqueue(connection, options.pop("to", TO), text, idempotency_key=key, **options)
    return int(await number if isinstance(number, Awaitable) else number)


async def test_it_is_there_once_the_caller_commits(
    ledger: PostgresLedger, postgres: str, connect: Open
) -> None:
    async with connect(postgres) as connection:
        number = await put(connection)
        assert await put(connection) == number
        assert await ledger.sends.find("ops", "order-42") is None
    record = await ledger.sends.find("ops", "order-42")
    assert record is not None
    assert (record.state, record.text, record.recipients) == (
        BatchState.QUEUED,
        TEXT,
        (Msisdn("2250700000101"),),
    )
    (claim,) = await ledger.sends.claim_due("ops", token="t", now=record.created_at + 1, limit=5)
    assert (claim.segments, claim.sender_id, claim.text) == (1, None, TEXT)


async def test_it_is_gone_where_the_caller_rolls_back(
    ledger: PostgresLedger, postgres: str, connect: Open
) -> None:
    class RolledBackError(Exception):
        pass

    with pytest.raises(RolledBackError):
        async with connect(postgres) as connection:
            await put(connection)
            raise RolledBackError
    assert await ledger.sends.find("ops", "order-42") is None


async def test_a_key_that_stands_for_something_else_is_a_conflict(
    ledger: PostgresLedger, postgres: str, connect: Open
) -> None:
    async with connect(postgres) as connection:
        await put(connection)
    first = await ledger.sends.find("ops", "order-42")
    assert first is not None
    with pytest.raises(IdempotencyConflictError) as raised:
        async with connect(postgres) as connection:
            await put(connection, text="Autre chose")
    assert raised.value.first_used_at == pytest.approx(first.created_at)
    assert "commande" not in str(raised.value)
    assert (await ledger.sends.find("ops", "order-42")) == first


async def test_python_and_sql_agree_on_what_a_key_stands_for(ledger: PostgresLedger, postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute("SELECT vavasms.enqueue('k', '+225 07.00-00.01.01', %s, 'ACME')", [TEXT])
        enqueue(connection, "0700000101", TEXT, idempotency_key="k", sender_id="ACME")
    same = NewSend(
        account="ops", key="k", recipients=(Msisdn("2250700000101"),), sender_id="ACME", segments=1, text=TEXT,
        is_enqueued=True,
    )  # fmt: skip
    assert (await ledger.sends.enqueue(same, now=1.0)).state is BatchState.QUEUED


async def test_it_waits_until_it_is_due(ledger: PostgresLedger, postgres: str) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    with psycopg.connect(postgres) as connection:
        enqueue(connection, TO, TEXT, idempotency_key="later", not_before=due)
    now = await ledger.now()
    assert await ledger.sends.claim_due("ops", token="t", now=now + 3599 - 60, limit=5) == []
    assert len(await ledger.sends.claim_due("ops", token="t", now=now + 3601, limit=5)) == 1


async def test_what_came_to_nothing_is_begun_anew(ledger: PostgresLedger, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        number = enqueue(connection, TO, TEXT, idempotency_key="k")
        connection.execute("UPDATE vavasms.send SET state = 'rejected', settled_at = 5, attempt = 3")
        assert enqueue(connection, TO, "Un autre texte", idempotency_key="k") == number
    record = await ledger.sends.find("ops", "k")
    assert record is not None
    assert (record.state, record.text, record.attempts) == (BatchState.QUEUED, "Un autre texte", 0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"key": ""}, "key is a text of 1 to 255"),
        ({"key": "a" * 256}, "key is a text of 1 to 255"),
        ({"key": "a\nb"}, "key is a text of 1 to 255"),
        ({"key": None}, "key is a text of 1 to 255"),
        ({"recipient": "0700000101"}, "no mobile number"),
        ({"recipient": "22507000001"}, "no mobile number"),
        ({"recipient": "+2252700000101"}, "no mobile number"),
        ({"recipient": "abc"}, "no mobile number"),
        ({"recipient": None}, "no mobile number"),
        ({"message": " \n"}, "message is empty"),
        ({"message": None}, "message is empty"),
        ({"message": "x" * 40_000}, "message is empty, longer"),
        ({"message": "a\x07b"}, "control characters"),
        ({"key": "a\u200bb"}, "key is a text of 1 to 255"),
        ({"sender_id": "ACME "}, "sender ID"),
        ({"sender_id": "AB"}, "sender ID"),
        ({"sender_id": "TWELVELETTER"}, "sender ID"),
        ({"sender_id": "Café"}, "sender ID"),
    ],
)
async def test_sql_refuses_what_could_not_be_sent(
    ledger: PostgresLedger, postgres: str, values: dict[str, Any], words: str
) -> None:
    given = {"key": "k", "recipient": TO, "message": TEXT, "sender_id": None, **values}
    with psycopg.connect(postgres) as connection, pytest.raises(psycopg.errors.DatabaseError, match=words):
        connection.execute(
            "SELECT vavasms.enqueue(%(key)s, %(recipient)s, %(message)s, %(sender_id)s)", given
        )
    assert await ledger.sends.records(None, states=tuple(BatchState), since=0.0, limit=5) == []


async def test_an_error_of_the_database_shows_neither_number_nor_text(
    ledger: PostgresLedger, postgres: str, connect: Open
) -> None:
    await ledger.sends.serve("sales")
    async with connect(postgres) as connection:
        with pytest.raises(Exception, match="2 accounts are served") as raised:
            await put(connection)
        result = connection.rollback()
        if isinstance(result, Awaitable):
            await result
    assert type(raised.value).__name__ in ("InvalidParameterValue", "DataError")
    shown = locals_of(raised.value, but=__file__)
    assert TEXT not in shown
    assert TO[1:] not in shown


async def test_nor_does_the_database_quote_them_where_the_client_binds_them(postgres: str) -> None:
    """As Django does, before the first worker made the schema: libpq shows the place in the statement."""
    server = psycopg.conninfo.make_conninfo(postgres, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(
        server, cursor_factory=psycopg.AsyncClientCursor
    ) as connection:
        with pytest.raises(psycopg.Error, match="does not exist") as raised:
            await put(connection)
    with (
        psycopg.connect(server, cursor_factory=psycopg.ClientCursor) as plain,
        pytest.raises(psycopg.Error, match="does not exist") as in_sync,
    ):
        await put(plain)
    for error in (raised.value, in_sync.value):
        assert TO[1:5] not in str(error)
        assert "order-42" not in repr(error)


async def test_without_an_account_it_is_the_one_that_is_served(ledger: PostgresLedger, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        await ledger.sends.serve("sales")
        with pytest.raises(psycopg.errors.DatabaseError, match="2 accounts are served"):
            enqueue(connection, TO, TEXT, idempotency_key="k")
        enqueue(connection, TO, TEXT, idempotency_key="k", account="sales")
        connection.execute("TRUNCATE vavasms.served_account")
        with pytest.raises(psycopg.errors.DatabaseError, match="0 accounts are served"):
            enqueue(connection, TO, TEXT, idempotency_key="k2")
    assert await ledger.sends.find("sales", "k") is not None


def test_python_refuses_before_the_database_is_asked(anyio_backend: str) -> None:
    connection: Any = type("Connection", (), {"__module__": "psycopg"})()
    for arguments, error in (
        (("07", TEXT), InvalidNumberError),
        ((TO, ""), InvalidInputError),
    ):
        with pytest.raises(error):
            enqueue(connection, *arguments, idempotency_key="k")
    for key, sender_id in (("", None), ("k", "no")):
        with pytest.raises(InvalidInputError):
            enqueue(connection, TO, TEXT, idempotency_key=key, sender_id=sender_id)
    with pytest.raises(InvalidInputError, match="time zone"):
        enqueue(connection, TO, TEXT, idempotency_key="k", not_before=datetime(2026, 12, 1))  # noqa: DTZ001


@pytest.mark.parametrize("connection", [None, object(), "postgresql://"], ids=["none", "object", "url"])
def test_a_connection_that_nobody_knows_is_told_the_known_ones(
    anyio_backend: str, connection: object
) -> None:
    with pytest.raises(InvalidInputError, match=r"psycopg's Connection.*SQLAlchemy's.*Django's connection"):
        enqueue(connection, TO, TEXT, idempotency_key="k")
