"""Which server a connection string and one of `DATABASES` mean, as far as they say so themselves."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import frozen

#: The options of a connection that libpq takes (PostgreSQL 18, section 32.1.2), but for `client_encoding`,
#: which is always UTF-8, and `replication`. What else `OPTIONS` of a database may hold is Django's own
#: (`assume_role`, `isolation_level`, `pool`, `server_side_binding`) or the driver's (`prepare_threshold`, …).
LIBPQ_OPTIONS = frozenset(
    [
        "application_name",
        "channel_binding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "gsslib",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "options",
        "passfile",
        "password",
        "port",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "service",
        "servicefile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslkeylogfile",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ]
)


@frozen
class Server:
    """What of a connection can be compared; what is empty is the same default for both."""

    host: str
    port: str
    user: str
    name: str


def find_server(url: str) -> Server | None:
    """Return the server of a connection string; None where it does not say for certain."""
    if "://" not in url:
        return None
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname or "", parts.port or "", parts.username or ""
    except ValueError:
        # Several ports, as libpq takes them, or none at all.
        return None
    if "," in parts.netloc:
        return None
    own = {"host": host, "port": str(port), "user": user, "dbname": parts.path.lstrip("/")}
    more = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return _make(more | {name: unquote(value) for name, value in own.items() if value})


def find_server_of(database: dict[str, Any]) -> Server | None:
    """Return the server of one of `DATABASES`; None where it does not say for certain."""
    return _make(find_options(database))


def find_options(database: dict[str, Any]) -> dict[str, str]:
    """Return what libpq is told of one of `DATABASES`, with its password."""
    options = database.get("OPTIONS") or {}
    parts = {
        "dbname": database.get("NAME"),
        # As Django has it: of `OPTIONS` the name counts more, and nothing else.
        **{name: value for name, value in options.items() if name in LIBPQ_OPTIONS},
        **{
            name: database[key]
            for name, key in (("user", "USER"), ("password", "PASSWORD"), ("host", "HOST"), ("port", "PORT"))
            if database.get(key)
        },
    }
    return {name: str(value) for name, value in parts.items() if value not in (None, "")}


def _make(options: dict[str, str]) -> Server | None:
    host, name = options.get("host", ""), options.get("dbname", "")
    # A service is a file's word for anything, an address is where a host is not, and one of several servers
    # is known to who has connected.
    if not name or "service" in options or "hostaddr" in options or "," in host:
        return None
    default = "" if "PGPORT" in os.environ or "PGSERVICE" in os.environ else "5432"
    return Server(host, options.get("port") or default, options.get("user", ""), name)
