"""SQL in files: queries with names and comments, and migrations that are only ever added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

from attrs import frozen

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@frozen(kw_only=True)
class Migration:
    """One step of a schema, from the version before."""

    #: The version that the schema has after it.
    version: int
    sql: str


def load_queries(package: str, name: str) -> Mapping[str, str]:
    """Read the queries of a file, each below its line `-- name: …`."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {key: sql.strip() for key, sql in zip(parts[::2], parts[1::2], strict=True)}


def load_migrations(package: str) -> tuple[Migration, ...]:
    """Read the migrations of a package in order: `0001_….sql`, `0002_….sql`, …"""
    found = [(match, each) for each in files(package).iterdir() if (match := _MIGRATION.fullmatch(each.name))]
    migrations = [
        Migration(version=int(match[1]), sql=each.read_text(encoding="utf-8")) for match, each in found
    ]
    return tuple(sorted(migrations, key=lambda migration: migration.version))
