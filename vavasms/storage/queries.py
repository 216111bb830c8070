"""SQL in files: queries with names and comments, and migrations that are only ever added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from attrs import frozen

from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@frozen(kw_only=True)
class Migration:
    """One step of a schema, from the version before."""

    #: The version that the schema has after it.
    version: int
    sql: str


class VersionFault(NamedTuple):
    """Why a schema cannot be used: the end of a sentence, and the code of its error."""

    reason: Sentence
    error_code: str


def reject_version(version: int, latest: int, *, upgrade: bool) -> VersionFault | None:
    """Return why a schema of this version cannot be used, None where it can."""
    if version > latest:
        reason = _(
            "was written by a newer vavasms (version {version}, this one knows {latest}): upgrade vavasms",
            version=str(version),
            latest=str(latest),
        )
        return VersionFault(reason, "ledger.newer")
    if 0 < version < latest and not upgrade:
        reason = _("was written by an older vavasms: run `vavasms ledger migrate` first")
        return VersionFault(reason, "ledger.older")
    return None


def load_queries(package: str, name: str) -> Mapping[str, str]:
    """Read the queries of a file, each below its line `-- name: …`."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    _head, *parts = _NAME.split(text)
    return {key: sql.strip() for key, sql in zip(parts[::2], parts[1::2], strict=True)}


def load_migrations(package: str, folder: str = ".") -> tuple[Migration, ...]:
    """Read the migrations of a package, or of a folder in it, in order: `0001_….sql`, `0002_….sql`, …"""
    # In a zip file there is no folder ".".
    root = files(package) if folder == "." else files(package).joinpath(folder)
    migrations = [
        Migration(version=int(match[1]), sql=file.read_text(encoding="utf-8"))
        for file in root.iterdir()
        if (match := _MIGRATION.fullmatch(file.name))
    ]
    return tuple(sorted(migrations, key=lambda migration: migration.version))
