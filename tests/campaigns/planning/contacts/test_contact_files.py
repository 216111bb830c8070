"""Contact files of any make become contacts; bad ones become one clear sentence."""

from __future__ import annotations

import codecs
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.growth import assert_linear
from vavasms.campaigns.planning.contacts import read_contacts
from vavasms.campaigns.planning.contacts.columns import split_numbers
from vavasms.errors import InvalidInputError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes, name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def phones(path: Path, phone_column: str | None = None) -> list[str]:
    with read_contacts(path, phone_column=phone_column) as contacts:
        return [contact.phone for contact in contacts]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_delimiter_encoding_and_line_end_is_found_out(
    write: Write, delimiter: str, encoding: str, end: str
) -> None:
    rows = (("Prénom", "Téléphone", "Ville"), ("Désiré", "+2250700000001", "Bouaké"), ("Aké", "07", "Man"))
    path = write("".join(delimiter.join(row) + end for row in rows).encode(encoding))
    with read_contacts(path) as contacts:
        assert contacts.phone_column == "Téléphone"
        first, second = contacts
    assert (first.row, first.phone) == (2, "+2250700000001")
    assert first.columns == {"Prénom": "Désiré", "Téléphone": "+2250700000001", "Ville": "Bouaké"}
    assert second.row == 3


def test_a_letter_of_cp1252_late_in_the_file_is_read_as_what_it_is(write: Write) -> None:
    path = write(b"tel;nom\n" + b"0700000001;Awa\n" * 100_000 + "0700000002;Koné\n".encode("cp1252"))
    with read_contacts(path) as contacts:
        *_, last = contacts
    assert last.columns["nom"] == "Koné"


def test_utf8_that_ends_in_half_a_letter_is_cp1252(write: Write) -> None:
    assert phones(write(b"nom;tel\nKon\xc3;0700000001\nKon;07\xc3")) == ["0700000001", "07Ã"]
    assert phones(write(b"tel\n07\xc3")) == ["07Ã"]


def test_a_comma_in_a_header_of_semicolons_does_not_mislead(write: Write) -> None:
    assert phones(write(b"nom, prenom;tel\nKone, Awa;0700000001\n")) == ["0700000001"]
    assert phones(write(b"nom, prenom;x\nKone, Awa;07\n"), "x") == ["07"]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(write: Write) -> None:
    path = write(b'nom,tel\n"Kone, ""Awa""\nBouake",0700000001\nYao,0500000002\n')
    with read_contacts(path) as contacts:
        first, second = contacts
    assert first.columns["nom"] == 'Kone, "Awa"\nBouake'
    assert (first.row, second.row) == (2, 3)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"0700000001\n0500000002\n", ["0700000001", "0500000002"]),
        (b"\xef\xbb\xbf+225 07 00 00 00 01\r\n", ["+225 07 00 00 00 01"]),
        (b'"0700000001"\n\n"abc"\n', ["0700000001", "abc"]),
        (b"0700000001;0500000002\n0100000003\n", ["0700000001", "0500000002", "0100000003"]),
        (b"0700000001", ["0700000001"]),
    ],
)
def test_a_plain_list_of_numbers_needs_no_header(write: Write, content: bytes, found: list[str]) -> None:
    path = write(content)
    with read_contacts(path) as contacts:
        assert contacts.phone_column is None
        assert contacts.columns == ()
        read = list(contacts)
    assert [contact.phone for contact in read] == found
    assert read[0].row == 1


def test_the_caller_may_name_the_column(write: Write) -> None:
    path = write("nom;Coordonnées;tel\nAwa;0700000001;0500000002\n".encode())
    assert phones(path, "coordonnees") == ["0700000001"]


def test_empty_rows_are_passed_over_and_still_counted(write: Write) -> None:
    with read_contacts(write(b"nom;tel\n\n;\nAwa;0700000001\n")) as contacts:
        (contact,) = contacts
    assert contact.row == 4


def test_short_rows_have_empty_cells_and_long_ones_keep_theirs_to_be_refused(write: Write) -> None:
    content = b"nom;tel;ville\nAwa\nYao;0700000001;Man;;\nKoffi; Jean;0700000002;Man\n"
    with read_contacts(write(content)) as contacts:
        short, padded, long = contacts
    assert short.phone == ""
    assert (short.cells, padded.cells) == (("Awa", "", ""), ("Yao", "0700000001", "Man"))
    assert short.columns == {"nom": "Awa", "tel": "", "ville": ""}
    assert (short.fault, padded.fault, long.fault) == (None, None, "too_many_cells")
    assert long.cells == ("Koffi", "Jean", "0700000002", "Man")
    assert long.columns == {"nom": "Koffi", "tel": "Jean", "ville": "0700000002"}


@pytest.mark.parametrize("cell", [' "Koffi, Jean"', '   "Koffi, Jean"', '"Koffi, Jean"'])
def test_a_blank_before_a_quote_is_passed_over(write: Write, cell: str) -> None:
    with read_contacts(write(f"tel,prenom,ville\n0700000001,{cell}, Man\n".encode())) as contacts:
        (contact,) = contacts
    assert contact.cells == ("0700000001", "Koffi, Jean", "Man")


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("0700000001/0500000002", ("0700000001", "0500000002")),
        ("0700000001 , 0500000002;0100000003", ("0700000001", "0500000002", "0100000003")),
        ("07 00 00 00 01 ou 05 00 00 00 02", ("07 00 00 00 01", "05 00 00 00 02")),
        ("0700000001\n0500000002", ("0700000001", "0500000002")),
        ("0700000001 /", ("0700000001",)),
        ("07 07 07 07 07 / 05 05 05 05 05", ("07 07 07 07 07", "05 05 05 05 05")),
        ("07 07 07 07/08", ("07 07 07 07/08",)),
        ("2250700000001;22507", ("2250700000001;22507",)),
        ("0700000001;ext=12", ("0700000001;ext=12",)),
        ("2.25071E+12", ("2.25071E+12",)),
        ("2,25071E+12", ("2,25071E+12",)),
        ("2250709000001,0", ("2250709000001,0",)),
        ("voir Awa ou Yao", ("voir Awa ou Yao",)),
        ("/", ("/",)),
    ],
)
def test_several_numbers_in_a_cell_are_parted_and_halves_are_not(cell: str, parts: tuple[str, ...]) -> None:
    assert split_numbers(cell) == parts


def test_several_numbers_in_a_cell_are_several_contacts_of_their_row(write: Write) -> None:
    with read_contacts(write(b"nom;tel\nAwa;0700000001 / 0500000002\n")) as contacts:
        first, second = contacts
    assert (first.row, second.row) == (2, 2)
    assert (first.phone, second.phone) == ("0700000001", "0500000002")
    assert first.columns == second.columns


def test_chunks_hold_the_same_contacts_as_plain_tuples(write: Write) -> None:
    path = write(b"nom;tel\nAwa;0700000001 / 0500000002\n\nYao\nMan;0100000003\n")
    with read_contacts(path) as contacts:
        whole = [(contact.row, contact.phone, contact.cells) for contact in contacts]
    with read_contacts(path) as contacts:
        chunks = list(contacts.chunks(3))
    assert [len(chunk) for chunk in chunks] == [3, 1]
    assert [line for chunk in chunks for line in chunk] == whole
    assert whole[-1] == (5, "0100000003", ("Man", "0100000003"))


def test_a_plain_list_has_no_cells(write: Write) -> None:
    with read_contacts(write(b"0700000001\n")) as contacts:
        (chunk,) = contacts.chunks()
    assert chunk == [(1, "0700000001", ())]


def test_a_pipe_is_read_like_a_file() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with read_contacts(cast(BinaryIO, Pipe(b"tel\n0700000001\n"))) as contacts:
        assert [contact.phone for contact in contacts] == ["0700000001"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n;;\n\n", "is empty"),
        (b" \n;\xc2\xa0;\n\n", "has no column"),
        (b"\r\n\r\n", "is empty"),
        (b"tel\n07\0\n", "binary"),
        (b"PK\x03\x04\x14", "no spreadsheet: save it as CSV first"),
        (b"\xd0\xcf\x11\xe0\xa1", "no spreadsheet: save it as CSV first"),
        (b"%PDF-1.7", "a PDF"),
        (codecs.BOM_UTF16_LE + "nom\nAwa".encode("utf-16-le"), "its columns are nom"),
        (b"nom;ville\nAwa;Man\n", "its columns are nom, ville. Name it: phone_column"),
        (b"Awa;0700000001\n", "2 without names (its first row is data"),
        (b"Export 2026\nnom;parrain\nAwa;0500000002\n", "its columns are Export 2026. Name it:"),
        (
            b"mobile;whatsapp\n0700000001;0500000002\n",
            "two columns full of numbers, mobile and whatsapp. Name",
        ),
        (b"tel;tel\n0700000001;0500000002\n", "two columns full of numbers, tel and tel 2. Name it:"),
        (b"\x1b]0\x07\x1b[31mnom;\xe2\x80\xaeville\nAwa;Man\n", "its columns are ]0[31mnom, ville."),
        (b"tel\n", "a header and no rows"),
        (b"tel;nom\n;\n", "a header and no rows"),
        (b'tel;nom\n0700000001;"Awa\n', 'a quotation mark " out of place in row 2'),
    ],
)
def test_a_bad_file_is_one_sentence_with_its_name(write: Write, content: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        phones(write(content))
    sentence = str(caught.value)
    assert said in sentence
    assert "list.csv" in sentence
    assert sentence.endswith("Nothing was sent.")
    assert "0700000001" not in sentence


def test_many_columns_are_not_all_listed(write: Write) -> None:
    with pytest.raises(InvalidInputError, match="c9, …"):
        phones(write(";".join(f"c{n}" for n in range(30)).encode()))


def test_a_missing_file_a_folder_and_a_closed_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        read_contacts(tmp_path / "none.csv")
    with pytest.raises(InvalidInputError, match="is a folder"):
        read_contacts(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_contacts(tmp_path / ("x" * 5000))
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_contacts(Path("a\0b"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said_to_be_so(write: Write) -> None:
    path = write(b"tel\n07")
    path.chmod(0)
    with pytest.raises(InvalidInputError, match="may not be read by this user"):
        read_contacts(path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that cannot be read, on Linux")
def test_a_file_that_fails_while_it_is_read_is_said_to_be_so() -> None:
    with pytest.raises(InvalidInputError, match="The file /proc/self/mem cannot be read"):
        read_contacts(Path("/proc/self/mem"))


def test_an_unknown_column_named_by_the_caller_is_said_to_be_missing(write: Write) -> None:
    with pytest.raises(InvalidInputError, match="has no column 'adresse': its columns are nom, tel"):
        phones(write(b"nom;tel\nAwa;07\n"), "adresse")


def test_a_contact_shows_no_number_and_no_cell(write: Write) -> None:
    with read_contacts(write(b"nom;tel\nAwa;0700000001\n")) as contacts:
        (contact,) = contacts
    assert repr(contact) == "Contact(row=2)"


def test_a_long_list_is_read_in_flat_memory_and_linear_time(write: Write) -> None:
    def read(rows: int) -> None:
        with read_contacts(paths[rows]) as contacts:
            assert sum(map(len, contacts.chunks())) == rows

    head, row = b"nom;ville;telephone\n", b"Kone Awa;Abidjan;+2250700000001\n"
    paths = {rows: write(head + row * rows, f"{rows}.csv") for rows in (25_000, 100_000)}
    assert_linear(read, 100_000)
    path = paths[100_000]
    tracemalloc.start()
    with read_contacts(path) as contacts:
        for _ in zip(range(100), contacts.chunks(), strict=False):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_the_name_of_a_file_is_disarmed(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_contacts(tmp_path / "\x1b[31mnone\u202e.csv")
    assert str(caught.value).isprintable()
