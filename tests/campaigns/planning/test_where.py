"""Conditions on the rows of a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vavasms.campaigns.planning.contacts import read_contacts
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.plan import dump_plan
from vavasms.campaigns.planning.where import bind_conditions, parse_condition
from vavasms.errors import InvalidInputError

pytestmark = pytest.mark.anyio

NAMES = ("Téléphone", "ville", "Montant dû", "date", "payé")


def holds(condition: str, *cells: str) -> bool:
    keeps = bind_conditions([parse_condition(condition)], NAMES)
    assert keeps is not None
    return keeps(("2250709000001", *cells))


@pytest.mark.parametrize(
    ("condition", "cell", "is_held"),
    [
        ("ville=Bouaké", "Bouaké", True),
        ("ville=Bouaké", "  BOUAKÉ\u00a0", True),
        ("ville = Bouaké ", "Bouake\u0301", True),
        ("VILLE=bouaké", "Bouaké", True),
        ("ville=Bouaké", "Bouake", False),
        ("ville=Bouaké", "Bouaké 2", False),
        ("ville!=Bouaké", "Bouaké", False),
        ("ville!=Bouaké", "", True),
        ("ville=San Pedro", "San  Pedro", True),
        ("ville~bou", "Bouaké", True),
        ("ville~AKÉ", "Bouaké", True),
        ("ville~x", "Bouaké", False),
        ("ville=", "", True),
        ("ville=", " ", True),
        ("ville=", "#N/A", True),
        ("ville=", "NULL", True),
        ("ville=", "Man", False),
        ("ville!=", "Man", True),
        ("ville!=", "NULL", False),
        ("ville=a=b", "a=b", True),
    ],
)
def test_texts_are_compared_as_a_person_reads_them(condition: str, cell: str, is_held: bool) -> None:
    assert holds(condition, cell) is is_held


@pytest.mark.parametrize(
    ("condition", "cell", "is_held"),
    [
        ("montant du>1000", "1001", True),
        ("montant du>1000", "1 000", False),
        ("montant du>=1000", "1\u202f000", True),
        ("montant du>=1 000,50", "1000.5", True),
        ("montant du<1000", "999,99", True),
        ("montant du<1000", "-5", True),
        ("montant du<=1000", "1,000.00", True),
        ("montant du<1000", "", False),
        ("montant du>=0", "", False),
        ("montant du<1000", "beaucoup", False),
        ("montant du<1000", "nan", False),
        ("montant du<1000", "infinity", False),
        ("montant du<1000", "2026-01-01", False),
        ("montant du>1e3", "1500", True),
    ],
)
def test_numbers_are_compared_as_numbers(condition: str, cell: str, is_held: bool) -> None:
    assert holds(condition, "Man", cell) is is_held


@pytest.mark.parametrize(
    ("condition", "cell", "is_held"),
    [
        ("date<2026-12-01", "2026-11-30", True),
        ("date<2026-12-01", "2026-12-01", False),
        ("date>=2026-12-01", "2026-12-01 09:00:00", True),
        ("date<2026-12-01", "30/11/2026", False),
        ("date<2026-12-01", "20251130", False),
        ("date<2026-12-01", "2026-13-01", False),
    ],
)
def test_dates_are_compared_as_dates(condition: str, cell: str, is_held: bool) -> None:
    assert holds(condition, "Man", "1", cell) is is_held


def test_a_row_that_is_too_short_has_empty_cells() -> None:
    assert holds("payé=", "Man")
    assert not holds("payé=oui", "Man")


@pytest.mark.parametrize("text", ["", "ville", "=Man", "ville Man", "ville~", "ville~ ", None, 5])
def test_what_is_no_condition_is_one_sentence(text: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"ville=Bouaké.*nothing was sent") as raised:
        parse_condition(text)
    assert raised.value.error_code == "list.where"


@pytest.mark.parametrize("where", [None, 5, "ville", [None], ["ville=Man", 5], b"ville=Man"])
def test_what_is_no_list_of_conditions_is_the_same_sentence(where: Any) -> None:
    with pytest.raises(InvalidInputError, match="is no condition"):
        Listing(contacts="clients.csv", where=where)


@pytest.mark.parametrize("text", ["ville<Man", "montant>", "date<=hier", "montant<nan"])
def test_an_order_of_what_is_no_number_and_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"no number and no date.*nothing was sent"):
        parse_condition(text)


def test_a_column_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(InvalidInputError, match="has no column pays; its columns are: Téléphone, ville"):
        bind_conditions([parse_condition("pays=CI")], NAMES)
    with pytest.raises(InvalidInputError, match="its columns are: none"):
        bind_conditions([parse_condition("pays=CI")], ())
    assert bind_conditions([], NAMES) is None


LIST = "tel;ville;montant\n0709000001;Bouaké;500\n0709000002;Man;1 500\n0709000003;BOUAKÉ;2 000\n;Bouaké;9\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clients.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


async def test_rows_that_do_not_hold_are_passed_over_and_counted(path: Path) -> None:
    listing = Listing(contacts=path, where=["ville=bouaké", "montant>=500"])
    plan = await plan_listing(listing, "Bonjour", batch_size=10)
    assert (plan.rows, plan.recipients, plan.refused, plan.passed_over) == (2, 2, 0, 2)
    assert plan.where == ("ville=bouaké", "montant>=500")
    # What is kept in the ledger names nobody.
    assert "bouaké" not in dump_plan(plan)
    everybody = await plan_listing(Listing(contacts=path), "Bonjour", batch_size=10)
    assert (everybody.rows, everybody.recipients, everybody.refused, everybody.passed_over) == (4, 3, 1, 0)
    assert everybody.hash != plan.hash


async def test_one_condition_may_be_given_as_it_is(path: Path) -> None:
    plan = await plan_listing(Listing(contacts=path, where="ville=Man"), "Bonjour", batch_size=10)
    assert (plan.recipients, plan.passed_over) == (1, 3)


async def test_a_list_without_a_row_that_holds_is_one_sentence(path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none of its 4 rows holds ville=Daloa\. Nothing was sent"):
        await plan_listing(Listing(contacts=path, where="ville=Daloa"), "Bonjour", batch_size=10)


async def test_a_plain_list_has_no_columns_to_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("0709000001\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="has no column ville"):
        await plan_listing(Listing(contacts=path, where="ville=Man"), "Bonjour", batch_size=10)
    # The file was closed: Windows would not let it go.
    path.unlink()


def test_without_a_condition_nothing_is_passed_over(path: Path) -> None:
    with read_contacts(path) as contacts:
        assert len([*contacts]) == 4
        assert contacts.passed_over.count == 0
