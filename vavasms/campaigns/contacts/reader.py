"""Records to contacts: the phone column found, the other columns kept, several numbers in a cell parted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, BinaryIO, Self

from attrs import field, frozen

from vavasms.campaigns.contacts import columns, csvfile
from vavasms.config import misconfigured

Records = Iterator[tuple[int, list[str]]]
#: Row, phone and cells of a contact.
Line = tuple[int, str, tuple[str, ...]]

#: Nearly every number: there is nothing to part.
_match_plain = re.compile(r"[0-9+ .()-]*").fullmatch
#: What parts several numbers in one cell.
_SEPARATORS = re.compile(r"[/,;|\n\r]+|\s(?:ou|or|et|and)\s|\s&\s", re.IGNORECASE)
_COLUMNS_SHOWN = 10


@frozen(kw_only=True)
class Contact:
    """One recipient of a contact list, as the file has it."""

    #: The row as a spreadsheet counts it, from 1; a row with several numbers makes several contacts.
    row: int
    #: The number as it was written.
    phone: str = field(repr=False)
    #: The cells of the row, the phone's too, one for each column; empty where the file is a plain list.
    cells: tuple[str, ...] = field(repr=False, default=())
    _names: tuple[str, ...] = field(repr=False, default=())

    @property
    def columns(self) -> Mapping[str, str]:
        """The cells by the names of their columns."""
        # Made when asked: half of the time of reading would go into it.
        return MappingProxyType(dict(zip(self._names, self.cells, strict=True)))


class ContactList:
    """The contacts of one file: a context manager to iterate over, once."""

    def __init__(
        self, stream: BinaryIO | IO[str], records: Records, *, names: tuple[str, ...], phone: int | None
    ) -> None:
        self._stream = stream
        self._records = records
        #: The names of the columns; empty where the file is a plain list of numbers.
        self.columns = names
        self._phone = phone

    @property
    def phone_column(self) -> str | None:
        """The name of the column that holds the numbers; None where the file is a plain list."""
        return None if self._phone is None else self.columns[self._phone]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Contact]:
        names = self.columns
        for row, phone, cells in self._lines():
            yield Contact(row=row, phone=phone, cells=cells, names=names)

    def chunks(self, size: int = 200) -> Iterator[list[Line]]:
        """Give the same as plain tuples, row, phone and cells, in lists of `size`: twice as fast.

        Lists much longer than that wake Python's collector of garbage, and are slower.
        """
        lines = self._lines()
        while chunk := list(islice(lines, size)):
            yield chunk

    def _lines(self) -> Iterator[Line]:
        phone, width = self._phone, len(self.columns)
        cells: tuple[str, ...] = ()
        for row, record in self._records:
            if phone is None:
                text = ";".join(filter(None, record))
            else:
                cells = tuple(record if len(record) == width else _fit(record, width))
                text = cells[phone]
            if text.isdecimal() or _match_plain(text):
                yield row, text, cells
                continue
            for part in split_numbers(text):
                yield row, part, cells


def read_contacts(
    source: Path | BinaryIO, *, phone_column: str | None = None, sheet: str | None = None
) -> ContactList:
    """Open a contact list: CSV or a spreadsheet (XLSX) with a header, or one number a line.

    Delimiter (`,` `;` tab `|`) and encoding (UTF-8, else cp1252) are found out; a CSV is never whole in
    memory, and is read twice. `phone_column` names the column where its name does not say phone, `sheet` the
    sheet where it is not the first that holds anything. Raises `InvalidInputError` before the first contact
    for whatever is no such file, `ConfigurationError` for a spreadsheet without the extra `xlsx`.
    """
    name = f"The file {columns.disarm(str(source))}" if isinstance(source, Path) else "The standard input"
    stream = csvfile.open_binary(source, name)
    try:
        if csvfile.is_spreadsheet(stream, name):
            return _open_sheet(stream, name, phone_column, sheet)
        if sheet is not None:
            raise csvfile.refusal(name, "is no spreadsheet and has no sheets")
        return _open_text(stream, name, phone_column)
    except BaseException:
        stream.close()
        raise


def split_numbers(text: str) -> tuple[str, ...]:
    """Part a cell that holds several numbers; a text where only one part is a number stays whole."""
    parts = tuple(part.strip() for part in _SEPARATORS.split(text) if part.strip())
    whole = all(sum(map(str.isdecimal, part)) >= columns.DIGITS_OF_A_NUMBER for part in parts)
    return parts if parts and whole else (text,)


def _open_sheet(stream: BinaryIO, name: str, phone_column: str | None, sheet: str | None) -> ContactList:
    if find_spec("python_calamine") is None:
        raise misconfigured("A spreadsheet needs its extra: pip install 'vavasms[xlsx]', or save it as CSV.")
    # Here, for the extra may be missing.
    from vavasms.campaigns.contacts import xlsxfile

    return _arrange(stream, xlsxfile.read_sheet(stream, name, sheet), name, phone_column)


def _open_text(stream: BinaryIO, name: str, phone_column: str | None) -> ContactList:
    text = csvfile.decode(stream, csvfile.find_encoding(stream, name))
    delimiter = csvfile.find_delimiter(text, lambda header: _rate(header, phone_column))
    return _arrange(text, csvfile.read_records(text, delimiter, name), name, phone_column)


def _arrange(
    stream: BinaryIO | IO[str], records: Records, name: str, phone_column: str | None
) -> ContactList:
    """Take the first record as the header, or as the first number of a plain list."""
    first = next(records, None)
    if first is None:
        raise csvfile.refusal(name, "is empty")
    header = first[1]
    phone = _locate(header, phone_column)
    if phone is None and phone_column is None and columns.is_data(header):
        following = list(islice(records, 1))
        if any(columns.find_phone_column(cells) is not None for _, cells in following):
            raise csvfile.refusal(
                name, f"has its header in row {following[0][0]}: remove what stands above it"
            )
        return ContactList(stream, chain([first], following, records), names=(), phone=None)
    if phone is None:
        what = "that is named like a phone number" if phone_column is None else repr(phone_column)
        shown = _show(header)
        raise csvfile.refusal(
            name, f"has no column {what}: its columns are {shown}. Name it: phone_column=… (`--phone-column`)"
        )
    second = next(records, None)
    if second is None:
        raise csvfile.refusal(name, "has a header and no rows")
    return ContactList(stream, chain([second], records), names=columns.unique_names(header), phone=phone)


def _fit(record: list[str], width: int) -> list[str]:
    """Fill a short row with empty cells, and cut off a long one what stands under no name."""
    return record[:width] + [""] * (width - len(record))


def _locate(header: list[str], wanted: str | None) -> int | None:
    if wanted is None:
        return columns.find_phone_column(header)
    return columns.find_named_column(header, wanted)


def _rate(header: list[str], wanted: str | None) -> float:
    """Prefer the header where fewer words surround the phone's: `tel` to `prénom;tel`."""
    found = _locate(header, wanted)
    return 0.0 if found is None else 1 / max(len(columns.cut_words(header[found])), 1)


def _show(header: list[str]) -> str:
    """List the columns; of a first row that is data, nothing personal."""
    if any(columns.is_data([cell]) for cell in header):
        return f"{len(header)} without names (its first row is data: give it a header)"
    names = [columns.show_name(name) for name in columns.unique_names(header)]
    more = ", …" if len(names) > _COLUMNS_SHOWN else ""
    return ", ".join(names[:_COLUMNS_SHOWN]) + more
