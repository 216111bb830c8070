"""Records to contacts: the phone column found, the other columns kept, several numbers in a cell parted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, BinaryIO

from attrs import define, evolve, field, frozen

from vavasms.campaigns.planning.contacts import columns, csvfile
from vavasms.campaigns.planning.contacts.binary import is_spreadsheet, open_binary
from vavasms.campaigns.planning.contacts.encodings import decode, find_encoding
from vavasms.campaigns.planning.contacts.header import find_place, is_header
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import Argument, Sentence
from vavasms.i18n import gettext as _

Records = Iterator[tuple[int, list[str]]]
#: Row, phone and cells of a contact.
Line = tuple[int, str, tuple[str, ...]]

#: Nearly every number: there is nothing to part.
_match_plain = re.compile(r"[0-9+ .()-]*").fullmatch
_COLUMNS_SHOWN = 10
_PHONE_COLUMN = Argument.make("phone_column=…", "--phone-column")
#: Records that are looked at before the first contact.
_HEAD = 50
#: Of a header that says phone only for want of anything else.
_RATE_OF_VAGUE = 0.1
#: Why a row is refused that has cells beyond its header: what stands where cannot be known.
TOO_MANY_CELLS = "too_many_cells"


@frozen(kw_only=True)
class Contact:
    """One recipient of a contact list, as the file has it."""

    #: The row as a spreadsheet counts it, from 1; a row with several numbers makes several contacts.
    row: int
    #: The number as it was written.
    phone: str = field(repr=False)
    #: The cells of the row, the phone's too, one for each column; empty where the file is a plain list.
    #: More than columns where the row has cells beyond its header.
    cells: tuple[str, ...] = field(repr=False, default=())
    _names: tuple[str, ...] = field(repr=False, default=())

    @property
    def columns(self) -> Mapping[str, str]:
        """The cells by the names of their columns."""
        # Made when asked: half of the time of reading would go into it.
        return MappingProxyType(dict(zip(self._names, self.cells, strict=False)))

    @property
    def fault(self) -> str | None:
        """Why the row cannot be read, whatever its number: `too_many_cells`; None where it can."""
        return TOO_MANY_CELLS if len(self.cells) > len(self._names) else None


@define
class PassedOver:
    """How many rows were passed over, for not holding what was asked for."""

    count: int = 0


@frozen(kw_only=True, eq=False)
class ContactList(AbstractContextManager["ContactList"]):
    """The contacts of one file: a context manager to iterate over, once."""

    stream: BinaryIO | IO[str] = field(repr=False)
    records: Records = field(repr=False)
    #: The names of the columns; empty where the file is a plain list of numbers.
    columns: tuple[str, ...] = ()
    #: The position of the phone column; None where the file is a plain list.
    phone_index: int | None = None
    #: The encoding of the file, as Python names it; None for a spreadsheet.
    encoding: str | None = None
    #: The name of the sheet that is read; None where the file is no spreadsheet.
    sheet: str | None = None
    #: The records read so far that were not in the file's encoding.
    strays: csvfile.Strays = field(factory=csvfile.Strays)
    #: Whether a row is read, by its cells; None: each one.
    keeps: Callable[[Sequence[str]], bool] | None = field(default=None, repr=False)
    #: The rows so far that were not.
    passed_over: PassedOver = field(factory=PassedOver)

    @property
    def phone_column(self) -> str | None:
        """The name of the column that holds the numbers; None where the file is a plain list."""
        return None if self.phone_index is None else self.columns[self.phone_index]

    def __exit__(self, *_error: object) -> None:
        self.stream.close()

    def __iter__(self) -> Iterator[Contact]:
        names = self.columns
        for row, phone, cells in self._lines():
            yield Contact(row=row, phone=phone, cells=cells, names=names)

    def chunks(self, size: int = 200) -> Iterator[list[Line]]:
        """Yield the same as plain tuples, row, phone and cells, in lists of `size`: twice as fast.

        Lists much longer than that wake Python's collector of garbage, and are slower.
        """
        lines = self._lines()
        while chunk := list(islice(lines, size)):
            yield chunk

    def _lines(self) -> Iterator[Line]:
        phone, width, keeps = self.phone_index, len(self.columns), self.keeps
        cells: tuple[str, ...] = ()
        for row, record in self.records:
            if phone is None:
                text = ";".join(filter(None, record))
            else:
                cells = tuple(record if len(record) == width else _fit(record, width))
                text = cells[phone]
            if keeps is not None and not keeps(cells):
                self.passed_over.count += 1
                continue
            if text.isdecimal() or _match_plain(text):
                yield row, text, cells
                continue
            if text.strip() in columns.NO_VALUES:
                text = ""
            for part in columns.split_numbers(text):
                yield row, part, cells


def read_contacts(
    source: Path | BinaryIO,
    *,
    phone_column: str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
) -> ContactList:
    """Open a contact list: CSV or a spreadsheet (XLSX) with a header, or one number a line.

    Delimiter (`,` `;` tab `|`) and encoding are found out: UTF-16 by its mark, UTF-8, and cp1252 for each
    record that is no UTF-8. Titles above the header are passed over. A CSV is never whole in memory, and is
    read twice. `phone_column` names the column where it is not found, `sheet` the sheet where it is not the
    first that holds anything, `encoding` what cannot be found out, such as `mac_roman` or `cp850`. Raises
    `InvalidInputError` before the first contact for whatever is no such file, `ConfigurationError` for a
    spreadsheet without the extra `xlsx`.
    """
    name = _("The standard input")
    if isinstance(source, Path):
        name = _("The file {path}", path=columns.disarm(str(source)))
    stream = open_binary(source, name)
    try:
        if is_spreadsheet(stream, name):
            if encoding is not None:
                raise InvalidInputError(
                    _("{name} is a spreadsheet, whose encoding is known. Nothing was sent.", name=name),
                    error_code="list.encoding",
                )
            return _open_sheet(stream, name, phone_column, sheet)
        if sheet is not None:
            raise InvalidInputError(
                _("{name} is no spreadsheet and has no sheets. Nothing was sent.", name=name),
                error_code="list.sheet",
            )
        return _open_text(stream, name, phone_column, encoding)
    except BaseException:
        stream.close()
        raise


def _open_sheet(stream: BinaryIO, name: str, phone_column: str | None, sheet: str | None) -> ContactList:
    if find_spec("python_calamine") is None:
        raise misconfigured(
            _("A spreadsheet needs its extra: pip install 'vavasms[xlsx]', or save it as CSV."),
            "config.extra",
        )
    # Here, for the extra may be missing.
    from vavasms.campaigns.planning.contacts import xlsxfile

    title, records = xlsxfile.read_sheet(stream, name, sheet)
    return _arrange(ContactList(stream=stream, records=records, sheet=title), name, phone_column)


def _open_text(stream: BinaryIO, name: str, phone_column: str | None, wanted: str | None) -> ContactList:
    encoding = find_encoding(stream, name, wanted)
    text = decode(stream, encoding)
    lines = csvfile.read_sample(text, name, encoding)
    delimiter = csvfile.find_delimiter(lines, lambda header: _rate(header, phone_column))
    strays = csvfile.Strays()
    records = csvfile.read_records(text, delimiter, name, encoding, strays)
    contacts = ContactList(stream=text, records=records, encoding=encoding.shown, strays=strays)
    return _arrange(contacts, name, phone_column)


def _arrange(contacts: ContactList, name: str, phone_column: str | None) -> ContactList:
    """Find the header, below titles, or take the first record as the first number of a plain list."""
    head = list(islice(contacts.records, _HEAD))
    if head and csvfile.is_declaration(head[0][1]):
        del head[0]
    if not head:
        raise InvalidInputError(
            _("{name} is empty. Nothing was sent.", name=_name_table(contacts, name)), error_code="list.empty"
        )
    place = find_place([cells for _row, cells in head], phone_column)
    if place is None and phone_column is None and columns.is_data(head[0][1]):
        return evolve(contacts, records=chain(head, contacts.records))
    if place is None:
        sentence = _say_no_column(name, head[0][1], phone_column)
        raise InvalidInputError(sentence, error_code="list.phone_column")
    names = columns.unique_names(head[place.index][1])
    if place.rival is not None:
        first, second = sorted((place.column, place.rival))
        raise InvalidInputError(
            _(
                "{name} has two columns full of numbers, {first} and {second}. "
                "Name it: {argument}. Nothing was sent.",
                name=name,
                argument=_PHONE_COLUMN,
                first=columns.show_name(names[first]),
                second=columns.show_name(names[second]),
            ),
            error_code="list.phone_column",
        )
    rows = head[place.index + 1 :]
    if not rows:
        raise InvalidInputError(
            _("{name} has a header and no rows. Nothing was sent.", name=_name_table(contacts, name)),
            error_code="list.empty",
        )
    records = chain(rows, contacts.records)
    return evolve(contacts, records=records, columns=names, phone_index=place.column)


def _name_table(contacts: ContactList, name: str) -> str:
    sheet = contacts.sheet
    return name if sheet is None else _("The sheet {sheet}", sheet=columns.show_name(sheet))


def _say_no_column(name: str, header: list[str], phone_column: str | None) -> Sentence:
    if phone_column is None:
        return _(
            "{name} has no column that is named like a phone number: its columns are {columns}. "
            "Name it: {argument}. Nothing was sent.",
            name=name,
            argument=_PHONE_COLUMN,
            columns=_show(header),
        )
    return _(
        "{name} has no column {wanted}: its columns are {columns}. Name it: {argument}. Nothing was sent.",
        name=name,
        argument=_PHONE_COLUMN,
        wanted=repr(phone_column),
        columns=_show(header),
    )


def _fit(record: list[str], width: int) -> list[str]:
    """Fill a short row with empty cells; of a long one cut off only what is empty."""
    if any(map(str.strip, record[width:])):
        return record
    return record[:width] + [""] * (width - len(record))


def _rate(header: list[str], wanted: str | None) -> float:
    """Prefer the header where fewer words surround the phone's: `tel` to `prénom;tel`; titles are vague."""
    if wanted is not None:
        column = columns.find_named_column(header, wanted)
    else:
        column = columns.find_phone_column(header) if is_header(header) else None
    if column is None:
        return 0.0
    rank = columns.rank_name(header[column])
    weight = _RATE_OF_VAGUE if rank is not None and rank[1] == columns.VAGUE else 1.0
    return weight / max(len(columns.cut_words(header[column])), 1)


def _show(header: list[str]) -> str:
    """List the columns; of a first row that is data, nothing personal."""
    if any(columns.is_data([cell]) for cell in header):
        return _("{count} without names (its first row is data: give it a header)", count=str(len(header)))
    names = [columns.show_name(name) for name in columns.unique_names(header)]
    more = ", …" if len(names) > _COLUMNS_SHOWN else ""
    return ", ".join(names[:_COLUMNS_SHOWN]) + more
