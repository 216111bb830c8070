"""Files and pipes as bytes that can be read twice, and the one sentence for what cannot be read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from vavasms.errors import InvalidInputError

_CHUNK = 1 << 20
#: How spreadsheets begin: the new ones are archives; the old ones, and new ones with a password, are not.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def refusal(name: str, sentence: str) -> InvalidInputError:
    """Build the error of a file that is of no use."""
    return InvalidInputError(f"{name} {sentence}. Nothing was sent.")


def open_binary(source: Path | BinaryIO, name: str) -> BinaryIO:
    """Open a file so that it can be read twice; a pipe is kept in a temporary file, beyond 1 MiB on disk."""
    if not isinstance(source, Path):
        return source if source.seekable() else _spool(source)
    try:
        return source.open("rb")
    except FileNotFoundError:
        reason = "does not exist"
    except IsADirectoryError:
        reason = "is a folder, not a file"
    except PermissionError:  # pragma: no cover  root may read everything, and CI is root
        # Windows says so of a folder, too.
        reason = "is a folder, not a file" if source.is_dir() else "may not be read by this user"
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise refusal(name, reason)


def is_spreadsheet(stream: BinaryIO, name: str) -> bool:
    """Return whether the file begins like a spreadsheet, and go back to its start."""
    head = read_chunk(stream, name, len(_SPREADSHEETS[0]))
    stream.seek(0)
    return head.startswith(_SPREADSHEETS)


def _spool(source: BinaryIO) -> BinaryIO:
    spool = tempfile.SpooledTemporaryFile(max_size=_CHUNK)  # noqa: SIM115  the caller closes it
    while chunk := source.read(_CHUNK):
        spool.write(chunk)
    spool.seek(0)
    return cast(BinaryIO, spool)


def read_chunk(stream: BinaryIO, name: str, size: int = _CHUNK) -> bytes:
    """Read up to `size` bytes. Raises `InvalidInputError` where a disk or a share fails."""
    try:
        return stream.read(size)
    except OSError as error:
        reason = error.strerror
    raise refusal(name, f"cannot be read ({reason})")
