"""Connections to PostgreSQL that name nobody; the only module that imports psycopg.

What psycopg and its pool say of a connection (errors, logs, `repr`) holds parts of the connection string, and
what they say of a row holds its values: none of it goes further than this module.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any, Self

from vavasms.config import Secret, misconfigured
from vavasms.errors import ConfigurationError, LedgerError

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.errors import InsufficientPrivilege
    from psycopg.errors import UniqueViolation as UniqueViolation
    from psycopg.rows import TupleRow
    from psycopg_pool import AsyncConnectionPool as AsyncConnectionPool
    from psycopg_pool import PoolTimeout
except ImportError:
    raise misconfigured("PostgreSQL needs more libraries: pip install 'vavasms[postgres]'.") from None

Error = psycopg.Error

#: Sockets that went dead are found out within some 20 seconds. What the connection string says comes first.
_BOUNDS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
#: By the words of the server or of libpq; they have no code before there is a connection.
_REFUSALS = {
    "authentication failed": "it does not take this name and password",
    "no password supplied": "it asks for a password",
    "does not exist": "it knows no such user or database",
    "no pg_hba.conf entry": "it does not let this user in from here",
    "permission denied for database": "it does not let this user in",
    "certificate verify failed": "its certificate is not trusted",
    "does not support ssl": "it does not speak TLS",
}
_WHY = {
    "08": "the connection was lost",
    "40": "another transaction was in the way",
    "42501": "the user may not do this",
    "25": "it cannot be written to",
    "53": "the server is out of room or of connections",
    "57014": "it took too long",
    "57": "the server was stopped",
    "23505": "it is there already",
}

_connecting: ContextVar[bool] = ContextVar("vavasms_connecting", default=False)


class Connection(psycopg.AsyncConnection[TupleRow]):
    """A connection that does not show where it leads."""

    def __repr__(self) -> str:
        return "<a connection to PostgreSQL>"

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect. Raises `psycopg.OperationalError` in words of ours."""
        before = _connecting.set(True)
        try:
            return await super().connect(conninfo, **options)
        except psycopg.Error as error:
            why = _refusal(str(error))
        finally:
            _connecting.reset(before)
            del conninfo
        raise psycopg.OperationalError(why)


def _unnamed(record: logging.LogRecord) -> bool:
    """Leave out what psycopg logs of our attempts to connect: it names the host and the user."""
    del record
    return not _connecting.get()


logging.getLogger("psycopg").addFilter(_unnamed)


def _refusal(text: str) -> str:
    reasons = (reason for phrase, reason in _REFUSALS.items() if phrase in text.lower())
    return next(reasons, "it cannot be reached")


def is_alive(connection: Connection) -> bool:
    """Return whether an idle connection is open yet, without asking the server."""
    try:
        # The first reading may find its farewell, the second one the end.
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
        return True
    except Error:
        return False


def read_url(url: Secret) -> Secret:
    """Read a connection string, and put bounds to every wait.

    Raises `ConfigurationError` where it cannot be read.
    """
    try:
        options = conninfo_to_dict(url.reveal(), application_name="vavasms")
        return Secret(make_conninfo(**{**_BOUNDS, **{name: str(value) for name, value in options.items()}}))
    except (psycopg.Error, ValueError):
        pass
    raise misconfigured("The connection string cannot be read: postgresql://user@host/name.")


def refuse(error: psycopg.Error) -> ConfigurationError | LedgerError:
    """Return why a database was not opened."""
    if isinstance(error, InsufficientPrivilege):
        return misconfigured(
            "The user of this database may not use or make its tables: run `vavasms ledger migrate` as their "
            "owner."
        )
    why = str(error) if error.sqlstate is None else _why(error)
    if why in _REFUSALS.values():
        return misconfigured(f"The PostgreSQL server turned us away: {why}.")
    known = "it cannot be reached" if error.sqlstate is None else why
    return LedgerError(f"The PostgreSQL server is not at hand ({known}): nothing was sent.")


def explain(error: Exception) -> LedgerError:
    """Return one sentence on what PostgreSQL could not do, without a word of its own."""
    return LedgerError(f"The database did not take it ({_why(error)}): nothing more is sent.")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError | PoolTimeout):
        return "no answer in time"
    code = getattr(error, "sqlstate", None)
    if code is None:
        return "the connection was lost" if isinstance(error, psycopg.OperationalError) else "no valid value"
    return next((reason for prefix, reason in _WHY.items() if code.startswith(prefix)), f"SQLSTATE {code}")
