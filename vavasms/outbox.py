"""`enqueue` in the caller's own PostgreSQL transaction: the SMS goes out if that commits, and only then.

A web application writes an order and its SMS in one transaction; a `vavasms worker` sends what was committed.
In any other language it is one statement: `SELECT vavasms.enqueue('order-42', '+2250700000001', 'Bonjour')`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any

from attrs import frozen

from vavasms.errors import IdempotencyConflictError, InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.sends import check_key
from vavasms.numbers import check_region, parse_msisdn
from vavasms.tracebacks import hide_all_frames, hide_all_frames_async
from vavasms.wire.requests import draft_text

_NAMES = ("key", "recipient", "message", "sender_id", "not_before", "account")
_CALL = "SELECT vavasms.enqueue({}::text, {}::text, {}::text, {}::text, {}::timestamptz, {}::text)"
_DRIVER_SQL = _CALL.format(*["%s"] * len(_NAMES))
#: SQLAlchemy's own parameters; a colon that is doubled would be one of PostgreSQL's casts.
_SQLALCHEMY_SQL = (
    "SELECT vavasms.enqueue(CAST(:key AS text), CAST(:recipient AS text), CAST(:message AS text), "
    "CAST(:sender_id AS text), CAST(:not_before AS timestamptz), CAST(:account AS text))"
)
_KNOWN = N_(
    "psycopg's Connection and AsyncConnection, psycopg2's connection, SQLAlchemy's Connection, Session, "
    "AsyncConnection and AsyncSession, and Django's connection"
)
_CONFLICT, _FIRST_USED = "23505", "first used at "


@frozen
class _Values:
    """The arguments of the SQL function, checked."""

    by_name: Mapping[str, Any]

    @property
    def in_order(self) -> Sequence[Any]:
        return [self.by_name[name] for name in _NAMES]


@hide_all_frames
def enqueue(
    connection: Any,
    to: str,
    message: str,
    *,
    idempotency_key: str,
    sender_id: str | None = None,
    not_before: datetime | None = None,
    account: str | None = None,
    region: str = "CI",
) -> Any:
    """Enqueue one SMS by the caller's connection, in its transaction; return the number of its row.

    Of an async connection it returns an awaitable of that number. Nothing is sent here: a worker of the
    ledger does it after the commit, at once or from `not_before` on (with a time zone). May be repeated: one
    key stands for one message, and is sent once. `region` is the country of national numbers; without
    `account` it is the one whose workers serve the ledger, without `sender_id` that of the worker.

    Raises `InvalidInputError` for a number, a text, a sender or a key that could not be sent, before anything
    is asked of the database, and for a connection that is none of psycopg's, SQLAlchemy's or Django's;
    `IdempotencyConflictError` for a key that stands for something else, after which the transaction can only
    be rolled back; the driver's own errors for the rest, without their frames, which hold the text.
    """
    call = _find_call(connection)
    recipient = parse_msisdn(to, default_region=check_region(region))
    draft_text(message, "VavaSMS" if sender_id is None else sender_id)
    if not_before is not None and (not isinstance(not_before, datetime) or not_before.tzinfo is None):
        raise InvalidInputError(
            _("not_before is a datetime with a time zone. Nothing was enqueued."),
            error_code="input.not_before",
            argument="not_before",
        )
    values = [check_key(idempotency_key), str(recipient), message, sender_id, not_before, account]
    return call(connection, _Values(dict(zip(_NAMES, values, strict=True))))


def _find_call(connection: Any) -> Callable[[Any, _Values], Any]:
    """Return how a connection is called, by the library that its class comes from."""
    for cls in type(connection).__mro__:
        name = f"{cls.__module__.partition('.')[0]}.{cls.__name__}"
        if name in _CALLS:
            return _CALLS[name]
    raise InvalidInputError(
        _(
            "connection is of the type {type}: enqueue knows {known}. Nothing was enqueued.",
            type=type(connection).__name__,
            known=_(_KNOWN),
        ),
        error_code="input.connection",
        argument="connection",
    )


def _call_driver(connection: Any, values: _Values) -> int:
    vendor = getattr(connection, "vendor", "postgresql")
    if vendor != "postgresql":
        raise InvalidInputError(
            _(
                "connection is one of {vendor}, and enqueue writes into PostgreSQL. Nothing was enqueued.",
                vendor=vendor,
            ),
            error_code="input.connection",
            argument="connection",
        )
    try:
        with _open_cursor(connection) as cursor:
            cursor.execute(_DRIVER_SQL, values.in_order)
            return _read(cursor.fetchone())
    except Exception as error:
        conflict = _find_conflict(error)
        if conflict is None:
            raise
    # Outside the except block, here and below: the driver's error holds the text.
    raise conflict


@hide_all_frames_async
async def _call_async_driver(connection: Any, values: _Values) -> int:
    try:
        async with _open_cursor(connection) as cursor:
            await cursor.execute(_DRIVER_SQL, values.in_order)
            return _read(await cursor.fetchone())
    except Exception as error:
        conflict = _find_conflict(error)
        if conflict is None:
            raise
    raise conflict


def _call_sqlalchemy(connection: Any, values: _Values) -> int:
    statement = import_module("sqlalchemy").text(_SQLALCHEMY_SQL)
    try:
        return int(connection.execute(statement, dict(values.by_name)).scalar_one())
    except Exception as error:
        conflict = _find_conflict(error)
        if conflict is None:
            raise
    raise conflict


@hide_all_frames_async
async def _call_async_sqlalchemy(connection: Any, values: _Values) -> int:
    statement = import_module("sqlalchemy").text(_SQLALCHEMY_SQL)
    try:
        return int((await connection.execute(statement, dict(values.by_name))).scalar_one())
    except Exception as error:
        conflict = _find_conflict(error)
        if conflict is None:
            raise
    raise conflict


_CALLS: Mapping[str, Callable[[Any, _Values], int | Awaitable[int]]] = {
    "psycopg.Connection": _call_driver,
    "psycopg.AsyncConnection": _call_async_driver,
    "psycopg2.connection": _call_driver,
    "sqlalchemy.Connection": _call_sqlalchemy,
    "sqlalchemy.Session": _call_sqlalchemy,
    "sqlalchemy.scoped_session": _call_sqlalchemy,
    "sqlalchemy.AsyncConnection": _call_async_sqlalchemy,
    "sqlalchemy.AsyncSession": _call_async_sqlalchemy,
    "sqlalchemy.async_scoped_session": _call_async_sqlalchemy,
    # `django.db.connection` itself, and what `django.db.connections["…"]` holds.
    "django.ConnectionProxy": _call_driver,
    "django.BaseDatabaseWrapper": _call_driver,
}


def _open_cursor(connection: Any) -> Any:
    if not hasattr(connection, "row_factory"):
        return connection.cursor()
    # psycopg's own may make anything of a row, after it was written.
    return connection.cursor(row_factory=import_module("psycopg.rows").tuple_row)


def _read(row: Any) -> int:
    """Return the one value of a row, whatever rows the connection makes."""
    return int(next(iter(row.values())) if isinstance(row, Mapping) else row[0])


def _hide_statement(causes: Sequence[BaseException]) -> None:
    """Leave a driver's error the server's own sentence.

    Where the client binds the parameters (Django, psycopg2), libpq quotes them with the statement.
    """
    diagnostics = (getattr(getattr(cause, "diag", None), "message_primary", None) for cause in causes)
    sentence = next((text for text in diagnostics if isinstance(text, str)), None)
    if sentence is not None:
        for cause in causes:
            cause.args = (sentence,)


def _find_conflict(error: Exception) -> IdempotencyConflictError | None:
    """Return what the function says of a key; None for every other error, which shows no text from now on."""
    if hasattr(error, "hide_parameters"):
        # SQLAlchemy's words would end with the number and the text.
        error.hide_parameters = True
    if isinstance(orig := getattr(error, "orig", None), BaseException):
        orig.__traceback__ = None
    # SQLAlchemy and Django wrap the driver's; asyncpg has the detail on the error itself.
    causes = [one for one in (error, orig, error.__cause__, error.__context__) if one is not None]
    _hide_statement(causes)
    for cause in causes:
        code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        own = getattr(cause, "detail", None)
        detail = getattr(getattr(cause, "diag", None), "message_detail", own)
        if code == _CONFLICT and isinstance(detail, str) and detail.startswith(_FIRST_USED):
            return IdempotencyConflictError(
                _(
                    "idempotency_key stands for another text, sender or recipient: one key stands for one "
                    "message. Nothing was enqueued, and this transaction can only be rolled back."
                ),
                first_used_at=float(detail.removeprefix(_FIRST_USED)),
            )
    return None
