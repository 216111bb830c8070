"""CSV as people's spreadsheets write it: which encoding, which delimiter, and its records one by one."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from vavasms.errors import InvalidInputError

DELIMITERS = (",", ";", "\t", "|")
#: No text holds it: a record is one cell.
UNDIVIDED = "\x1f"

_CHUNK = 1 << 20
_SAMPLE = 1 << 16
_SAMPLE_ROWS = 50
#: How spreadsheets begin: the new ones are archives; the old ones, and new ones with a password, are not.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
#: Files that are brought by mistake, by how they begin.
_SIGNATURES = {
    b"%PDF": "is a PDF, not a CSV file",
    codecs.BOM_UTF16_LE: "is UTF-16 text: save it as CSV UTF-8 first",
    codecs.BOM_UTF16_BE: "is UTF-16 text: save it as CSV UTF-8 first",
}


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
        why = "does not exist"
    except IsADirectoryError:
        why = "is a folder, not a file"
    except PermissionError:  # pragma: no cover  root may read everything, and CI is root
        # Windows says so of a folder, too.
        why = "is a folder, not a file" if source.is_dir() else "may not be read by this user"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise refusal(name, why)


def is_spreadsheet(stream: BinaryIO, name: str) -> bool:
    """Say whether the file begins like a spreadsheet, and go back to its start."""
    head = _read(stream, name, len(_SPREADSHEETS[0]))
    stream.seek(0)
    return head.startswith(_SPREADSHEETS)


def find_encoding(stream: BinaryIO, name: str) -> str:
    """Read all of the file once: UTF-8 (with or without a mark) where it is, cp1252 otherwise.

    Raises `InvalidInputError` for a file that is empty or no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    first = True
    encoding = "utf-8-sig"
    while chunk := _read(stream, name):
        if first:
            _check_signature(chunk, name)
            first = False
        if b"\0" in chunk:
            raise refusal(name, "is a binary file, not a CSV file: save it as CSV first")
        if encoding == "utf-8-sig" and not _decodes(decoder, chunk):
            encoding = "cp1252"
    if first:
        raise refusal(name, "is empty")
    if encoding == "utf-8-sig" and not _decodes(decoder, b"", final=True):
        encoding = "cp1252"
    stream.seek(0)
    return encoding


def find_delimiter(text: IO[str], rate: Callable[[list[str]], float]) -> str:
    """Choose the delimiter that makes the best header of the first line, then the most even lines.

    `rate` says how good a header is, 0 for none. `UNDIVIDED` where nothing parts the first line.
    """
    sample = text.read(_SAMPLE)
    text.seek(0)
    lines = [line for line in sample.splitlines() if line.strip()][:_SAMPLE_ROWS]
    if not lines:
        return UNDIVIDED
    scores = {delimiter: _score(lines, delimiter, rate) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best][-1] > 1 else UNDIVIDED


def read_records(text: IO[str], delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Give each record that holds anything, with its row as a spreadsheet counts it, from 1.

    Raises `InvalidInputError` at a quote that is never closed: the rest of the file would be one cell.
    """
    row = 0
    why = ""
    try:
        for row, record in enumerate(csv.reader(text, delimiter=delimiter, strict=True), start=1):
            if record and (record[0] or any(record)):
                yield row, record
    except csv.Error:
        why = f'has a quotation mark " out of place in row {row + 1}: close it, or remove it'
    if why:
        raise refusal(name, why)


def _spool(source: BinaryIO) -> BinaryIO:
    spool = tempfile.SpooledTemporaryFile(max_size=_CHUNK)  # noqa: SIM115  the caller closes it
    while chunk := source.read(_CHUNK):
        spool.write(chunk)
    spool.seek(0)
    return cast(BinaryIO, spool)


def _read(stream: BinaryIO, name: str, size: int = _CHUNK) -> bytes:
    try:
        return stream.read(size)
    except OSError as error:
        # A disk or a share that fails.
        why = error.strerror
    raise refusal(name, f"cannot be read ({why})")


def _check_signature(chunk: bytes, name: str) -> None:
    for signature, sentence in _SIGNATURES.items():
        if chunk.startswith(signature):
            raise refusal(name, sentence)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _score(lines: list[str], delimiter: str, rate: Callable[[list[str]], float]) -> tuple[float, float, int]:
    """Rate a delimiter: how good a header it makes, the share of lines as wide as that, its width."""
    records = list(csv.reader(lines, delimiter=delimiter))
    width = len(records[0])
    if width < 2:
        return 0.0, 0.0, width
    alike = sum(len(record) == width for record in records)
    return rate(records[0]), alike / len(records), width


def decode(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Read bytes as text, line ends untouched as `csv` wants them."""
    # Five bytes are nothing in cp1252: replaced, as they never stand in a number.
    return io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
