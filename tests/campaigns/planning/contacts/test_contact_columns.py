"""Which column holds the numbers."""

from __future__ import annotations

import pytest

from tests.growth import assert_linear
from vavasms.campaigns.planning.contacts.columns import (
    find_named_column,
    find_phone_column,
    is_data,
    unique_names,
)


@pytest.mark.parametrize(
    "name",
    [
        *("telephone", "Téléphone", "TELEPHONE", "tel", "Tél.", "Tel 1", "N° de téléphone", "numéro"),
        *("Numero", "mobile", "Portable", "GSM", "MSISDN", "Contact", "Contacts", "phone", "Phone Number"),
        *(
            "phone_number",
            "phoneNumber",
            "PhoneNumber",
            "cell",
            "Cellulaire",
            "WhatsApp",
            "Te\u0301le\u0301phone",
        ),
        *("Numéro du client", "téléphones", "  tel  ", "Contact téléphonique", "mobile-phone"),
    ],
)
def test_a_name_that_says_phone_is_found_in_french_and_english(name: str) -> None:
    assert find_phone_column(["Nom", name, "Ville"]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nom",
        "Numéro de commande",
        "Nom du contact",
        "Fax",
        "Mobile Money",
        "Modèle de téléphone",
        "Hotel",
    ],
)
def test_a_name_that_only_sounds_like_it_is_not_taken(name: str) -> None:
    assert find_phone_column([name]) is None


@pytest.mark.parametrize(
    ("header", "index"),
    [
        (["Numéro", "Téléphone"], 1),
        (["Tél fixe", "Tél mobile"], 1),
        (["Tel bureau", "Contact"], 1),
        (["Tél fixe"], 0),
        (["Téléphone 1", "Téléphone 2"], 0),
        (["Téléphone du client", "Téléphone"], 1),
    ],
)
def test_of_several_the_best_is_taken_then_the_first(header: list[str], index: int) -> None:
    assert find_phone_column(header) == index


def test_a_column_named_by_the_caller_is_found_by_its_very_name_first() -> None:
    assert find_named_column(["adresse", "Adresse"], "Adresse") == 1
    assert find_named_column([" Adressé-1 "], "adresse 1") == 0
    assert find_named_column(["nom"], "ville") is None
    assert find_named_column(["", "nom"], "-") is None


def test_names_that_come_again_or_are_empty_are_numbered() -> None:
    assert unique_names([" nom", "nom", "", "nom 2"]) == ("nom", "nom 3", "column 3", "nom 2")


def test_no_name_is_there_twice() -> None:
    assert unique_names(["nom", "nom", "nom"]) == ("nom", "nom 2", "nom 3")
    assert unique_names(["nom", "nom 2", "nom", "", "column 4"]) == (
        "nom",
        "nom 2",
        "nom 3",
        "column 4 2",
        "column 4",
    )


def test_a_header_of_thousands_of_like_names_is_read_at_once() -> None:
    def name(columns: int) -> None:
        assert len(set(unique_names(["présence"] * columns))) == columns

    assert_linear(name, 2_000)


def test_a_row_of_numbers_is_data_and_a_row_of_names_is_not() -> None:
    assert is_data(["07 09 00 00 01", ""])
    assert not is_data(["Tel 1"])
    assert not is_data(["Export 2026"])
    assert not is_data(["Liste 2025-26"])
    assert not is_data(["Awa", "0700000001"])
    assert not is_data(["", " "])
