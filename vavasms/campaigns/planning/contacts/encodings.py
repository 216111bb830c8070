"""In which encoding a list was written: a mark decides; a record that is no UTF-8 is read as cp1252."""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO

from attrs import frozen

from vavasms.campaigns.planning.contacts.binary import read_chunk
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

#: UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Their text is full of zero bytes.
_WIDE = ("utf-16", "utf-32")
#: How the letters and signs of French in UTF-8 begin as cp1252, and bytes that are nothing in cp1252.
_find_doubtful = re.compile("[\u00c2\u00c3\u00c5\u00e2\udc80-\udcff]").search
#: All of such a pair: hardly a true text holds one.
_find_pair = re.compile(
    "[\u00c2\u00c3][^\x00-\x7f]|\u00c5[\u2019\u201c\u00b8]|\u00e2[\u20ac\u201a]|[\udc80-\udcff]"
).search
_find_escape = re.compile("[\udc80-\udcff]").search
_LEGACY = "cp1252"
_UTF8 = "utf-8"
_MARKED_UTF8 = "utf-8-sig"
#: Old files of a Mac have no line ends that bytes know.
_LONGEST_LINE = 1 << 16


@frozen(kw_only=True)
class FileEncoding:
    """How the bytes of a file become text."""

    #: As Python names it; what most records are in.
    name: str
    #: True where some bytes are no UTF-8: each record then has an encoding of its own.
    is_mixed: bool = False

    @property
    def shown(self) -> str:
        """The name without the sign for a mark."""
        return self.name.removesuffix("-sig")


def find_encoding(stream: BinaryIO, name: str, wanted: str | None = None) -> FileEncoding:
    """Read all of the file once, unless a mark or the caller names the encoding.

    Raises `InvalidInputError` for a file that is empty or no text, and for a name of no encoding.
    """
    _check_name(wanted)
    head = read_chunk(stream, name, len(codecs.BOM_UTF32_LE))
    stream.seek(0)
    if not head:
        raise InvalidInputError(_("{name} is empty. Nothing was sent.", name=name), error_code="list.empty")
    if head.startswith(b"%PDF"):
        raise InvalidInputError(
            _("{name} is a PDF, not a CSV file. Nothing was sent.", name=name), error_code="list.format"
        )
    mark = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)
    if mark in _WIDE:
        return FileEncoding(name=mark)
    if mark is None and wanted is not None and codecs.lookup(wanted).name != _UTF8:
        return FileEncoding(name=wanted)
    is_utf8 = _scan(stream, name)
    stream.seek(0)
    if is_utf8:
        return FileEncoding(name=mark or wanted or _MARKED_UTF8)
    if mark is not None or wanted is not None:
        return FileEncoding(name=_MARKED_UTF8, is_mixed=True)
    return FileEncoding(name=_weigh(stream), is_mixed=True)


def decode(stream: BinaryIO, encoding: FileEncoding) -> io.TextIOWrapper:
    """Read bytes as text, line ends untouched as `csv` wants them.

    Of a mixed file, bytes that are nothing are kept in half characters: `mend_record` makes letters of them.
    """
    errors = "surrogateescape" if encoding.is_mixed else "replace"
    return io.TextIOWrapper(stream, encoding=encoding.name, errors=errors, newline="")


def mend_record(record: list[str], encoding: FileEncoding) -> tuple[list[str], bool]:
    """Return a record of a mixed file in its own encoding, and whether that is not the file's."""
    text = "".join(record)
    if text.isascii():
        return record, False
    if encoding.name != _LEGACY:
        return ([_read_legacy(cell) for cell in record], True) if _find_escape(text) else (record, False)
    if not (_find_doubtful(text) and _find_pair(text)):
        return record, False
    # In a file of cp1252 `É…` is these two, not the letter that the two bytes are in UTF-8.
    return _read_doubtful(record)


def _read_legacy(cell: str) -> str:
    # Five bytes are nothing in cp1252: the plan tells of what stands in their place.
    return cell.encode(_UTF8, "surrogateescape").decode(_LEGACY, "replace")


def _read_doubtful(record: list[str]) -> tuple[list[str], bool]:
    cells = [cell.encode(_LEGACY, "surrogateescape") for cell in record]
    if all(map(_is_utf8, cells)):
        return [cell.decode(_UTF8) for cell in cells], True
    return [cell.decode(_LEGACY, "replace") for cell in cells], False


def _check_name(wanted: str | None) -> None:
    if wanted is None:
        return
    try:
        # Python also has codecs that make no text of bytes: `str.encode` refuses those.
        "tel".encode(wanted)
        b"tel".decode(wanted, "replace")
        return
    except (LookupError, ValueError, TypeError):
        pass
    raise InvalidInputError(
        _(
            "The encoding {encoding} is unknown: name it as Python does, such as utf-8, cp1252 or mac_roman. "
            "Nothing was sent.",
            encoding=repr(wanted),
        ),
        error_code="list.encoding",
    )


def _scan(stream: BinaryIO, name: str) -> bool:
    """Return whether all of the file is UTF-8. Raises `InvalidInputError` for a file that is no text."""
    decoder = codecs.getincrementaldecoder(_UTF8)()
    is_utf8 = True
    while chunk := read_chunk(stream, name):
        if b"\0" in chunk:
            raise InvalidInputError(
                _(
                    "{name} is a binary file, not a CSV file: save it as CSV first. Nothing was sent.",
                    name=name,
                ),
                error_code="list.format",
            )
        is_utf8 = is_utf8 and _decodes(decoder, chunk)
    return is_utf8 and _decodes(decoder, b"", final=True)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _weigh(stream: BinaryIO) -> str:
    """Return the encoding of most lines that are not plain ASCII; UTF-8 where as many are in either."""
    balance = 0
    while line := stream.readline(_LONGEST_LINE):
        if not line.isascii():
            balance += 1 if _is_utf8(line) else -1
    stream.seek(0)
    return _UTF8 if balance >= 0 else _LEGACY


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode(_UTF8)
    except UnicodeDecodeError:
        return False
    return True
