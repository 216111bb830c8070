"""How far a sheet of an XLSX reaches: the library makes room for each cell up to there before it gives any.

A word that strayed into the last column of a list of thousands would take gigabytes, and what cannot be had
ends the whole process.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import reduce
from typing import IO, BinaryIO
from xml.etree import ElementTree as ET

from attrs import frozen

#: So many cells are read, a gigabyte of them; of a sheet with 64 columns or fewer any number.
MOST_CELLS = 1 << 25
_CHUNK = 1 << 20
#: No cell's start tag is longer.
_LONGEST_TAG = 256
#: The start tag of a cell that holds anything; an empty one ends with a slash. Columns from the 65th, BM, on.
_find_far = re.compile(rb' r="(?:[A-Z]{3}|[C-Z][A-Z]|B[M-Z])[0-9]{1,7}"[^>/]*>').search
_find_cells = re.compile(rb' r="([A-Z]{1,3})([0-9]{1,7})"[^>/]*>').findall
_BOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"


@frozen
class Corner:
    """The last row and column of a sheet that hold anything."""

    row: int
    column: str


def find_far_corner(stream: BinaryIO, sheet: str) -> Corner | None:
    """Return the corner of a sheet that is too large to be read; None for any other.

    None as well for what is no XLSX as the usual programs write it. The place in the stream is kept.
    """
    place = stream.tell()
    try:
        with zipfile.ZipFile(stream) as archive:
            return _measure(archive, _find_part(archive, sheet))
    except Exception:  # noqa: BLE001  whatever is wrong with it, the library says
        return None
    finally:
        stream.seek(place)


def _find_part(archive: zipfile.ZipFile, sheet: str) -> str:
    links = {link.get("Id"): link.get("Target", "") for link in _read_xml(archive, _LINKS)}
    element = next(each for each in _read_xml(archive, _BOOK).iter() if each.get("name") == sheet)
    link = next(value for name, value in element.attrib.items() if name.endswith("}id"))
    return "xl/" + links[link].lstrip("/").removeprefix("xl/")


def _read_xml(archive: zipfile.ZipFile, name: str) -> ET.Element:
    # Expat has refused entities that multiply since 2.4.1; both parts are short.
    return ET.fromstring(archive.read(name))  # noqa: S314


def _measure(archive: zipfile.ZipFile, part: str) -> Corner | None:
    with archive.open(part) as content:
        if not any(map(_find_far, _windows(content))):
            return None
    letters: set[bytes] = set()
    first, last = 1 << 20, 0
    with archive.open(part) as content:
        for cells in filter(None, map(_find_cells, _windows(content))):
            letters.update(letter for letter, _ in cells)
            # Each row once: there is a cell of each column.
            rows = {*map(int, {row for _, row in cells})}
            first, last = min(first, *rows), max(last, *rows)
    columns = sorted([letter.decode() for letter in letters], key=_number)
    width = _number(columns[-1]) - _number(columns[0]) + 1
    return Corner(last, columns[-1]) if (last - first + 1) * width > MOST_CELLS else None


def _windows(content: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes in pieces, each with the end of the one before: a tag may lie across."""
    tail = b""
    while chunk := content.read(_CHUNK):
        yield tail + chunk
        tail = chunk[-_LONGEST_TAG:]


def _number(letters: str) -> int:
    """Return the number of a column: 1 for A, 28 for AB."""
    return reduce(lambda number, letter: number * 26 + ord(letter) - ord("A") + 1, letters, 0)
