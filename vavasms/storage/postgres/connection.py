"""Connections to PostgreSQL that name nobody; the only module that imports psycopg.

What psycopg and its pool say of a connection (errors, logs, `repr`) holds parts of the connection string, and
what they say of a row holds its values: none of it goes further than this module.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Self

from vavasms.config import Secret, misconfigured
from vavasms.errors import ConfigurationError, LedgerError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.errors import InsufficientPrivilege
    from psycopg.errors import UniqueViolation as UniqueViolation
    from psycopg.rows import TupleRow
    from psycopg_pool import AsyncConnectionPool as AsyncConnectionPool
    from psycopg_pool import PoolTimeout
except ImportError:
    raise misconfigured(
        _("PostgreSQL needs more libraries: pip install 'vavasms[postgres]'."), "config.extra"
    ) from None

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
    "authentication failed": N_("it does not take this name and password"),
    "no password supplied": N_("it asks for a password"),
    "does not exist": N_("it knows no such user or database"),
    "no pg_hba.conf entry": N_("it does not let this user in from here"),
    "permission denied for database": N_("it does not let this user in"),
    "certificate verify failed": N_("its certificate is not trusted"),
    "does not support ssl": N_("it does not speak TLS"),
    "proactoreventloop": N_("on Windows it needs asyncio.SelectorEventLoop"),
}
_WHY = {
    "08": N_("the connection was lost"),
    "40": N_("another transaction was in the way"),
    "42501": N_("the user may not do this"),
    "25": N_("it cannot be written to"),
    "53": N_("the server is out of room or of connections"),
    "57014": N_("it took too long"),
    "57": N_("the server was stopped"),
    "23505": N_("it is there already"),
}

_UNREACHABLE = N_("it cannot be reached")
_LATE = N_("no answer in time")
_LOST = N_("the connection was lost")
_NO_VALUE = N_("no valid value")

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
    return next(reasons, _UNREACHABLE)


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
    raise misconfigured(
        _("The connection string cannot be read: postgresql://user@host/name."), "config.ledger_place"
    )


def list_hosts(url: Secret) -> Sequence[str]:
    """Return the names that are looked up for a connection: no sockets, none where addresses are given.

    Raises `ConfigurationError` for a connection string that cannot be read.
    """
    options = conninfo_to_dict(read_url(url).reveal())
    if options.get("hostaddr"):
        return ()
    hosts = str(options.get("host") or os.environ.get("PGHOST", ""))
    # A socket is a path, or has a name of Linux' own.
    return [host for host in hosts.split(",") if host and not host.startswith(("/", "@"))]


def refuse(error: psycopg.Error) -> ConfigurationError | LedgerError:
    """Return why a database was not opened."""
    if isinstance(error, InsufficientPrivilege):
        return misconfigured(
            _(
                "The user of this database may not use or make its tables: run `vavasms ledger migrate` as "
                "their owner."
            ),
            "ledger.no_rights",
        )
    why = str(error) if error.sqlstate is None else _why(error)
    if why in _REFUSALS.values():
        return misconfigured(
            _("The PostgreSQL server turned us away: {why}.", why=_(why)), "ledger.turned_away"
        )
    known = _UNREACHABLE if error.sqlstate is None else why
    return LedgerError(
        _("The PostgreSQL server is not at hand ({why}): nothing was sent.", why=_(known)),
        error_code="ledger.unreachable",
    )


def explain(error: Exception) -> LedgerError:
    """Return one sentence on what PostgreSQL could not do, without a word of its own."""
    return LedgerError(_("The database did not take it ({why}): nothing more is sent.", why=_(_why(error))))


def _why(error: Exception) -> str:
    """Return what went wrong, in English."""
    if isinstance(error, TimeoutError | PoolTimeout):
        return _LATE
    code = getattr(error, "sqlstate", None)
    if code is None:
        return _LOST if isinstance(error, psycopg.OperationalError) else _NO_VALUE
    return next((reason for prefix, reason in _WHY.items() if code.startswith(prefix)), f"SQLSTATE {code}")
