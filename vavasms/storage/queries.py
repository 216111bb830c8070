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


def reject_version(version: int, latest: int, *, upgrade: bool) -> str | None:
    """Return why a schema of this version cannot be used, None where it can."""
    if version > latest:
        return f"was written by a newer vavasms (version {version}, this one knows {latest}): upgrade vavasms"
    if 0 < version < latest and not upgrade:
        return "was written by an older vavasms: run `vavasms ledger migrate` first"
    return None


def load_queries(package: str, name: str) -> Mapping[str, str]:
    """Read the queries of a file, each below its line `-- name: …`."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {key: sql.strip() for key, sql in zip(parts[::2], parts[1::2], strict=True)}


def load_migrations(package: str, folder: str = ".") -> tuple[Migration, ...]:
    """Read the migrations of a package, or of a folder in it, in order: `0001_….sql`, `0002_….sql`, …"""
    migrations = [
        Migration(version=int(match[1]), sql=file.read_text(encoding="utf-8"))
        for file in files(package).joinpath(folder).iterdir()
        if (match := _MIGRATION.fullmatch(file.name))
    ]
    return tuple(sorted(migrations, key=lambda migration: migration.version))
