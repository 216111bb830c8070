"""What a ledger keeps in English is said in the language of the moment, as far as it is ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.words_english import english_words
from vavasms.i18n import gettext as _
from vavasms.i18n import known_sentences, language_set, ngettext
from vavasms.ledger.kept import find_template, say_error, say_reason
from vavasms.ledger.rows import DIED, DROPPED, HINDERED, RECOVERED

FLOOR = "the balance of {balance} XOF is at or under the floor of {floor} XOF"


@pytest.fixture
def in_french() -> Iterator[None]:
    with language_set("fr"):
        yield


@pytest.mark.parametrize("text", ["", "paused by hand", "Nobody listens there.", "anything"])
def test_in_english_a_kept_sentence_stays_as_it_is(text: str) -> None:
    with language_set("en"):
        assert say_reason(text) == text


def test_a_constant_is_said_as_the_catalogue_has_it(in_french: None) -> None:
    assert say_reason("paused by hand") == _("paused by hand")


def test_a_sentence_with_values_is_said_with_the_same_values(in_french: None) -> None:
    kept = "the balance of 12.5 XOF is at or under the floor of 99 XOF"
    assert say_reason(kept) == _(FLOOR, balance="12,5", floor="99")


def test_an_amount_is_grouped_as_the_language_has_it_and_an_identifier_is_not(in_french: None) -> None:
    kept = "the balance of 999,840 XOF is at or under the floor of 2,000,000.5 XOF"
    assert say_reason(kept) == _(FLOOR, balance="999\xa0840", floor="2\xa0000\xa0000,5")
    assert "1234567" in say_reason("the balance of 1234567 XOF is at or under the floor of 2 XOF")


@pytest.mark.parametrize("n", [1, 2, 1200])
def test_batches_that_wait_are_counted(in_french: None, n: int) -> None:
    with language_set("en"):
        kept = str(ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", n))
    said = ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", n)
    assert say_reason(kept) == said


def test_of_an_error_its_sentence_is_said_without_its_class_and_the_gateways_words_stay(
    in_french: None,
) -> None:
    sentence = "There is no campaign in this ledger."
    kept = f"GatewayError: {sentence} (Expéditeur refusé: done)"
    assert say_reason(kept) == say_error(kept) == f"{_(sentence)} (Expéditeur refusé: done)"
    with language_set("en"):
        assert say_reason(kept) == say_error(kept) == f"{sentence} (Expéditeur refusé: done)"


def test_what_is_none_of_ours_stays_as_it_is(in_french: None) -> None:
    assert say_reason("Le crédit est épuisé") == "Le crédit est épuisé"
    assert say_reason("") == ""


def test_each_record_that_is_no_answers_is_said_in_french(in_french: None) -> None:
    records = [DIED, DROPPED, RECOVERED, *HINDERED.values()]
    for record in records:
        assert record.error is not None
        assert english_words(say_error(record.error).replace("OutcomeUnknownError", "")) == []


@pytest.mark.parametrize(
    "note",
    ["sent", "Called Awa and 3 more", "Asked Awa, 3 under way", "Looked. " + "Nothing was sent. " * 500],
)
def test_a_persons_note_stays_as_it_was_written(in_french: None, note: str) -> None:
    assert say_error(note) == note


@pytest.mark.parametrize("text", ["AnError: " * 500 + "x", "AnError: {a|b} is a column", "AnError: 50 % {"])
def test_whatever_was_kept_can_be_said(in_french: None, text: str) -> None:
    assert say_error(text) == text.removeprefix("AnError: ")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_no_sentence_of_the_catalogue_stops_the_search(in_french: None) -> None:
    for sentence in known_sentences("fr"):
        assert say_reason(f"Error: {sentence} (its own words)")


def test_the_template_with_most_letters_of_its_own_is_taken() -> None:
    templates = [
        "{a} Nothing was sent.",
        "{name}: {why}",
        "The file {path} is gone. Nothing was sent.",
        "{b}",
    ]
    found = find_template("The file x.csv is gone. Nothing was sent.", templates)
    assert found == ("The file {path} is gone. Nothing was sent.", {"path": "x.csv"})
    assert find_template("The file x.csv is here.", templates) is None


def test_a_value_that_comes_twice_is_the_same_both_times() -> None:
    templates = ["campaign {id}: resume {id} to go on", "a lone { brace", "no values at all here"]
    found = find_template("campaign 7: resume 7 to go on", templates)
    assert found == (templates[0], {"id": "7"})
    assert find_template("campaign 7: resume 8 to go on", templates) is None


def test_a_sentence_within_a_sentence_is_said_too(in_french: None) -> None:
    inner = "--seen is the path of a file."
    outer = _("The last failure: {error}", error=_(inner))
    assert say_reason(f"The last failure: {inner}") == outer
