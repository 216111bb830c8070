"""Where campaigns are kept: a file, or a database by its connection string, which is a secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl

from vavasms.config import Secret, misconfigured

Place: TypeAlias = Path | Secret

_SCHEMES = ("postgresql://", "postgres://")
# What is meant as a connection string, though libpq or we read it otherwise: never a file, and never shown.
_OTHER_STRINGS = re.compile(r"://|^postgres(ql)?:|\b(pass\w*|host\w*|dbname)\s*=", re.IGNORECASE)
# Of libpq's parameters, and of those that other programs have.
_SECRETS = re.compile(r"pass(?!file)|secret|scram|pwd", re.IGNORECASE)


def read_place(text: str) -> Place:
    """Tell a database from a file.

    Raises `ConfigurationError` for a connection string that is not one of PostgreSQL, in words of ours.
    """
    if text.startswith(_SCHEMES):
        return Secret(text)
    if not _OTHER_STRINGS.search(text):
        return Path(text)
    del text
    raise misconfigured("The ledger is the path of a file, or postgresql://user@host/name.")


def check_given(text: str) -> str:
    """Refuse a password in an option."""
    if not holds_password(text):
        return text
    del text
    raise misconfigured(
        "The process list would show the password that --ledger holds: put the connection string in "
        "VAVASMS_LEDGER, or leave the password to PGPASSWORD or ~/.pgpass."
    )


def holds_password(text: str) -> bool:
    """Say whether a connection string has a password in it, as far as any reader of such may see one."""
    _, scheme, rest = text.partition("://")
    if not scheme:
        return "=" in text and any(_SECRETS.search(name) for name in re.findall(r"(\w+)\s*=", text))
    # A password may hold all that ends one in a URL, where it was not encoded as it should be.
    user, at, _ = rest.rpartition("@")
    _, _, query = rest.partition("?")
    password = user.partition(":")[2] if at else ""
    return bool(password) or any(_SECRETS.search(name) for name, _ in parse_qsl(query))
