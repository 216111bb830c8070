"""The file of a database: nobody else's to read, made so before the first byte is written."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from vavasms.config import misconfigured
from vavasms.errors import LedgerError

logger = logging.getLogger("vavasms")

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def resolve(path: str | Path) -> Path:
    """Give the one name of a file, every link followed; it need not be there.

    Raises `ConfigurationError` for what names no file, `LedgerError` for links that lead nowhere.
    """
    if str(path) in ("", ".", ":memory:"):
        raise misconfigured(f"{str(path)!r} names no file.")
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        why = type(error).__name__
    raise LedgerError(f"The file {str(path)!r} cannot be found: {why}.")


def make_private(path: Path) -> None:
    """Make the file where there is none: mode 0600, in a folder of mode 0700 if that is made too.

    SQLite gives its own files beside it the same mode. Logs a warning where others can read an old one.
    Raises `LedgerError` where it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        _warn_of_others(path)
        return
    except OSError as error:
        why = error.strerror or type(error).__name__
    else:
        return
    raise LedgerError(f"The file {path} cannot be made: {why}.")


def _warn_of_others(path: Path) -> None:
    if os.name == "posix" and path.is_file() and path.stat().st_mode & _OTHERS:
        logger.warning("Others on this machine can read %s: chmod 600 it.", path)
