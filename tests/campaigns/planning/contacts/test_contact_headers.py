"""The header below whatever stands above it, and the column of the numbers by its name and its cells."""

from __future__ import annotations

import io

import pytest

from vavasms.campaigns.planning.contacts import read_contacts
from vavasms.campaigns.planning.contacts.header import find_place, is_number
from vavasms.errors import InvalidInputError

NUMBERS = ("0700000101", "+225 05 00 00 01 02", "0100000103")
NAMES = ("Awa", "Yao", "Koffi")


def column_of(header: tuple[str, ...], *columns: tuple[str, ...]) -> str:
    rows = [header, *zip(*columns, strict=True)]
    content = "".join(";".join(row) + "\n" for row in rows)
    with read_contacts(io.BytesIO(content.encode())) as contacts:
        assert contacts.phone_column is not None
        return contacts.phone_column


@pytest.mark.parametrize(
    ("other", "cells", "name"),
    [
        ("Phone 1 - Label", ("Mobile", "Mobile", "Home"), "Phone 1 - Value"),
        ("phone_code", ("225", "225", "225"), "phone_number"),
        ("Indicatif tel", ("+225", "+225", "00225"), "Numéro tel"),
        ("mobile_consent", ("oui", "non", "oui"), "phone"),
        ("Contact", NAMES, "Numéro"),
        ("Mobile OS", ("Android", "iOS", "Android"), "Phone"),
        ("Mobile du conjoint", ("0700000201", "0700000202", "0700000203"), "Téléphone"),
        ("Mobile du père", ("0700000201", "0700000202", "0700000203"), "Téléphone"),
        ("Portable urgence", ("0700000201", "0700000202", "0700000203"), "Tel"),
        ("Tel fax", ("2722000101", "2722000102", "2722000103"), "Contact"),
        ("Mobile domicile", ("0700000201", "0700000202", "0700000203"), "Numéro"),
        ("mobile_updated", ("2026-01-05", "2026-01-06", "2026-01-07"), "phone"),
        ("GSM", ("", "x", "?"), "Téléphone"),
    ],
)
def test_the_column_with_the_persons_own_numbers_is_taken(
    other: str, cells: tuple[str, ...], name: str
) -> None:
    assert column_of((other, name), cells, NUMBERS) == name
    assert column_of((name, other), NUMBERS, cells) == name


def test_of_numbered_columns_the_first_is_taken_and_the_only_one_whoever_it_belongs_to() -> None:
    assert column_of(("Phone 2 - Value", "Phone 1 - Value"), NUMBERS, NUMBERS) == "Phone 1 - Value"
    assert column_of(("Nom", "Téléphone du parent"), NAMES, NUMBERS) == "Téléphone du parent"


def test_an_empty_column_is_not_given_up_for_somebody_elses() -> None:
    assert column_of(("Mobile du conjoint", "Téléphone"), NUMBERS, ("", "", "")) == "Téléphone"


@pytest.mark.parametrize("pair", [("Mobile", "WhatsApp"), ("Tel", "Phone"), ("Contact", "Numéro")])
def test_two_columns_as_good_are_refused_by_name_and_either_can_be_named(pair: tuple[str, str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        column_of(pair, NUMBERS, NUMBERS)
    assert f"two columns full of numbers, {pair[0]} and {pair[1]}" in str(caught.value)
    content = ";".join(pair) + "\n0700000101;0500000102\n"
    for name, number in zip(pair, ("0700000101", "0500000102"), strict=True):
        with read_contacts(io.BytesIO(content.encode()), phone_column=name) as contacts:
            assert [contact.phone for contact in contacts] == [number]


def test_a_column_of_a_repeated_name_can_be_named_by_its_number() -> None:
    with read_contacts(io.BytesIO(b"tel;tel\n0700000101;0500000102\n"), phone_column="tel 2") as contacts:
        assert [contact.phone for contact in contacts] == ["0500000102"]


@pytest.mark.parametrize(
    "above",
    [
        "sep=;\n",
        '"sep=;"\n',
        "SEP=;\r\n",
        "Liste des clients\n",
        "Export 20260701\n",
        "20260701\n",
        "Clients 2026\nAgence de Man, contacts\n\n",
        "Contacts;;\n;;\n",
        "Contacts;2026;\n",
        "\n\n;;\n",
        "sep=;\nListe, téléphones\n\n",
        "Agence de Man; contacts\nListe des clients\n",
        "Agence de Man; contacts\nClients; contacts\n",
    ],
)
def test_what_stands_above_the_header_is_passed_over(above: str) -> None:
    table = "nom;tel;ville\nAwa;0700000101;Man\nYao;;Mobile\n"
    with read_contacts(io.BytesIO((above + table).encode())) as contacts:
        assert contacts.columns == ("nom", "tel", "ville")
        first, second = contacts
    assert first.columns == {"nom": "Awa", "tel": "0700000101", "ville": "Man"}
    assert first.row == above.count("\n") + 2
    assert second.phone == ""


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_neither_titles_nor_cells_that_speak_of_a_phone_mislead_about_the_delimiter(delimiter: str) -> None:
    rows = ["Agence de Man, contacts; liste", delimiter.join(("ville", "numéro", "nom"))]
    rows += [
        delimiter.join(('"San-Pédro; sud, gare"', f"tel:+22507000001{place:02}", "Awa")) for place in range(9)
    ]
    with read_contacts(io.BytesIO("\n".join(rows).encode())) as contacts:
        assert contacts.columns == ("ville", "numéro", "nom")
        assert {contact.columns["ville"] for contact in contacts} == {"San-Pédro; sud, gare"}


def test_a_title_above_a_single_column_and_a_column_that_the_caller_names() -> None:
    with read_contacts(io.BytesIO(b"Contacts\ntel\n0700000101\n")) as contacts:
        assert (contacts.columns, [contact.phone for contact in contacts]) == (("tel",), ["0700000101"])
    with read_contacts(
        io.BytesIO(b"Export\n\nnom;joindre\nAwa;0700000101\n"), phone_column="joindre"
    ) as contacts:
        assert [contact.phone for contact in contacts] == ["0700000101"]


def test_a_declared_delimiter_is_taken_whatever_the_lines_look_like() -> None:
    with read_contacts(io.BytesIO(b"sep=:\nnom, prenom:tel\nKone, Awa:0700000101\n")) as contacts:
        (contact,) = contacts
    assert contact.columns == {"nom, prenom": "Kone, Awa", "tel": "0700000101"}


def test_a_row_of_data_is_no_header_even_where_it_says_mobile() -> None:
    with pytest.raises(InvalidInputError, match="its first row is data"):
        read_contacts(io.BytesIO(b"Awa;0700000101;x\nYao;;Mobile\n"))


def test_no_record_is_no_place() -> None:
    assert find_place([], None) is None
    assert find_place([["nom"]], "tel") is None


@pytest.mark.parametrize(
    ("cell", "is_one"),
    [
        ("0700000101", True), ("07 00 00 01 01 / 0500000102", True), ("2.25071E+12", True),
        ("2250700000101.0", True), ('="0700000101"', True), ("225", False), ("05/01/2026", False),
        ("2026-01-05", False), ("Awa", False), ("contacts; liste", False), ("0700000101;ext=12", True), ("", False), ("1" * 16, False),
    ],
)  # fmt: skip
def test_a_number_is_known_well_or_badly_written(cell: str, is_one: bool) -> None:
    assert is_number(cell) is is_one
