"""The identity of a file, which a copy of it has not: its inode's number, which is given again once a file is
gone, and when that inode was made.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

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
    """Ask for what Python does not tell; empty where the system or the file system does not know it."""
    if sys.platform != "linux":  # pragma: no cover
        return ""
    folder, name, flags = (file, b"", _NO_NAME) if isinstance(file, int) else (_HERE, os.fsencode(file), 0)
    found = ctypes.create_string_buffer(_ROOM)
    # Some C library has no such function.
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).statx(folder, name, flags, _BIRTH, found) == 0:
            (mask,) = struct.unpack_from("I", found)
            seconds, parts = struct.unpack_from("qI", found, _AT)
            return f"{seconds}.{parts}" if mask & _BIRTH else ""
    return ""
