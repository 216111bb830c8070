"""Where something is kept: a file, or a database by its connection string, which is a secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from vavasms.config import Secret, misconfigured
from vavasms.i18n import gettext as _

Place: TypeAlias = Path | Secret

_SCHEMES = ("postgresql://", "postgres://")
# What is meant as a connection string, though libpq or we read it otherwise: never a file, and never shown.
_OTHER_STRINGS = re.compile(
    r"://|^[a-z][a-z+]+:/|^postgres(ql)?:|\b(pass\w*|host\w*|dbname)\s*=", re.IGNORECASE
)


def read_place(text: str, name: str = "ledger") -> Place:
    """Return a database or a file; a `~` before it is the home, as in a shell.

    Raises `ConfigurationError` for a connection string that is not one of PostgreSQL, and for no text at all,
    in words of ours that begin with the argument's `name`.
    """
    if not text:
        raise misconfigured(_("{name} is empty: give the path of a file.", name=name), "config.ledger_place")
    if text.startswith(_SCHEMES):
        return Secret(text)
    if not _OTHER_STRINGS.search(text):
        try:
            return Path(text).expanduser()
        except RuntimeError:
            # This machine knows no home: the system says what there is.
            return Path(text)
    del text
    raise misconfigured(
        _("{name} is the path of a file, or postgresql://user@host/name.", name=name), "config.ledger_place"
    )


def is_there(path: Path) -> bool:
    """Return whether there is a file or folder. Raises `OSError` where the system cannot tell.

    From Python 3.14 on `Path.exists` returns False for that as well: of a folder that may not be entered, of
    a name that is too long.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return True
