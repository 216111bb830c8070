"""Each record is read in its own encoding, and one bad byte changes nothing around it."""

from __future__ import annotations

import io

import pytest

from vavasms.campaigns.planning.contacts import ContactList, read_contacts
from vavasms.errors import InvalidInputError


def read(content: bytes, encoding: str | None = None) -> tuple[list[str], ContactList]:
    """Return the first names of a list."""
    with read_contacts(io.BytesIO(content), encoding=encoding) as contacts:
        return [contact.columns["prenom"] for contact in contacts], contacts


def test_a_stray_byte_changes_its_own_record_only() -> None:
    names, contacts = read(b"tel;prenom\n+2250709000001;Th\xc3\xa9o\n+2250709000002;Andr\xe9\n")
    assert names == ["Théo", "André"]
    assert contacts.encoding == "utf-8"
    assert (contacts.strays.count, contacts.strays.row) == (1, 3)
    assert contacts.strays.text == "+2250709000002 André"
    assert "André" not in repr(contacts.strays)


def test_a_file_of_cp1252_with_a_record_of_utf8_is_counted_the_other_way() -> None:
    rows = [f"07000001{place:02};André".encode("cp1252") for place in range(5)]
    rows[2] = "0700000102;Théo".encode()
    names, contacts = read(b"tel;prenom\n" + b"\n".join(rows))
    assert names == ["André", "André", "Théo", "André", "André"]
    assert (contacts.encoding, contacts.strays.count, contacts.strays.row) == ("cp1252", 1, 4)


@pytest.mark.parametrize("name", ["CAFÉ… OK", "MARCHÉ”", "DÉ’", "«RÉNOVÉ»"])
def test_letters_of_cp1252_that_two_bytes_could_be_in_utf8_stay_what_they_are(name: str) -> None:
    content = "tel;prenom\n0700000101;Zoé\n0700000102;Noël\n0700000103;".encode("cp1252")
    names, contacts = read(content + name.encode("cp1252"))
    assert names == ["Zoé", "Noël", name]
    assert contacts.strays.count == 0


def test_a_mark_is_binding_whatever_most_records_are_in() -> None:
    content = b"\xef\xbb\xbftel;prenom\n0700000101;Andr\xe9\n0700000102;Ren\xe9\n0700000103;Th\xc3\xa9o\n"
    for encoding in (None, "cp1252", "utf-8"):
        names, contacts = read(content, encoding)
        assert names == ["André", "René", "Théo"]
        assert contacts.columns == ("tel", "prenom")
        assert (contacts.encoding, contacts.strays.count) == ("utf-8", 2)


def test_a_record_over_several_lines_has_one_encoding_and_counts_once() -> None:
    cell = '"Andr\xe9\nCAF\xc9\x85\nRen\xe9"'.encode("latin-1")
    names, contacts = read(
        b"tel;prenom\n0700000101;" + cell + b"\n0700000102;Th\xc3\xa9o\n0700000103;Zo\xc3\xa9\n" * 3
    )
    assert names[0] == "André\nCAFÉ…\nRené"
    assert contacts.strays.count == 1


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_unicode_text_of_excel_is_read_by_its_mark(codec: str, encoding: str | None) -> None:
    names, contacts = read("tel\tprenom\r\n0700000101\tThéo\r\n0700000102\tAké\r\n".encode(codec), encoding)
    assert names == ["Théo", "Aké"]
    assert contacts.encoding == codec


def test_a_mark_of_the_other_end_is_read_too() -> None:
    names, _ = read(b"\xfe\xff" + "tel\tprenom\n0700000101\tThéo\n".encode("utf-16-be"))
    assert names == ["Théo"]


@pytest.mark.parametrize("encoding", ["mac_roman", "cp850", "latin-1", "utf-16-le", "UTF8", "utf-8-sig"])
def test_the_caller_may_name_the_encoding(encoding: str) -> None:
    names, contacts = read("tel;prenom\n0700000101;Théo\n".encode(encoding), encoding)
    assert names == ["Théo"]
    assert contacts.strays.count == 0


def test_a_named_encoding_reads_what_it_can_and_marks_the_rest() -> None:
    names, contacts = read(b"tel;prenom\n0700000101;Th\xc3\xa9o\n0700000102;Andr\xe9\n", "utf-8")
    assert names == ["Théo", "André"]
    assert contacts.strays.count == 1
    names, _ = read(b"tel;prenom\n0700000101;Andr\xe9\n", "ascii")
    assert names == ["Andr\ufffd"]


@pytest.mark.parametrize("encoding", ["", "klingon", "base64", "rot13", "undefined", "idna", "a\0b"])
def test_a_name_of_no_encoding_is_refused_in_a_sentence(encoding: str) -> None:
    with pytest.raises(InvalidInputError, match="is unknown: name it as Python does"):
        read(b"tel;prenom\n0700000101;Awa\n", encoding)


def test_bytes_that_are_nothing_in_cp1252_are_marked() -> None:
    names, contacts = read(b"tel;prenom\n0700000101;Ak\x81\n")
    assert names == ["Ak\ufffd"]
    assert contacts.encoding == "cp1252"


def test_a_file_without_the_mark_that_its_named_encoding_needs_is_a_sentence() -> None:
    with pytest.raises(InvalidInputError, match="is not in the encoding utf-16"):
        read("tel;prenom\n0700000101;Awa\n".encode("utf-16-le"), "utf-16")


def test_lines_that_end_as_on_an_old_mac_are_weighed_piece_by_piece() -> None:
    content = b"tel;prenom\r" + b"0700000101;Andr\xe9\r" * 10_000
    with read_contacts(io.BytesIO(content)) as contacts:
        assert {contact.columns["prenom"] for contact in contacts} == {"André"}
        assert contacts.encoding == "cp1252"
