"""Files and pipes as bytes that can be read twice."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from vavasms.campaigns.planning.contacts.columns import disarm
from vavasms.errors import InvalidInputError
from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _

_CHUNK = 1 << 20
#: How spreadsheets begin: the new ones are archives; the old ones, and new ones with a password, are not.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

#: Excel keeps a file of this name beside one that is open.
_OPEN_MARK = "~$"


def open_binary(source: Path | BinaryIO, name: str) -> BinaryIO:
    """Open a file so that it can be read twice; a pipe is kept in a temporary file, beyond 1 MiB on disk."""
    if not isinstance(source, Path):
        return source if source.seekable() else _spool(source)
    if source.name.startswith(_OPEN_MARK):
        raise InvalidInputError(
            _(
                "{name} is Excel's own temporary file: take {other}. Nothing was sent.",
                name=name,
                other=disarm(source.name.removeprefix(_OPEN_MARK)),
            ),
            error_code="list.format",
        )
    try:
        return source.open("rb")
    except FileNotFoundError:
        sentence, code = _("{name} does not exist. Nothing was sent.", name=name), "list.not_found"
    except IsADirectoryError:
        sentence, code = _is_folder(name), "list.not_found"
    except PermissionError:  # pragma: no cover  root may read everything, and CI is root
        sentence = _(
            "{name} cannot be read: close it where it is open in Excel, or see whether you may read it. "
            "Nothing was sent.",
            name=name,
        )
        # Windows says so of a folder, too.
        sentence, code = (_is_folder(name) if source.is_dir() else sentence), "list.unreadable"
    except (OSError, ValueError) as error:
        sentence, code = _unreadable(name, getattr(error, "strerror", None) or str(error)), "list.unreadable"
    raise InvalidInputError(sentence, error_code=code)


def copy_stream(source: BinaryIO) -> tuple[BinaryIO, BinaryIO]:
    """Return two copies of a stream from where it stands, beyond 1 MiB on disk; it stays open."""
    first = _spool(source)
    second = _spool(first)
    first.seek(0)
    return first, second


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
    raise InvalidInputError(_unreadable(name, reason), error_code="list.unreadable")


def _is_folder(name: str) -> Sentence:
    return _("{name} is a folder, not a file. Nothing was sent.", name=name)


def _unreadable(name: str, reason: str | None) -> Sentence:
    return _("{name} cannot be read ({reason}). Nothing was sent.", name=name, reason=str(reason))
