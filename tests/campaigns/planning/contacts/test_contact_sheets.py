"""Spreadsheets become contacts; cells become the text that was meant."""

from __future__ import annotations

import io
import sys
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import BinaryIO, cast
from xml.sax.saxutils import escape

import pytest

from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.campaigns.planning.contacts.xlsxextent import find_far_corner
from vavasms.campaigns.planning.contacts.xlsxfile import to_text
from vavasms.errors import ConfigurationError, InvalidInputError, Outcome

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"

#: Rows by their number, cells by their column's letter.
Sheet = dict[int, dict[str, object]]

LIST: Sheet = {1: {"A": "Nom", "B": "Téléphone"}, 2: {"A": "Awa", "B": 2250700000101}}


def cell(place: str, value: object) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{value:d}</v></c>'
    if isinstance(value, date):
        # Style 1 is a date: days since the end of 1899.
        return f'<c r="{place}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def sheet_xml(sheet: Sheet) -> str:
    rows = "".join(
        f'<row r="{row}">'
        + "".join(cell(f"{letter}{row}", value) for letter, value in cells.items())
        + "</row>"
        for row, cells in sheet.items()
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def links(*parts: tuple[str, str]) -> str:
    inside = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(parts, start=1)
    )
    return f'<Relationships xmlns="{_PACKAGE}">{inside}</Relationships>'


def build_xlsx(sheets: dict[str, Sheet], hidden: frozenset[str] = frozenset()) -> bytes:
    named = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}" state="{"hidden" if name in hidden else "visible"}"/>'
        for number, name in enumerate(sheets, start=1)
    )
    parts = [("worksheet", f"worksheets/{number}.xml") for number in range(1, len(sheets) + 1)]
    files = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": links(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": links(*parts, ("styles", "styles.xml")),
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    files |= {f"xl/{path}": sheet_xml(sheet) for (_, path), sheet in zip(parts, sheets.values(), strict=True)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def replace_part(book: bytes, name: str, content: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            new.writestr(each, content if each == name else old.read(each))
    return packed.getvalue()


def read(
    content: bytes, *, sheet: str | None = None, phone_column: str | None = None
) -> list[tuple[int, str]]:
    with read_contacts(io.BytesIO(content), sheet=sheet, phone_column=phone_column) as contacts:
        return [(contact.row, contact.phone) for contact in contacts]


def test_a_spreadsheet_is_read_like_a_csv_from_a_file_and_from_a_pipe(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    path = tmp_path / "list.xlsx"
    path.write_bytes(build_xlsx({"Clients": LIST}))
    for source in (path, cast(BinaryIO, Pipe(path.read_bytes()))):
        with read_contacts(source) as contacts:
            assert (contacts.columns, contacts.phone_column) == (("Nom", "Téléphone"), "Téléphone")
            (contact,) = contacts
        assert (contact.row, contact.phone) == (2, "2250700000101")
        assert contact.columns == {"Nom": "Awa", "Téléphone": "2250700000101"}


def test_rows_are_counted_as_the_spreadsheet_does_wherever_the_list_begins() -> None:
    sheet: Sheet = {4: {"C": "nom", "D": "tel"}, 6: {"C": "Awa", "D": "0700000101"}, 9: {"D": "0500000102"}}
    with read_contacts(io.BytesIO(build_xlsx({"S": sheet}))) as contacts:
        first, second = contacts
    assert (first.row, second.row) == (6, 9)
    assert second.cells == ("", "0500000102")


def test_a_plain_list_of_typed_numbers_needs_no_header() -> None:
    numbers: Sheet = {1: {"A": 2250700000101}, 2: {"A": "0500000102 / 0100000103"}}
    found = read(build_xlsx({"S": numbers}))
    assert found == [(1, "2250700000101"), (2, "0500000102"), (2, "0100000103")]


def test_the_first_visible_sheet_that_holds_anything_is_read() -> None:
    other: Sheet = {1: {"A": "tel"}, 2: {"A": "0500000102"}}
    book = build_xlsx({"Empty": {}, "Old": other, "Clients": LIST}, hidden=frozenset({"Old"}))
    assert read(book) == [(2, "2250700000101")]
    assert read(book, sheet="Old") == [(2, "0500000102")]


def test_cells_of_every_type_become_the_text_that_was_meant() -> None:
    sheet: Sheet = {
        1: {"A": "tel", "B": "né le", "C": "client", "D": "solde", "E": "ville"},
        2: {"A": "+2250700000101", "B": date(1990, 5, 17), "C": True, "D": 12.5},
        3: {"A": "0700000102", "E": "Man"},
    }
    with read_contacts(io.BytesIO(build_xlsx({"S": sheet}))) as contacts:
        first, second = contacts
    assert first.cells == ("+2250700000101", "17/05/1990", "TRUE", "12.5", "")
    assert second.cells == ("0700000102", "", "", "", "Man")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2250700000101.0, "2250700000101"),
        (2250700000101, "2250700000101"),
        (707000101.0, "707000101"),
        (-0.0, "0"),
        (707000101.5, "707000101.5"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**60, "1.15292150460685e+18"),
        (float("inf"), "inf"),
        (False, "FALSE"),
        (datetime.combine(date(2025, 1, 2), time(3, 4)), "02/01/2025 03:04"),
        (time(8, 30), "08:30"),
        (timedelta(hours=3), "3:00"),
        (timedelta(days=1, hours=2, minutes=5), "26:05"),
        (3479.9999999999995, "3480"),
        (0.1 + 0.2, "0.3"),
        (0.00001, "0.00001"),
        (123456789012345.6, "123456789012346"),
        (float("nan"), "nan"),
        (datetime(2026, 1, 5, 14, 30), "05/01/2026 14:30"),  # noqa: DTZ001
        (datetime(2026, 1, 5, 14, 29, 59, 999_999), "05/01/2026 14:30"),  # noqa: DTZ001
        (datetime(2026, 1, 5), "05/01/2026"),  # noqa: DTZ001
    ],
)
def test_a_typed_value_is_written_as_the_sheet_shows_it(value: object, text: str) -> None:
    assert to_text(value) == text


def test_a_number_that_lost_its_zero_or_its_digits_is_left_to_the_judge() -> None:
    sheet: Sheet = {1: {"A": "tel"}, 2: {"A": 707000101}, 3: {"A": "2,25071E+12"}, 4: {"A": 2.25071e20}}
    judge = Judge(region="CI")
    reasons = [judge.judge(phone).reason for _, phone in read(build_xlsx({"S": sheet}))]
    assert reasons == ["lost_zero", "scientific", "scientific"]


def test_a_sheet_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(
        InvalidInputError, match="has no sheet 'clients': its sheets are Clients, B"
    ) as caught:
        read(build_xlsx({"Clients": LIST, "B": {}}), sheet="clients")
    assert str(caught.value).endswith("Nothing was sent.")
    many = {f"S{number}": LIST for number in range(12)}
    with pytest.raises(InvalidInputError, match="S9, …"):
        read(build_xlsx(many), sheet="T")


def test_the_sheet_that_was_read_is_known_and_an_encoding_is_refused() -> None:
    book = build_xlsx({"Empty": {}, "Clients": LIST})
    with read_contacts(io.BytesIO(book)) as contacts:
        assert (contacts.sheet, contacts.encoding) == ("Clients", None)
    with pytest.raises(InvalidInputError, match="is a spreadsheet, whose encoding is known"):
        read_contacts(io.BytesIO(book), encoding="cp1252")


def test_a_csv_has_no_sheets() -> None:
    with pytest.raises(InvalidInputError, match="is no spreadsheet and has no sheets"):
        read(b"tel\n0700000101\n", sheet="Clients")


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ({"A": {}, "B": {}}, "is empty"),
        ({"A": {3: {"B": ""}}}, "The sheet A is empty"),
        ({"A": {1: {"A": "nom", "B": "ville"}}}, "its columns are nom, ville. Name it: phone_column"),
        ({"A": {1: {"A": "nom", "B": "tel"}}}, "a header and no rows"),
        ({"A": {1: {"A": "Awa", "B": 2250700000101}}}, "2 without names (its first row is data"),
    ],
)
def test_a_spreadsheet_without_contacts_is_one_sentence(sheets: dict[str, Sheet], said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(build_xlsx(sheets))
    assert said in str(caught.value)


def test_a_broken_spreadsheet_is_one_sentence_wherever_it_is_broken() -> None:
    whole = build_xlsx({"S": LIST})
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"EncryptedPackage" * 100
    torn = whole.replace(b"</c></row></sheetData>", b"</c></rw></sheetData>")
    assert torn != whole
    for content in (whole[:-30], whole[:100], b"PK\x03\x04rest", locked, torn):
        with pytest.raises(
            InvalidInputError, match="locked with a password, damaged, or no spreadsheet"
        ) as caught:
            read(content)
        assert "save it as CSV" in str(caught.value)
        assert caught.value.__context__ is None


def test_without_its_extra_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'vavasms\[xlsx\]'") as caught:
        read(build_xlsx({"S": LIST}))
    assert caught.value.outcome is Outcome.NOT_SENT
    assert read(b"tel\n0700000101\n") == [(2, "0700000101")]


def test_a_cell_far_off_is_refused_before_room_is_made_for_all_up_to_there() -> None:
    # The library would ask for half a terabyte, and end the process where it is not to be had.
    stray: Sheet = {**LIST, 1_048_576: {"XFD": "x"}}
    with pytest.raises(
        InvalidInputError, match=r"The sheet S of .* reaches to row 1048576 of column XFD"
    ) as caught:
        read(build_xlsx({"S": stray}))
    assert caught.value.error_code == "list.too_large"
    assert read(build_xlsx({"S": stray, "Clients": LIST}), sheet="Clients") == [(2, "2250700000101")]


def test_a_wide_list_is_read() -> None:
    wide: Sheet = {1: {"A": "tel", "BM": "note"}, 2: {"A": "0500000102", "BM": "x", "XFD": "far"}}
    assert read(build_xlsx({"S": wide})) == [(2, "0500000102")]


def test_an_empty_cell_far_off_makes_no_list_large() -> None:
    # Excel keeps the style of a cell in a tag that ends with a slash.
    book = build_xlsx({"S": {**LIST, 1_048_576: {"XFD": "x"}}})
    styled = sheet_xml(LIST).replace(
        "</sheetData>", '<row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    )
    assert read(replace_part(book, "xl/worksheets/1.xml", styled)) == [(2, "2250700000101")]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="S" r:id="r9"/></sheets></workbook>',
        ),
        ("xl/_rels/workbook.xml.rels", "<Relationships"),
    ],
)
def test_a_book_that_cannot_be_measured_is_left_to_the_library(part: str, content: str) -> None:
    with pytest.raises(InvalidInputError, match=r"damaged, or no spreadsheet|is empty"):
        read(replace_part(build_xlsx({"S": LIST}), part, content))


def test_what_is_no_xlsx_has_no_corner_and_is_left_where_it_was() -> None:
    stream = io.BytesIO(b"\xd0\xcf\x11\xe0 an old spreadsheet")
    stream.seek(4)
    assert find_far_corner(stream, "S") is None
    assert stream.tell() == 4
