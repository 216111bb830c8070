"""The file of a database: nobody else's to read, made so before the first byte is written."""

from __future__ import annotations

import ctypes
import logging
import os
import stat
import struct
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from vavasms.config import misconfigured
from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

logger = logging.getLogger("vavasms")

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: What systems and SQLite say most often, for the catalogue: `_` finds the French of what they say.
SYSTEM_WORDS = (
    N_("Permission denied"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Is a directory"),
    N_("No space left on device"),
    N_("Read-only file system"),
    N_("Disk quota exceeded"),
    N_("File name too long"),
    N_("Input/output error"),
    N_("Too many open files"),
    N_("database is locked"),
    N_("database or disk is full"),
    N_("database disk image is malformed"),
    N_("disk I/O error"),
    N_("attempt to write a readonly database"),
    N_("unable to open database file"),
    N_("file is not a database"),
)


def resolve(path: str | Path) -> Path:
    """Return the one name of a file, every link followed; it need not be there.

    Raises `ConfigurationError` for what names no file, `LedgerError` for links that lead nowhere.
    """
    if str(path) in ("", ".", ":memory:"):
        raise misconfigured(_("{name} names no file.", name=repr(str(path))), "config.ledger_place")
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        why = type(error).__name__
    raise LedgerError(
        _("The file {name} cannot be found: {why}.", name=repr(str(path)), why=why), error_code="ledger.file"
    )


def make_private(path: Path) -> None:
    """Create the file where there is none: mode 0600, in a folder of mode 0700 if that is made too.

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
    raise LedgerError(
        _("The file {path} cannot be made: {why}.", path=path, why=_(why)), error_code="ledger.file"
    )


def _warn_of_others(path: Path) -> None:
    if os.name == "posix" and path.is_file() and path.stat().st_mode & _OTHERS:
        logger.warning(N_("Others on this machine can read %s: chmod 600 it."), path)


#: Whole numbers of SQLite have a sign.
_MOST = 0x7FFF_FFFF_FFFF_FFFF
#: Of Linux' `statx`: the folder one is in, a descriptor without a name, the time of birth, where that stands.
_HERE, _NO_NAME, _BIRTH, _AT = -100, 0x1000, 0x800, 80
_ROOM = 256


def file_id(file: Path | int) -> int:
    """Return the identity of a file, by path or descriptor: the inode's number where births are unknown.

    Raises `OSError` where there is none.
    """
    status = os.fstat(file) if isinstance(file, int) else file.stat()
    born = getattr(status, "st_birthtime", None) or _ask_linux(file)
    if not born:
        return status.st_ino & _MOST
    return int.from_bytes(sha256(f"{status.st_ino} {born}".encode()).digest()[:8]) & _MOST


def _ask_linux(file: Path | int) -> str:
    """Return the time of birth, which Python does not tell; empty where the system does not know it."""
    if sys.platform != "linux":  # pragma: no cover
        return ""
    folder, name, flags = (file, b"", _NO_NAME) if isinstance(file, int) else (_HERE, os.fsencode(file), 0)
    buffer = ctypes.create_string_buffer(_ROOM)
    # Some C library has no such function.
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).statx(folder, name, flags, _BIRTH, buffer) == 0:
            (mask,) = struct.unpack_from("I", buffer)
            seconds, parts = struct.unpack_from("qI", buffer, _AT)
            return f"{seconds}.{parts}" if mask & _BIRTH else ""
    return ""
