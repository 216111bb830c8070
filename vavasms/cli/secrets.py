"""Passwords in a connection string: the process list shows an option."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from vavasms.config import misconfigured
from vavasms.i18n import gettext as _

# Of libpq's parameters, and of those that other programs have.
_SECRETS = re.compile(r"pass(?!file)|secret|scram|pwd", re.IGNORECASE)


def check_option(text: str) -> str:
    """Return the value of an option. Raises `ConfigurationError` where it holds a password."""
    if not holds_password(text):
        return text
    del text
    raise misconfigured(
        _(
            "The process list would show the password that --ledger holds: put the connection string in "
            "VAVASMS_LEDGER, or leave the password to PGPASSWORD or ~/.pgpass."
        ),
        "config.password_shown",
    )


def holds_password(text: str) -> bool:
    """Return whether a connection string has a password in it, as far as any reader of such may see one."""
    _, scheme, rest = text.partition("://")
    if not scheme:
        return "=" in text and any(_SECRETS.search(name) for name in re.findall(r"(\w+)\s*=", text))
    # A password may hold all that ends one in a URL, where it was not encoded as it should be.
    user, at, _ = rest.rpartition("@")
    _, _, query = rest.partition("?")
    password = user.partition(":")[2] if at else ""
    return bool(password) or any(_SECRETS.search(name) for name, _ in parse_qsl(query))
